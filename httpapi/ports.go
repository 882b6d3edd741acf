package httpapi

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Store is what the API asks of Postgres. Errors that a caller can do
// something about are *firjob.Error; every other is internal.
type Store interface {
	// CreateApp stores an app. CodeConflict if the name is taken.
	CreateApp(ctx context.Context, name string, authHash, signKey []byte) (firjob.App, error)
	// Apps returns a page of apps by name, and the name after which the next page
	// starts ("": this was the last).
	Apps(ctx context.Context, filter ports.AppFilter) (list []firjob.App, next string, err error)
	// App returns an app. CodeNotFound if there is none.
	App(ctx context.Context, name string) (firjob.App, error)
	// UpdateApp locks the app, lets change edit its limits and stores them with
	// the next version. An error from change is returned as it is and nothing is
	// stored. CodeNotFound as for App.
	UpdateApp(ctx context.Context, name string, change func(app *firjob.App) error) (firjob.App, error)
	// DeleteApp deletes the app, unless check finds fault with it. CodeConflict
	// while it has jobs.
	DeleteApp(ctx context.Context, name string, check func(firjob.App) error) error
	// Queue returns what is past its scheduled time and neither runs nor has
	// ended, the first to go first, and how many wait for what reason.
	// CodeNotFound as for App.
	Queue(ctx context.Context, filter ports.QueueFilter) (list []ports.Waiter, counts map[ports.Why]int, err error)
	// AppAuthHash returns the firjob.AuthHash of the app's secret. CodeNotFound
	// if there is no such app.
	AppAuthHash(ctx context.Context, app string) ([]byte, error)

	// MarkExecutor sets what somebody says about the executor at an address; the
	// state active takes it away. It returns the mark with its instant.
	// CodeNotFound if there is no such app.
	MarkExecutor(ctx context.Context, mark firjob.Mark) (firjob.Mark, error)

	// CreateJob stores a job and its first fire (firjob.Job.FirstFire), counted
	// from the store's clock; that instant is the anchor, too. CodeInvalid if
	// there is no such app, calendar or parent, CodeConflict if the app has a job
	// of that name.
	CreateJob(ctx context.Context, job firjob.Job) (firjob.Job, error)
	// Job returns a job, its calendars included, and where its "every" counts
	// from. CodeNotFound if there is none or it was deleted.
	Job(ctx context.Context, id firjob.JobID) (job firjob.Job, anchor time.Time, err error)
	// Jobs returns a page of jobs by id, and the id after which the next page
	// starts (0: this was the last).
	Jobs(ctx context.Context, filter ports.JobFilter) (jobs []firjob.Job, next firjob.JobID, err error)
	// LastEnds returns how the latest execution of each job ended, of those that
	// have ended and were scheduled for now or earlier. Jobs without one are absent.
	LastEnds(ctx context.Context, jobs []firjob.JobID) (map[firjob.JobID]ports.LastEnd, error)
	// UpdateJob locks the job, lets change edit it, then stores it with the next
	// version and the next fire that follows and, unless its fires are the same,
	// supersedes the planned executions of the old one: all in one transaction.
	// An error from change is returned as it is and nothing is stored.
	UpdateJob(ctx context.Context, id firjob.JobID, change func(now time.Time, job *firjob.Job) error) (firjob.Job,
		ports.Followed, error)
	// DeleteJob takes the job away, unless check finds fault with it, and
	// supersedes its planned executions. Its history stays. CodeNotFound as for
	// Job, CodeConflict while it triggers other jobs.
	DeleteJob(ctx context.Context, id firjob.JobID, check func(firjob.Job) error) (ports.Followed, error)

	// CreateJobs stores jobs as CreateJob does, all in one transaction, and returns
	// the outcome of each in their order. With atomic none is stored if one of them
	// cannot be.
	CreateJobs(ctx context.Context, jobs []firjob.Job, atomic bool) ([]ports.StoredJob, error)

	// CreateCalendar stores a calendar. CodeConflict if the name is taken.
	CreateCalendar(ctx context.Context, c firjob.Calendar) (firjob.Calendar, error)
	// Calendar returns a calendar and how many jobs name it. CodeNotFound if there
	// is none or it was deleted.
	Calendar(ctx context.Context, name string) (ports.CalendarUse, error)
	// Calendars returns the named calendars in the order of the names. CodeInvalid
	// with the field schedule.calendars[i] of each that does not exist.
	Calendars(ctx context.Context, names []string) ([]firjob.Calendar, error)
	// CalendarList returns a page of calendars by name, and the name after which
	// the next page starts ("": this was the last).
	CalendarList(ctx context.Context, filter ports.CalendarFilter) (list []ports.CalendarUse, next string, err error)
	// CalendarVersions returns a page of what a calendar has been, the latest
	// first, and the version before which the next page starts (0: this was the
	// last). CodeNotFound as for Calendar.
	CalendarVersions(ctx context.Context, name string, before, pageSize int) (list []firjob.Calendar, next int,
		err error)
	// UpdateCalendar locks the calendar, lets change edit it and stores it as the
	// next version. In the same transaction every job that names it follows: it
	// gets a version and a next fire of its own, and its planned executions are
	// superseded. An error from change is returned as it is and nothing is stored.
	UpdateCalendar(ctx context.Context, name string, change func(c *firjob.Calendar) error) (ports.CalendarUse,
		ports.Followed, error)
	// DeleteCalendar takes the calendar away, unless check finds fault with it.
	// CodeNotFound as for Calendar, CodeConflict while jobs name it.
	DeleteCalendar(ctx context.Context, name string, check func(firjob.Calendar) error) error

	// Replay returns the answer to an earlier request with the key and operation
	// of w, nil if there was none within 24 hours. CodeKeyReused if that was
	// another request.
	Replay(ctx context.Context, w ports.Write) (*ports.Answer, error)
	// SaveAnswer records the answer to a request that was carried out under a key.
	SaveAnswer(ctx context.Context, w ports.Write, a ports.Answer) error

	// Trigger records an execution of kind manual. When due is true it was
	// recorded among the executions and is to be announced; otherwise its time
	// is beyond horizon and it waits to be planned. The same idempotency key
	// with the same request returns the execution of the first call; with
	// another request CodeKeyReused.
	Trigger(ctx context.Context, t ports.TriggerRequest) (e firjob.Execution, due bool, err error)
	// TriggerMany does the same for many requests of one job, all in one
	// transaction, and returns the outcome of each in their order. CodeNotFound if
	// there is no such job.
	TriggerMany(ctx context.Context, job firjob.JobID, list []ports.TriggerRequest) ([]ports.Triggered, error)
	// RetryExecution records a manual execution that runs a finished one's job
	// and params again and names it. CodeConflict while it is not final.
	RetryExecution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error)
	// RetryShards records a manual execution that repeats those shards of a
	// finished broadcast that have not succeeded. CodeConflict while it is not
	// final, and if there are none.
	RetryShards(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error)
	// CancelExecution ends a planned execution as cancelled, or notes that a
	// running one is to be cancelled, with the open shards of a broadcast.
	// CodeConflict if it is final already.
	CancelExecution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, ports.Followed, error)
	// Execution returns an execution, one that is still to be planned included,
	// with its inputs and its shards.
	Execution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error)
	// Executions returns a page of executions, the latest scheduled first, and
	// the id before which the next page starts (zero: this was the last). Those
	// that are still to be planned are included.
	Executions(ctx context.Context, filter ports.ExecutionFilter) (list []firjob.Execution, next firjob.ExecutionID,
		err error)
	// Logs returns a page of an execution's log, and what the execution has come
	// to; of one that is still to be planned, none. CodeNotFound if there is no
	// such execution.
	Logs(ctx context.Context, id firjob.ExecutionID, filter ports.LogFilter) (ports.LogPage, error)
	// Tree returns an execution with what it led to, and the root of the tree that
	// it belongs to. It looks at no more than limit executions of the run; cut
	// tells that there are more. CodeNotFound if there is no such execution.
	Tree(ctx context.Context, id firjob.ExecutionID, limit int) (tree ports.Tree, root firjob.ExecutionID, cut bool,
		err error)
	// DeadLetters returns a page of dead letters, the latest scheduled first, and
	// the id before which the next page starts (zero: this was the last).
	DeadLetters(ctx context.Context, filter ports.DeadLetterFilter) (list []ports.DeadLetter, next firjob.ExecutionID,
		err error)
	// Redrive runs dead letters again, each once, and returns what became of each
	// in the order of the ids.
	Redrive(ctx context.Context, batch ports.DeadLetterBatch) ([]ports.DeadLetterDone, error)
	// Dismiss takes dead letters off the list.
	Dismiss(ctx context.Context, batch ports.DeadLetterBatch) ([]ports.DeadLetterDone, error)

	// CreateBackfill stores a backfill and records the first of its fires.
	// CodeNotFound if there is no such job, CodeInvalid if the request has faults,
	// the job's kind has no fires in the past, or the range has none or too many.
	CreateBackfill(ctx context.Context, r ports.BackfillRequest, retention time.Duration) (ports.Backfill,
		ports.Followed, error)
	// Backfill returns a backfill and how far it has come. CodeNotFound if there
	// is none.
	Backfill(ctx context.Context, id ports.BackfillID) (ports.Backfill, error)
	// Backfills returns a page of a job's backfills, the latest first, without the
	// counts of their executions, and the number before which the next page starts
	// (0: this was the last).
	Backfills(ctx context.Context, job firjob.JobID, before ports.BackfillID, pageSize int) (list []ports.Backfill,
		next ports.BackfillID, err error)
	// CancelBackfill ends a backfill and what of it is open. CodeConflict if it has
	// ended.
	CancelBackfill(ctx context.Context, id ports.BackfillID) (ports.Backfill, ports.Followed, error)

	// Explain says what became of an instant of a job and which rule decided that.
	// CodeNotFound if there never was such a job.
	Explain(ctx context.Context, r ports.ExplainRequest) (ports.Explanation, error)
	// ExplainExecution says the same of one execution.
	ExplainExecution(ctx context.Context, id firjob.ExecutionID, horizon time.Duration) (ports.Explanation, error)

	// Stats counts executions scheduled since the given instant by state, with
	// quantiles of their lateness.
	Stats(ctx context.Context, since time.Time) (ports.Stats, error)

	// Ready returns nil if the store can be read and written and its schema is
	// the one that this program needs.
	Ready(ctx context.Context) error
}

// Scheduler is what the API asks of the running scheduler.
type Scheduler interface {
	// JobChanged plans those of the jobs at once that are due within the horizon.
	// It is called after they were created, edited, resumed. Errors are its own to
	// log: the scan finds the jobs anyway.
	JobChanged(ctx context.Context, ids ...firjob.JobID)
	// Announce tells the queue of an execution that was just recorded.
	Announce(ctx context.Context, due ...firjob.Due)
	// Cancel asks the app's executors to cancel attempts.
	Cancel(ctx context.Context, app string, attempts ...firjob.AttemptRef)
	// Horizon is how far ahead executions are recorded.
	Horizon() time.Duration
	// Retention is how long executions are kept.
	Retention() time.Duration

	// Beat takes an executor's beat.
	Beat(ctx context.Context, beat firjob.Beat) (firjob.BeatReply, error)
	// Leave takes an executor out of the registry.
	Leave(ctx context.Context, executor firjob.ExecutorKey) error
	// Finish records a batch of results; it returns after the commit. Receipts
	// are in the order of the results.
	Finish(ctx context.Context, callback firjob.Callback) ([]firjob.Receipt, error)

	// Start decides which attempts an executor may begin; it returns after the
	// commit.
	Start(ctx context.Context, start firjob.Start) (firjob.StartReply, error)
	// Report stores lines of log and progress.
	Report(ctx context.Context, report firjob.Report) (firjob.ReportReply, error)

	// Executors returns those of the live executors of an app, and of the
	// addresses at which there is none but a mark, that the filter selects.
	Executors(ctx context.Context, app string, filter ports.ExecutorFilter) ([]ports.ExecutorView, error)
	// ExecutorMarked makes a mark count that was just stored.
	ExecutorMarked(ctx context.Context, mark firjob.Mark)
	// Status tells how this server sees the cluster.
	Status(ctx context.Context) (ports.Status, error)
}

package httpapi

import (
	"context"
	"time"

	"github.com/firjob/firjob"
)

// Store is what the API asks of Postgres. Errors that a caller can do
// something about are *firjob.Error; every other is internal.
type Store interface {
	// CreateApp stores an app. CodeConflict if the name is taken.
	CreateApp(ctx context.Context, name string, authHash, signKey []byte) (firjob.App, error)
	// Apps returns every app by name.
	Apps(ctx context.Context) ([]firjob.App, error)
	// AppAuthHash returns the firjob.AuthHash of the app's secret. CodeNotFound
	// if there is no such app.
	AppAuthHash(ctx context.Context, app string) ([]byte, error)

	// CreateJob stores a job and its next fire, which first answers from the
	// store's clock; that instant is the anchor, too. CodeInvalid with the field
	// "app" if there is no such app, CodeConflict if the app has a job of that name.
	CreateJob(ctx context.Context, job firjob.Job, first func(now time.Time) (time.Time, error)) (firjob.Job, error)
	// Job returns a job. CodeNotFound if there is none or it was deleted.
	Job(ctx context.Context, id firjob.JobID) (firjob.Job, error)
	// Jobs returns a page of jobs by id, and the id after which the next page
	// starts (0: this was the last).
	Jobs(ctx context.Context, filter firjob.JobFilter) (jobs []firjob.Job, next firjob.JobID, err error)
	// UpdateJob locks the job, lets change edit it and answer its next fire
	// (zero: none), then stores it with the next version and, unless its fires
	// are the same, supersedes the planned executions of the old one: all in one
	// transaction. An error from change is returned as it is and nothing is
	// stored. anchor is where "every" counts from; it becomes now when change
	// alters the schedule.
	UpdateJob(ctx context.Context, id firjob.JobID, change func(now, anchor time.Time, job *firjob.Job) (next time.Time, err error)) (firjob.Job, firjob.Followed, error)
	// DeleteJob takes the job away and supersedes its planned executions.
	// Its history stays. CodeNotFound as for Job.
	DeleteJob(ctx context.Context, id firjob.JobID) (firjob.Followed, error)
	// Anchor returns where the job's "every" counts from.
	Anchor(ctx context.Context, id firjob.JobID) (time.Time, error)

	// Trigger records an execution of kind manual. When due is true it was
	// recorded among the executions and is to be announced; otherwise its time
	// is beyond horizon and it waits to be planned. The same idempotency key
	// with the same request returns the execution of the first call; with
	// another request CodeKeyReused.
	Trigger(ctx context.Context, t firjob.TriggerRequest) (e firjob.Execution, due bool, err error)
	// RetryExecution records a manual execution that runs a finished one's job
	// and params again and names it. CodeConflict while it is not final.
	RetryExecution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error)
	// CancelExecution ends a planned execution as cancelled, or notes that a
	// running one is to be cancelled. CodeConflict if it is final already.
	CancelExecution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, firjob.Followed, error)
	// Execution returns an execution, one that is still to be planned included.
	Execution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error)
	// Executions returns a page of executions, the latest scheduled first, and
	// the id before which the next page starts (zero: this was the last). Those
	// that are still to be planned are included.
	Executions(ctx context.Context, filter firjob.ExecutionFilter) (list []firjob.Execution, next firjob.ExecutionID, err error)
	// Stats counts executions scheduled since the given instant by state, with
	// quantiles of their lateness.
	Stats(ctx context.Context, since time.Time) (firjob.Stats, error)

	// Ready returns nil if the store can be read and written and its schema is
	// the one that this program needs.
	Ready(ctx context.Context) error
}

// Scheduler is what the API asks of the running scheduler.
type Scheduler interface {
	// JobChanged plans the job at once if it is due within the horizon. It is
	// called after the job was created, edited, resumed. Errors are its own to
	// log: the scan finds the job anyway.
	JobChanged(ctx context.Context, id firjob.JobID)
	// Announce tells the queue of an execution that was just recorded.
	Announce(ctx context.Context, due ...firjob.Due)
	// Cancel asks the app's executors to cancel an attempt.
	Cancel(ctx context.Context, app string, attempt firjob.AttemptRef)
	// Horizon is how far ahead executions are recorded.
	Horizon() time.Duration

	// Beat takes an executor's beat.
	Beat(ctx context.Context, beat firjob.Beat) (firjob.BeatReply, error)
	// Leave takes an executor out of the registry.
	Leave(ctx context.Context, executor firjob.ExecutorKey) error
	// Finish records a batch of results; it returns after the commit. Receipts
	// are in the order of the results.
	Finish(ctx context.Context, callback firjob.Callback) ([]firjob.Receipt, error)

	// Executors returns the live executors of an app.
	Executors(ctx context.Context, app string) ([]firjob.Executor, error)
	// Status tells how this replica sees the cluster.
	Status(ctx context.Context) (firjob.Status, error)
}

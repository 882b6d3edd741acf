package ports

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/firjob/firjob"
)

// JobFilter selects and pages jobs. Zero fields do not select.
type JobFilter struct {
	App      string
	Name     string
	Query    string // part of a name or handler, case ignored
	Enabled  *bool
	Kind     firjob.ScheduleKind
	Route    firjob.Route
	Calendar string       // jobs whose schedule names it
	Parent   firjob.JobID // jobs that it triggers
	After    firjob.JobID
	PageSize int
}

// StoredJob is the outcome of one job of a batch: the job as it was stored, or
// what kept it from being stored.
type StoredJob struct {
	Job firjob.Job
	Err error
}

// AppFilter selects and pages apps, by name. Zero fields do not select.
type AppFilter struct {
	Query    string // part of a name, case ignored
	After    string
	PageSize int
}

// CalendarFilter selects and pages calendars, by name. Zero fields do not select.
type CalendarFilter struct {
	Query    string // part of a name or description, case ignored
	After    string
	PageSize int
}

// CalendarUse is a calendar and the number of jobs that name it.
type CalendarUse struct {
	firjob.Calendar
	Jobs int
}

// ExecutionFilter selects and pages executions. Zero fields do not select.
type ExecutionFilter struct {
	Job          firjob.JobID
	App          string
	States       []firjob.State
	Kinds        []firjob.Kind
	Root         firjob.ExecutionID // executions of the tree below it, itself included
	Executor     string             // address
	Since, Until time.Time          // of the scheduled time; until is exclusive
	From         firjob.ExecutionID // this id and those above it
	Before       firjob.ExecutionID
	PageSize     int
}

// LastEnd is how the latest execution of a job ended that has ended and was
// scheduled for now or earlier. Superseded ones do not count: they are no outcome.
type LastEnd struct {
	ID         firjob.ExecutionID
	State      firjob.State
	Reason     string
	FinishedAt time.Time
}

// TriggerRequest asks for one execution of a job.
type TriggerRequest struct {
	Job     firjob.JobID
	Params  json.RawMessage // nil: the job's
	At      time.Time       // zero: Delay from now, by the store's clock
	Delay   time.Duration   // 0: now
	Key     string          // Idempotency-Key; "" = none
	Horizon time.Duration
}

// Triggered is the outcome of one request of a batch: an execution or an error.
type Triggered struct {
	Execution firjob.Execution
	Due       bool // planned, and to be announced
	Err       error
}

// ExecutorFilter selects executors. Zero fields do not select.
type ExecutorFilter struct {
	State  firjob.ExecutorState
	Labels map[string]string
}

// Waiter is an execution that is past its scheduled time and neither runs nor
// has ended.
type Waiter struct {
	firjob.Execution
	Since time.Time // scheduled time, or the end of the attempt before
	Why   Why
}

// Why says what a waiter waits for.
type Why string

// The reasons to wait.
const (
	WhyOverlap  Why = "overlap"     // its job's other executions
	WhyAppLimit Why = "app_running" // the app's max_running
	WhyAppRate  Why = "app_rate"    // the app's max_per_second
	WhyRetry    Why = "retry"       // the backoff after a failed attempt
	WhyExecutor Why = "executor"    // an executor that takes it
	WhyClaim    Why = "claim"       // a server that claims it
)

// QueueFilter selects and pages what waits, the first to go first.
type QueueFilter struct {
	App      string
	Why      Why
	PageSize int
}

// DeadLetterFilter selects and pages dead letters, the latest first.
type DeadLetterFilter struct {
	App          string
	Job          firjob.JobID
	States       []firjob.State
	Since, Until time.Time // of the end
	Handled      bool      // also those that were redriven or dismissed
	Before       firjob.ExecutionID
	PageSize     int
}

// DeadLetter is an execution that ended as failed, timed_out or lost, with no
// attempt left, and what was done about it.
type DeadLetter struct {
	firjob.Execution
	FailedAt    time.Time
	RedrivenAs  *firjob.ExecutionID
	DismissedAt *time.Time
}

// DeadLetterBatch names dead letters that something is to be done about: either
// by their ids, or those that a filter selects, the earliest first.
type DeadLetterBatch struct {
	IDs    []firjob.ExecutionID
	Filter DeadLetterFilter // if there are no IDs; Handled, Before and PageSize do not count
	Limit  int              // of what Filter selects; 1 to MaxDeadLetterBatch
}

// MaxDeadLetterBatch is how many dead letters one request handles.
const MaxDeadLetterBatch = 10_000

// DeadLetterDone is what became of one of them.
type DeadLetterDone struct {
	ID         firjob.ExecutionID
	RedrivenAs *firjob.Due // the execution that runs it again; nil if dismissed or refused
	Err        error       // CodeNotFound, CodeConflict: it was handled already
}

// BackfillRequest asks for the fires of a past range to be run.
type BackfillRequest struct {
	Job        firjob.JobID
	From       time.Time // inclusive
	Until      time.Time // exclusive, not in the future
	Newest     bool      // the newest fire first; else the oldest
	MaxRunning int       // executions of the backfill at a time
	Params     json.RawMessage
}

// BackfillID is the number of a backfill.
type BackfillID uint32

// Limits of a backfill.
const (
	MaxBackfillFires   = 100_000
	MaxBackfillRunning = 1000
)

// Backfill is a past range of a job that is being run, or was.
type Backfill struct {
	ID BackfillID
	BackfillRequest
	Fires      int       // in all
	First      time.Time // of these
	Last       time.Time // of these
	Recorded   int       // of these: so far
	Open       int       // of the recorded: not ended yet
	Succeeded  int       // of the recorded
	Failed     int       // of the recorded: ended in any other way
	CreatedAt  time.Time
	FinishedAt *time.Time // all have ended, or it was cancelled
	Cancelled  bool
}

// LogFilter selects lines of an execution's log. Zero fields do not select.
type LogFilter struct {
	After    LogCursor
	Attempt  int
	Level    slog.Level // this level and above, if MinLevel
	MinLevel bool
	Limit    int // lines of a page
}

// LogPage is consecutive lines of an execution's log, and what the execution had
// come to when they were read.
type LogPage struct {
	Lines    []LogEntry
	Cut      int64     // lines at the beginning that are no longer kept
	Next     LogCursor // after the last line that was looked at, whether it is among Lines or was filtered out
	More     bool      // lines follow already
	Ended    bool      // the execution has ended, and nothing follows Lines
	State    firjob.State
	Reason   string
	Progress *firjob.Progress
}

// LogEntry is one stored line.
type LogEntry struct {
	Cursor  LogCursor // its own
	Attempt int
	firjob.LogLine
}

// LogCursor is a place in an execution's log: attempts in their order, then
// lines. The zero value is the beginning.
type LogCursor struct {
	Token int64
	Line  int64
}

// Tree is an execution with what it led to.
type Tree struct {
	Execution firjob.Execution
	Children  []Tree
	// NotRun are children of the job that this end has not triggered, or not yet.
	NotRun []NotRun
}

// NotRun is a child that an end did not trigger.
type NotRun struct {
	JobID  firjob.JobID
	Job    string
	Reason string // "runs on failure; the parent succeeded", "waits for job 7", …
}

// Explanation says what became of one instant of a job.
type Explanation struct {
	At        time.Time
	Verdict   string            // one sentence
	Steps     []Step            // how it came to that, in order of time as far as known
	Execution *firjob.Execution // the record that decided, if there is one
	Before    *time.Time        // the fires around the instant
	After     *time.Time
}

// ExplainRequest names an instant of a job.
type ExplainRequest struct {
	Job       firjob.JobID
	At        time.Time
	Precision time.Duration // fires from At to before At+Precision are meant
	Horizon   time.Duration // how far ahead fires are recorded
	Retention time.Duration // how long records are kept
}

// Step is one fact of an explanation.
type Step struct {
	At   *time.Time // nil: no instant belongs to it
	Rule string     // planned, calendar, misfire, overlap, claimed, routed, attempt, …
	Text string
}

// Stats is what the store knows for GET /stats.
type Stats struct {
	ByState    map[firjob.State]int64
	LatenessMS map[string]float64 // "p50", "p99", "max"
}

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// Handler does the work of an execution. It is called by many goroutines at
// once. Returning nil means success, also after ctx has ended; a panic is a
// failure, its stack goes to the worker's log. ctx carries the values of the
// context that was given to Run, and ends for the causes named by the Err
// variables; a handler that does not heed it holds up its place in the pool.
type Handler func(ctx context.Context, t *Task) error

// Task is one attempt of an execution, as its handler sees it. Its methods may
// be called by several goroutines.
type Task struct {
	ID          firjob.ExecutionID
	JobID       firjob.JobID
	Job         string // the job's name
	Handler     string
	Kind        firjob.Kind // what asked for it
	ScheduledAt time.Time   // when it was due; handlers that work on a period of time start from here, not from now
	Attempt     int         // 1 is the first
	Token       int64       // of this attempt; a later attempt has a higher one

	params json.RawMessage
	base   *slog.Logger

	mu     sync.Mutex
	result json.RawMessage
	log    *slog.Logger
}

// IdempotencyKey is the same for every attempt of an execution and for no other
// execution.
func (t *Task) IdempotencyKey() string { return t.ID.String() }

// RawParams returns the execution's params as JSON, nil if it has none. They
// are not to be changed.
func (t *Task) RawParams() json.RawMessage { return t.params }

// Params reads the execution's params into v, as [json.Unmarshal] does: members
// that v has no field for are left out. Without params v stays as it is. An
// error names the job and what does not fit, and is fit to be returned.
func (t *Task) Params(v any) error {
	if len(t.params) == 0 {
		return nil
	}
	if err := json.Unmarshal(t.params, v); err != nil {
		return fmt.Errorf("read the params of job %q: %w", t.Job, err)
	}
	return nil
}

// SetResult sets what the execution leaves behind for people and programs to
// read: v as JSON, [firjob.MaxResult] bytes at most. A later call replaces it;
// on error the earlier one stays. It is kept with a failure, too.
func (t *Task) SetResult(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the result of job %q: %w", t.Job, err)
	}
	if err := firjob.CheckJSON(text, firjob.MaxResult); err != nil {
		return fmt.Errorf("the result of job %q %w", t.Job, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result = text
	return nil
}

func (t *Task) currentResult() json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.result
}

// Log returns the worker's logger with the execution, the job and the attempt.
func (t *Task) Log() *slog.Logger {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log == nil {
		t.log = t.base.With("execution", t.ID.String(), "job", t.Job, "attempt", t.Attempt)
	}
	return t.log
}

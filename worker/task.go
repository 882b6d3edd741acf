package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// Handler does the work of an execution. It is called by many goroutines at
// once. Returning nil means success, also after ctx has ended; a panic is a
// failure, its stack goes to the task's log. ctx carries the values of the
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

	// Shard says which part of a broadcast this execution is, so that a handler
	// can take every Total-th piece of its work, beginning with the one of number
	// Index. Any other execution is the whole: part 0 of 1.
	Shard firjob.ShardOf

	params   json.RawMessage
	inputs   json.RawMessage
	base     *slog.Logger
	reporter *reporter

	mu     sync.Mutex
	result json.RawMessage
	log    *slog.Logger
	said   *stream // nil until it says something
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

// Parents returns how the parents of the job ended whose end has triggered this
// execution, each with its result: with a join of all every one of them, with a
// join of any the first. It is empty for an execution that no parent has triggered.
func (t *Task) Parents() ([]firjob.ParentEnd, error) {
	if len(t.inputs) == 0 {
		return nil, nil
	}
	var parents []firjob.ParentEnd
	if err := json.Unmarshal(t.inputs, &parents); err != nil {
		return nil, fmt.Errorf("read how the parents of job %q ended: %w", t.Job, err)
	}
	return parents, nil
}

// SetResult sets what the execution leaves behind for people and programs to
// read: v as JSON, [firjob.MaxResult] bytes at most. A later call replaces it;
// on error the earlier one stays. It is kept with a failure, too.
func (t *Task) SetResult(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the result of job %q: %w", t.Job, err)
	}
	if err := jsontext.Check(text, firjob.MaxResult); err != nil {
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

// Log returns a logger whose records go to the worker's own log, with the
// execution, the job and the attempt, and from [Options].LogLevel on also to the
// server, where people read them beside the execution. They travel in batches
// within half a second. A line has [firjob.MaxLogLine] bytes at most and is cut
// beyond that; where the server is out of reach or the lines are too many, the
// oldest are dropped and a line tells how many. Nothing waits for them.
func (t *Task) Log() *slog.Logger {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log == nil {
		t.log = t.base.With("execution", t.ID.String(), "job", t.Job, "attempt", t.Attempt)
		if s := t.speak(); s != nil {
			t.log = slog.New(&logHandler{own: t.log.Handler(), said: s})
		}
	}
	return t.log
}

// Progress tells people how far the handler is: a percentage, which is held
// between 0 and 100, and a note of [firjob.MaxNote] bytes at most, which is cut
// beyond that and may be empty. The latest word counts. It costs next to nothing:
// the server hears of it once a second at most, and of the last one at the end.
func (t *Task) Progress(percent int, note string) {
	t.mu.Lock()
	s := t.speak()
	t.mu.Unlock()
	if s != nil {
		s.tell(progress{min(max(percent, 0), 100), clip(note, firjob.MaxNote)})
	}
}

// speak returns what takes the task's words, nil if nobody would hear them.
func (t *Task) speak() *stream {
	if t.said == nil && t.reporter != nil {
		t.said = &stream{reporter: t.reporter, ref: firjob.AttemptRef{ID: t.ID, Token: t.Token}}
	}
	return t.said
}

// hush has the last words sent.
func (t *Task) hush() {
	t.mu.Lock()
	s := t.said
	t.mu.Unlock()
	if s != nil {
		s.end()
	}
}

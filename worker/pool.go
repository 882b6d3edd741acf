package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// maxErrorText bounds the text of an error that is sent to the server, in bytes.
const maxErrorText = 4 << 10

// pool runs attempts, one in each of its goroutines, until the table's queue is
// closed.
type pool struct {
	table  *table
	clock  *serverClock
	report func(firjob.Result)
	log    *slog.Logger
	values context.Context // what handlers may look up; never ends

	goroutines sync.WaitGroup
}

func (p *pool) start(n int) {
	for range n {
		p.goroutines.Go(p.work)
	}
}

// work takes attempts until there are no more. A handler that ends its
// goroutine is given its due, and the pool another goroutine.
func (p *pool) work() {
	exited := true
	defer func() {
		if exited {
			p.goroutines.Go(p.work)
		}
	}()
	for a := range p.table.queue {
		p.run(a)
	}
	exited = false
}

func (p *pool) run(a *attempt) {
	ctx, cancel := context.WithCancelCause(p.values)
	defer cancel(nil)
	started := p.now(a.sentAt)
	if cause := p.table.begin(a, time.Now(), cancel); cause != nil {
		p.conclude(a, started, cause, fmt.Errorf("ended before it began: %w", cause))
		return
	}
	if a.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, a.timeout, ErrTimeout)
		defer stop()
	}
	err := errExited
	defer func() { p.conclude(a, started, context.Cause(ctx), err) }()
	err = call(ctx, a)
}

// now is the server's time, but never before earliest: two estimates of one
// clock may differ by more than a request takes.
func (p *pool) now(earliest time.Time) time.Time {
	now := p.clock.at(time.Now())
	if now.Before(earliest) {
		return earliest
	}
	return now
}

// panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func call(ctx context.Context, a *attempt) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	return a.handler(ctx, &a.task)
}

// conclude reports how an attempt ended. cause is why its context ended, nil if
// it did not.
func (p *pool) conclude(a *attempt, started time.Time, cause, err error) {
	var panicked *panicked
	if errors.As(err, &panicked) {
		a.task.Log().Error("the handler panicked", "panic", panicked.value, "stack", string(panicked.stack))
	}
	outcome, answered := outcomeOf(cause, err)
	if !answered {
		a.task.Log().Warn("the handler was cut off; not reported, so that the server sends the execution again", "cause", cause, "error", err)
		p.table.drop(a)
		return
	}
	result := firjob.Result{
		ID: a.task.ID, Token: a.task.Token, Outcome: outcome, Result: a.task.currentResult(),
		StartedAt: started, FinishedAt: p.now(started),
	}
	if err != nil {
		result.Error = errorText(err)
	}
	p.report(result)
	p.table.finish(a)
}

// outcomeOf tells how an attempt ended from what its handler returned and from
// the cause, if any, for which its context had ended by then. It is not
// answered when it was cut off for a reason that is not its own.
func outcomeOf(cause, err error) (outcome firjob.Outcome, answered bool) {
	var panicked *panicked
	switch {
	case err == nil:
		return firjob.OutcomeSucceeded, true
	case errors.Is(cause, ErrLeaseLost), errors.Is(cause, ErrDraining):
		return "", false
	case errors.As(err, &panicked):
		return firjob.OutcomeFailed, true
	case errors.Is(cause, ErrCancelled):
		return firjob.OutcomeCancelled, true
	case errors.Is(cause, ErrTimeout):
		return firjob.OutcomeTimedOut, true
	}
	return firjob.OutcomeFailed, true
}

// errorText makes an error fit for a column of text: valid UTF-8 without NUL,
// and of bounded length.
func errorText(err error) string {
	said := fmt.Sprint(err) // survives an error whose own method panics, which err.Error() does not
	text := strings.ReplaceAll(strings.ToValidUTF8(said, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText-len("…")], "") + "…"
}

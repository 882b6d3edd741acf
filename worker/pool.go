package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
)

// maxErrorText bounds the text of an error that is sent to the server, in bytes.
const maxErrorText = 4 << 10

// pool runs attempts, one in each of its goroutines, until the table's queue is
// closed.
type pool struct {
	table  *table
	clock  *serverClock
	report func(firjob.Result)
	permit func(context.Context, firjob.AttemptRef) error // asks for an exclusive attempt
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
	cause := p.admit(ctx, a, cancel)
	started := p.now(a.sentAt)
	if cause == nil {
		cause = p.table.begin(a, time.Now(), cancel)
	}
	if cause != nil {
		p.finish(a, started, cause, ended{err: fmt.Errorf("ended before it began: %w", cause)})
		return
	}
	if a.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, a.timeout, ErrTimeout)
		defer stop()
	}
	end := ended{err: errExited}
	defer func() { p.finish(a, started, context.Cause(ctx), end) }()
	end = call(ctx, a)
}

// admit asks the server whether an exclusive attempt may begin, for as long as
// its lease holds. An error is the cause for which it may not.
func (p *pool) admit(ctx context.Context, a *attempt, cancel context.CancelCauseFunc) error {
	if !a.exclusive {
		return nil
	}
	if cause := p.table.seek(a, cancel); cause != nil {
		return cause
	}
	return p.permit(ctx, a.ref())
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

// panicOf returns the panic that err stands for, nil if for none. It does not
// look into err, whose own methods may panic.
func panicOf(err error) *panicked {
	p, _ := err.(*panicked) //nolint:errorlint // errors.As calls methods of err
	return p
}

// ended is how a handler ended.
type ended struct {
	err  error
	wish wish // of err
}

// call runs the handler. The error is looked into here, where a panic of one of
// its own methods counts as the handler's.
func call(ctx context.Context, a *attempt) (end ended) {
	defer func() {
		if v := recover(); v != nil {
			end = ended{err: &panicked{value: v, stack: debug.Stack()}}
		}
	}()
	err := a.handler(ctx, &a.task)
	return ended{err, wishOf(err)}
}

// finish reports how an attempt ended. cause is why its context ended, nil if
// it did not.
func (p *pool) finish(a *attempt, started time.Time, cause error, end ended) {
	if panicked := panicOf(end.err); panicked != nil {
		a.task.Log().Error("the handler panicked", "panic", panicked.value, "stack", string(panicked.stack))
	}
	outcome, answered := outcomeOf(cause, end.err)
	if !answered {
		a.task.Log().Warn("the handler was cut off; not reported, so that the server sends the execution again",
			"cause", cause, "error", end.err)
	}
	a.task.hush()
	if !answered {
		p.table.drop(a)
		return
	}
	result := firjob.Result{
		ID: a.task.ID, Token: a.task.Token, Outcome: outcome, Result: a.task.currentResult(),
		StartedAt: started, FinishedAt: p.now(started),
	}
	if end.err != nil {
		result.Error = errorText(end.err)
	}
	if outcome == firjob.OutcomeFailed {
		result.Permanent, result.RetryAfter = end.wish.permanent, firjob.Duration(end.wish.after)
	}
	failpoint.Crash(failpoint.AfterHandler, 1)
	p.report(result)
	p.table.finish(a)
}

// outcomeOf tells how an attempt ended from what its handler returned and from
// the cause, if any, for which its context had ended by then. It is not
// answered when it was cut off for a reason that is not its own.
func outcomeOf(cause, err error) (outcome firjob.Outcome, answered bool) {
	switch {
	case err == nil:
		return firjob.OutcomeSucceeded, true
	case errors.Is(cause, ErrLeaseLost), errors.Is(cause, ErrDraining):
		return "", false
	case panicOf(err) != nil:
		return firjob.OutcomeFailed, true
	case errors.Is(cause, ErrCancelled):
		return firjob.OutcomeCancelled, true
	case errors.Is(cause, ErrTimeout):
		return firjob.OutcomeTimedOut, true
	}
	return firjob.OutcomeFailed, true
}

// errorText returns what an error says, fit for a column of text.
func errorText(err error) string {
	return clip(fmt.Sprint(err), maxErrorText) // survives an error whose own method panics, which err.Error() does not
}

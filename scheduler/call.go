package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/scheduler/outbound"
)

// callAddress stands in the records for the executor of an HTTP call; its
// incarnation is the server that makes it. No executor has it: theirs have a port.
const callAddress = "server"

// calls makes the requests of HTTP jobs: this server is their executor. It keeps
// the lease of an attempt while it waits for the answer, and brings the result
// itself.
//
//	answer in time            the status decides: succeeded or failed
//	timeout, its or the job's timed_out
//	cancelled by somebody     the request is broken off: cancelled
//	given up by the store     broken off and forgotten
//	lease not renewed in time broken off: lost, when the lease has ended
//	server stops             waited for as long as the drain lasts, then lost
//	server dies              lost, as soon as the others miss it
type calls struct {
	caller  Caller
	slots   *callSlots
	replica string
	lease   time.Duration
	clock   *storeClock
	hold    func(ctx context.Context, held []ports.Held) ([]heldAnswer, error)
	finish  func(ctx context.Context, callback firjob.Callback) ([]firjob.Receipt, error)
	lose    func(ctx context.Context, attempts []firjob.AttemptRef, reason string)
	log     *slog.Logger
}

// call makes the request of a flight that is due, if there is room for it here.
func (s *sending) call(ctx context.Context, f *flight) {
	waiting, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	release := s.calls.slots.take(waiting, hostOf(*f.Dispatch.HTTP))
	if release == nil {
		s.giveBack(context.WithoutCancel(ctx), []*flight{f},
			"server "+s.calls.replica+" makes as many HTTP calls as it may, in all or to this host")
		return
	}
	defer release()
	key, known := s.executors.key(f.App)
	if f.Dispatch.HTTP.Sign && !known {
		s.giveBack(ctx, []*flight{f}, "the key of app "+f.App+" is not known yet")
		return
	}
	if len(s.sendable(ctx, []*flight{f})) == 0 {
		return
	}
	s.metrics.sent.WithLabelValues(f.App, "called").Inc()
	s.handed(1)
	s.calls.perform(ctx, f, key)
}

// hostOf returns the host of a call. No variable may stand there.
func hostOf(call firjob.HTTPCall) string {
	u, err := url.Parse(call.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Why a call ends before its answer.
var (
	errCancelled = errors.New("cancelled on request")
	errTimeout   = errors.New("no answer in time")
	errGivenUp   = errors.New("the attempt is not current any more")
	errFenced    = errors.New("the lease could not be renewed in time")
)

// perform makes a request and brings its result. life is the attempt's: it ends
// when the attempt is not this server's any more, and the request with it.
func (c *calls) perform(ctx context.Context, f *flight, key []byte) {
	life, end := context.WithCancelCause(ctx)
	request, stop := context.WithCancelCause(life)
	var keeping sync.WaitGroup
	keeping.Go(func() { c.keep(life, f, stop, end) })
	defer keeping.Wait()
	defer end(nil)
	defer stop(nil)
	result, err := c.ask(request, f, key)
	if err != nil && life.Err() != nil {
		c.abandon(ctx, f, context.Cause(life))
		return
	}
	c.bring(life, f, result)
}

// ask makes the request and returns what became of it, and the error of a
// request that got no answer.
func (c *calls) ask(ctx context.Context, f *flight, key []byte) (firjob.Result, error) {
	result := firjob.Result{ID: f.Trigger.ID, Token: f.Trigger.Token, StartedAt: c.clock.Now()}
	timeout, whose := timeoutOf(f)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	response, err := c.caller.Do(ctx,
		outbound.Request{Call: *f.Dispatch.HTTP, Task: f.Trigger, Key: key, Now: result.StartedAt})
	result.FinishedAt = c.clock.Now()
	switch cause := context.Cause(ctx); {
	case err == nil:
		setOutcome(&result, *f.Dispatch.HTTP, response, result.FinishedAt)
	case errors.Is(cause, errCancelled):
		result.Outcome, result.Error = firjob.OutcomeCancelled, errCancelled.Error()
	case errors.Is(cause, errTimeout):
		result.Outcome, result.Error = firjob.OutcomeTimedOut,
			fmt.Sprintf("no answer within %v, the timeout of the %s", timeout, whose)
	default:
		malformed := new(outbound.MalformedError)
		result.Outcome, result.Error, result.Permanent = firjob.OutcomeFailed, err.Error(), errors.As(err, &malformed)
	}
	return result, err
}

// timeoutOf returns the shorter of the request's and the job's timeout.
func timeoutOf(f *flight) (timeout time.Duration, whose string) {
	timeout = f.Dispatch.HTTP.Timeout.Std()
	if timeout == 0 {
		timeout = firjob.DefaultCallTimeout
	}
	if of := f.Trigger.Timeout.Std(); of > 0 && of <= timeout {
		return of, "job"
	}
	return timeout, "request"
}

// keep names the attempt to the store, as an executor's beats do, until life
// ends. Like an executor it uses four fifths of what it was promised, counted
// from before it asked, and looks often enough for several tries in that time.
func (c *calls) keep(life context.Context, f *flight, stop, end context.CancelCauseFunc) {
	held := []ports.Held{{Executor: c.executor(f), Attempt: f.ref()}}
	fence := f.leaseEnd.Add(-c.lease / 5)
	for {
		asked := c.clock.local()
		answers, err := c.hold(life, held)
		switch {
		case err != nil:
		case answers[0] == heldStale:
			end(errGivenUp)
			return
		default:
			fence = asked.Add(c.lease * 2 / 3 * 4 / 5)
			if answers[0] == heldCancel {
				stop(errCancelled)
			}
		}
		left := fence.Sub(c.clock.local())
		if left <= 0 {
			end(errFenced)
			return
		}
		if !sleep(life, min(c.lease/6, left)) {
			return
		}
	}
}

// executor is who this server is to the store.
func (c *calls) executor(f *flight) firjob.ExecutorKey {
	return firjob.ExecutorKey{App: f.App, Address: callAddress, Incarnation: c.replica}
}

// bring records a result, again and again while the store is away and the
// attempt is this server's; once at least, since a result that comes late may
// count all the same.
func (c *calls) bring(life context.Context, f *flight, result firjob.Result) {
	by := c.executor(f)
	callback := firjob.Callback{App: by.App, Address: by.Address, Incarnation: by.Incarnation,
		Results: []firjob.Result{result}}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := c.record(life, callback)
		if err == nil {
			return
		}
		if !sleep(life, jitter(pause)) {
			c.log.WarnContext(life, "the answer to an HTTP call could not be recorded; its attempt is lost", "app",
				f.App, "execution", f.Trigger.ID, "error", err)
			return
		}
	}
}

func (c *calls) record(ctx context.Context, callback firjob.Callback) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*storeTimeout)
	defer cancel()
	_, err := c.finish(ctx, callback)
	return err
}

// abandon deals with a call that was broken off without a result.
func (c *calls) abandon(ctx context.Context, f *flight, why error) {
	switch {
	case errors.Is(why, errGivenUp):
	case errors.Is(why, errFenced):
		c.log.WarnContext(ctx, "an HTTP call was broken off; its lease brings it back", "app", f.App, "execution",
			f.Trigger.ID, "reason", why)
	default:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupcommit.Timeout)
		defer cancel()
		c.lose(ctx, []firjob.AttemptRef{f.ref()}, "server "+c.replica+" stopped before the answer came")
	}
}

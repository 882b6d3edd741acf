package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

const (
	startTime   = 2 * time.Second // of one request
	longestAsk  = time.Second     // between two of them, unless the server asks for more
	maxQuestion = firjob.MaxBatch
)

// errNotCurrent is the cause for which an exclusive attempt does not begin.
var errNotCurrent = fmt.Errorf("the server does not let it begin: %w", ErrLeaseLost)

// starter asks the server whether exclusive attempts may begin. One request is
// on its way at a time; those that come meanwhile share the next one.
type starter struct {
	post  func(context.Context, []firjob.AttemptRef) (firjob.StartReply, error)
	renew func(granted []firjob.AttemptRef, start time.Time, lease time.Duration)
	log   *slog.Logger
	wake  chan struct{}

	mu       sync.Mutex
	asking   []*question
	failures int // requests in a row that found no answer; only run uses it
}

// question is an attempt that waits to begin.
type question struct {
	ref     firjob.AttemptRef
	over    <-chan struct{} // closed when nobody waits for the answer any more
	granted chan bool       // has room for the answer
}

func newStarter(post func(context.Context, []firjob.AttemptRef) (firjob.StartReply, error),
	renew func([]firjob.AttemptRef, time.Time, time.Duration), log *slog.Logger,
) *starter {
	return &starter{post: post, renew: renew, log: log, wake: make(chan struct{}, 1)}
}

// ask returns nil once the server has granted that the attempt begins, and
// otherwise the cause for which it must not: errNotCurrent, or that of ctx.
func (s *starter) ask(ctx context.Context, ref firjob.AttemptRef) error {
	q := &question{ref: ref, over: ctx.Done(), granted: make(chan bool, 1)}
	s.mu.Lock()
	s.asking = append(s.asking, q)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case granted := <-q.granted:
		if !granted {
			return errNotCurrent
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run asks until ctx ends.
func (s *starter) run(ctx context.Context) {
	for ctx.Err() == nil {
		batch := s.take()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		}
		if err := s.pass(ctx, batch); err != nil && ctx.Err() == nil {
			s.failed(ctx, batch, err)
		}
	}
}

// take takes the next questions, but for those that nobody waits for.
func (s *starter) take() []*question {
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch []*question
	for len(s.asking) > 0 && len(batch) < maxQuestion {
		q := s.asking[0]
		s.asking = s.asking[1:]
		select {
		case <-q.over:
		default:
			batch = append(batch, q)
		}
	}
	return batch
}

// pass asks once. A granted attempt has its lease renewed before it hears of it,
// counted from before the request, as by a beat.
func (s *starter) pass(ctx context.Context, batch []*question) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	start, refs := time.Now(), make([]firjob.AttemptRef, len(batch))
	for i, q := range batch {
		refs[i] = q.ref
	}
	reply, err := s.post(ctx, refs)
	if err != nil {
		return err
	}
	if len(reply.Granted) != len(batch) {
		return fmt.Errorf("the server gave %d answers for %d attempts", len(reply.Granted), len(batch))
	}
	var granted []firjob.AttemptRef
	for i, yes := range reply.Granted {
		if yes {
			granted = append(granted, refs[i])
		}
	}
	s.renew(granted, start, reply.Lease.Std())
	for i, q := range batch {
		q.granted <- reply.Granted[i]
	}
	if s.failures > 0 {
		s.log.Info("the server answers about exclusive executions again", "failures", s.failures)
	}
	s.failures = 0
	return nil
}

// failed puts a batch back, first in line, and waits.
func (s *starter) failed(ctx context.Context, batch []*question, err error) {
	s.mu.Lock()
	s.asking = append(batch, s.asking...)
	s.mu.Unlock()
	s.failures++
	wait := max(backoff(s.failures, longestAsk), askedWait(err))
	if worthLogging(s.failures) {
		s.log.Warn("no answer whether exclusive executions may begin; they wait while their leases hold",
			"waiting", len(batch), "failures", s.failures, "wait", wait, "error", err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// postStart returns what posts one question for several attempts.
func (w *Worker) postStart(cl *client) func(context.Context, []firjob.AttemptRef) (firjob.StartReply, error) {
	return func(ctx context.Context, refs []firjob.AttemptRef) (firjob.StartReply, error) {
		var reply firjob.StartReply
		body, err := json.Marshal(
			firjob.Start{App: w.opt.App, Address: *w.address.Load(), Incarnation: w.incarnation, Attempts: refs})
		if err != nil {
			return reply, fmt.Errorf("write a question for attempts to begin: %w", err)
		}
		err = cl.post(ctx, firjob.PathStart, body, &reply, http.StatusOK)
		return reply, err
	}
}

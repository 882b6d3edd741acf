package scheduler

import (
	"context"
	"sync"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
)

// Cancel asks executors to cancel attempts of an app: the one that holds an
// attempt or, as long as no beat has named that, every live one, of which those
// that do not run the attempt ignore it. If an executor cannot be reached, the
// reply to its next beat asks it again.
func (s *Scheduler) Cancel(ctx context.Context, app string, attempts ...firjob.AttemptRef) {
	key, ok := s.executors.key(app)
	if !ok || len(attempts) == 0 {
		return
	}
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupcommit.Timeout)
		defer cancel()
		var asking sync.WaitGroup
		for to, refs := range s.holders(ctx, app, attempts) {
			asking.Go(func() { s.cancelAt(ctx, to, key, refs) })
		}
		asking.Wait()
	})
}

func (s *Scheduler) cancelAt(ctx context.Context, at firjob.ExecutorKey, key []byte, attempts []firjob.AttemptRef) {
	to := firjob.Executor{App: at.App, Address: at.Address, Incarnation: at.Incarnation}
	if err := s.sender.Cancel(ctx, to, key, s.clock.Now(), attempts); err != nil {
		s.log.InfoContext(ctx, "an executor could not be asked to cancel; the reply to its next beat asks it again",
			"app", at.App, "executor", at.Address, "error", err)
	}
}

// holders tells which executors are to be asked about which attempts. The server
// that makes an HTTP call learns from the store that it is to be cancelled.
func (s *Scheduler) holders(
	ctx context.Context, app string, attempts []firjob.AttemptRef,
) map[firjob.ExecutorKey][]firjob.AttemptRef {
	held, err := s.store.Holders(ctx, app, attempts)
	if err != nil {
		s.log.InfoContext(ctx, "the store does not say who holds attempts; every executor is asked to cancel them",
			"app", app, "error", err)
	}
	known := make(map[firjob.AttemptRef]bool, len(held))
	asked := make(map[firjob.ExecutorKey][]firjob.AttemptRef)
	for _, h := range held {
		known[h.Attempt] = true
		if h.Executor.Address != callAddress {
			asked[h.Executor] = append(asked[h.Executor], h.Attempt)
		}
	}
	live := s.executors.list(app)
	for _, a := range attempts {
		if known[a] {
			continue
		}
		for _, e := range live {
			asked[e.Key()] = append(asked[e.Key()], a)
		}
	}
	return asked
}

package scheduler

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the group commits.
const (
	finishBatch  = 2 * firjob.MaxBatch // results in one transaction
	finishers    = 2                   // transactions at a time
	finishEnough = firjob.MaxBatch / 2
	// A result that comes alone is recorded at once, the next one after this time.
	// At 12,000/s it makes the batches of 34 results some 65, and saves 10 of the
	// 78 µs of CPU that servers, executors and Redis take for each execution. Twice
	// the time saves no more.
	finishGap = 5 * time.Millisecond
	holdBatch = 4 * firjob.MaxBatch
)

// Finish records a batch of results of one executor and returns after the
// commit; receipts are in the order of the results. Batches of several callers
// share a transaction.
func (s *Scheduler) Finish(ctx context.Context, callback firjob.Callback) ([]firjob.Receipt, error) {
	from := firjob.ExecutorKey{App: callback.App, Address: callback.Address, Incarnation: callback.Incarnation}
	items := make([]ports.FinishItem, len(callback.Results))
	for i, r := range callback.Results {
		items[i] = ports.FinishItem{Executor: from, Result: r}
	}
	return s.finishes.Do(ctx, items)
}

func (s *Scheduler) finish(ctx context.Context, items []ports.FinishItem) ([]firjob.Receipt, error) {
	result, err := s.store.Finish(ctx, items)
	if err != nil {
		return nil, err
	}
	type end struct {
		outcome firjob.Outcome
		receipt firjob.Receipt
	}
	ends := make(map[end]int, 1)
	for i, receipt := range result.Receipts {
		ends[end{items[i].Result.Outcome, receipt}]++
		s.metrics.noteStart(items[i].Result, receipt)
	}
	for e, n := range ends {
		s.metrics.results.WithLabelValues(string(e.outcome), string(e.receipt)).Add(float64(n))
	}
	s.follow(ctx, result.Followed)
	return result.Receipts, nil
}

// follow does what a committed change leads to outside of the store, beside
// the caller. All of it is advice: the sweep would find it, only later.
func (s *Scheduler) follow(ctx context.Context, f ports.Followed) {
	s.backfills.nudge(f.Backfills)
	if f.Admit {
		s.admission.nudge()
	}
	for app, attempts := range f.CancelByApp() {
		s.Cancel(ctx, app, attempts...)
	}
	if len(f.Ended)+len(f.Announce)+len(f.Plan) == 0 {
		return
	}
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupcommit.Timeout)
		defer cancel()
		s.queue.Ack(ctx, f.Ended)
		s.queue.Announce(ctx, f.Announce)
		if len(f.Plan) == 0 {
			return
		}
		if err := s.planner.jobs(ctx, f.Plan); err != nil {
			s.log.WarnContext(ctx, "jobs cannot be planned at once; the sweep will", "jobs", len(f.Plan), "error", err)
		}
	})
}

// lose ends attempts without an answer.
func (s *Scheduler) lose(ctx context.Context, attempts []firjob.AttemptRef, reason string) {
	if len(attempts) == 0 {
		return
	}
	followed, err := s.store.Lose(ctx, attempts, reason)
	if err != nil {
		s.log.WarnContext(ctx, "attempts without an answer cannot be ended; their lease will", "attempts",
			len(attempts), "error", err)
		return
	}
	s.lost(ctx, followed)
}

func (s *Scheduler) lost(ctx context.Context, followed ports.Followed) {
	s.metrics.lost.Add(float64(followed.Lost))
	if n := len(followed.Announce) + len(followed.Ended); n > 0 {
		s.log.InfoContext(ctx, "attempts ended without an answer", "again", len(followed.Announce), "ended",
			len(followed.Ended))
	}
	s.follow(ctx, followed)
}

// executorGone ends what an executor ran: what its beats have named, which the
// store knows, and what was sent to it a moment ago, which this server knows.
func (s *Scheduler) executorGone(ctx context.Context, key firjob.ExecutorKey, reason string) {
	s.lose(ctx, s.sent.take(key, s.clock.local()), reason)
	followed, err := s.store.LoseExecutor(ctx, key, reason)
	if err != nil {
		s.log.WarnContext(ctx, "what a gone executor ran cannot be ended; its leases will", "app", key.App, "executor",
			key.Address, "error", err)
		return
	}
	s.repairs.add(repairExecutor, followed.Lost)
	s.lost(ctx, followed)
}

// replicaGone ends what a server had claimed and no executor has.
func (s *Scheduler) replicaGone(ctx context.Context, replica string, before time.Time) error {
	followed, err := s.store.LoseReplica(ctx, replica, before, "server "+replica+" is dead and no executor holds it")
	if err != nil {
		return err
	}
	s.repairs.add(repairReplica, followed.Lost)
	s.lost(ctx, followed)
	return nil
}

package scheduler

import (
	"context"
	"log/slog"
	"time"
)

// Numbers of the sweep.
const (
	sweepInterval = 2 * time.Second
	sweepLimit    = 1000 // rows of each kind in one pass
	// overdueSlack is how late a planned execution must be before the sweep
	// takes its announcement to be lost.
	overdueSlack = time.Second
)

// sweep finds what got stuck, from what Postgres says alone.
type sweep struct {
	scheduler *Scheduler
	lease     time.Duration
	log       *slog.Logger

	// trustFrom is the local instant from which leases are believed: one lease
	// after Postgres was first reached, or reached again. Before that they may
	// have ended because nobody could renew them. Confined to the loop.
	trustFrom time.Time
	healthy   bool
}

// pass does one sweep.
func (w *sweep) pass(ctx context.Context) {
	s := w.scheduler
	if err := w.all(ctx); err != nil {
		if ctx.Err() == nil {
			w.log.WarnContext(ctx, "the sweep failed; the next one tries again", "error", err)
		}
		w.healthy = false
		return
	}
	if !w.healthy {
		w.healthy = true
		w.trustFrom = s.clock.local().Add(w.lease)
	}
}

func (w *sweep) all(ctx context.Context) error {
	s := w.scheduler
	due, err := s.store.Overdue(ctx, overdueSlack, sweepLimit)
	if err != nil {
		return err
	}
	s.metrics.overdue.Add(float64(len(due)))
	s.queue.Announce(ctx, due)
	if w.healthy && s.clock.local().After(w.trustFrom) {
		followed, err := s.store.ExpireLeases(ctx, sweepLimit)
		if err != nil {
			return err
		}
		s.lost(ctx, followed)
	}
	if !s.queue.degraded.Load() {
		if _, err := s.queue.Reap(ctx, s.peers.shards(), sweepLimit); err != nil {
			s.queue.failed(ctx, "reap", err)
		}
	}
	// Jobs whose next fire was decided by a replica that died before it could
	// plan them.
	s.planner.pass(ctx, 2*sweepInterval)
	return nil
}

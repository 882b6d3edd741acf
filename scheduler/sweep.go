package scheduler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
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

	// trustFrom is the local instant from which leases are believed: one lease
	// after Postgres was first reached, or reached again after a failure or a
	// stall, be it Postgres's or this process's. Before that they may have ended
	// because nobody could renew them. These three are confined to the loop.
	trustFrom time.Time
	completed time.Time // local: when leases were last looked at with success; zero after a failure
	strangers int64     // removed from the queue before the last pass

	full atomic.Pointer[time.Time] // local: when all parts of a pass last went well; at first, the start
}

// pass does one sweep. Its parts do not depend on each other.
func (w *sweep) pass(ctx context.Context) {
	s := w.scheduler
	leases := s.troubles.report(ctx, "end leases", w.leases(ctx))
	if leases {
		w.completed = s.clock.local()
	} else {
		w.completed = time.Time{}
	}
	overdue := s.troubles.report(ctx, "look for overdue executions", w.overdue(ctx))
	if reaped := w.reap(ctx); leases && overdue && reaped {
		w.completedAll()
	}
	w.countStrangers()
	s.repairs.review(ctx)
}

func (w *sweep) completedAll() {
	now := w.scheduler.clock.local()
	w.full.Store(&now)
}

// age returns the time since all parts of a pass last went well.
func (w *sweep) age() time.Duration { return w.scheduler.clock.local().Sub(*w.full.Load()) }

// countStrangers counts what was removed from the queue since the last pass.
func (w *sweep) countStrangers() {
	if queue := w.scheduler.options.HealthQueue; queue != nil {
		removed := queue.Removed()
		w.scheduler.repairs.add(repairStrangers, int(removed-w.strangers))
		w.strangers = removed
	}
}

// overdue takes executions whose announcement was lost, or of which Redis's
// clock thinks that they have time, straight to the claim: this replica's at
// once, everybody's when their own replica does not see to it.
func (w *sweep) overdue(ctx context.Context) error {
	s := w.scheduler
	if s.queue.degraded.Load() {
		return nil // the claims come from Postgres anyway
	}
	due, err := s.store.Overdue(ctx, overdueSlack, sweepLimit)
	if err != nil {
		return err
	}
	abandoned := s.clock.Now().Add(-overdueSlack - 2*sweepInterval)
	var ids []firjob.ExecutionID
	for _, d := range due {
		if s.peers.ownsJob(d.ID.Job()) || d.At.Before(abandoned) {
			ids = append(ids, d.ID)
		}
	}
	if s.fire.idle() {
		s.metrics.overdue.Add(float64(len(ids)))
		s.repairs.add(repairOverdue, len(ids))
		s.fire.commit(ctx, ids)
	}
	return nil
}

// leases ends attempts whose lease or deadline has passed.
func (w *sweep) leases(ctx context.Context) error {
	s := w.scheduler
	if now := s.clock.local(); now.Sub(w.completed) > 2*sweepInterval {
		w.trustFrom = now.Add(w.lease)
	}
	if s.clock.local().Before(w.trustFrom) {
		return nil
	}
	followed, err := s.store.ExpireLeases(ctx, sweepLimit)
	if err != nil {
		return err
	}
	s.repairs.add(repairLeaseExpired, followed.Lost)
	s.repairs.add(repairTimedOut, followed.TimedOut)
	s.lost(ctx, followed)
	return nil
}

// reap puts back what some replica has claimed from the queue and not committed,
// and reports whether that went well. Without Redis there is nothing to put back.
func (w *sweep) reap(ctx context.Context) bool {
	s := w.scheduler
	if s.queue.degraded.Load() {
		return true
	}
	reaped, err := s.queue.Reap(ctx, s.peers.shards(), sweepLimit)
	s.repairs.add(repairReaped, reaped)
	if err != nil {
		s.queue.failed(ctx, "reap", err)
	}
	return err == nil
}

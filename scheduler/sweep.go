package scheduler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the sweep.
const (
	sweepInterval = 2 * time.Second
	sweepLimit    = 1000 // rows of each kind in one pass
	// overdueSlack is how late a planned execution must be before the sweep
	// takes its announcement to be lost.
	overdueSlack = time.Second
)

// sweepParts are what a sweep works with.
type sweepParts struct {
	store    Store
	queue    *guardedQueue
	removed  func() int64 // ids that Redis held and Postgres did not know, removed so far; nil: not counted
	clock    *storeClock
	peers    *peers
	fire     *fire
	lost     func(context.Context, ports.Followed) // follows up attempts that ended without an answer
	lease    time.Duration
	metrics  *metrics
	repairs  *repairs
	troubles *troubles
}

// sweep finds executions that are stuck, from what Postgres says alone.
type sweep struct {
	sweepParts

	// trustFrom is the local instant from which leases are believed: one lease
	// after Postgres was first reached, or reached again after a failure or a
	// stall, be it Postgres's or this process's. Leases that ended before may have
	// ended because nobody could renew them. These three are confined to the loop.
	trustFrom time.Time
	completed time.Time // local: when leases were last looked at with success; zero after a failure
	counted   int64     // of removed, before the last pass

	full atomic.Pointer[time.Time] // local: when all parts of a pass last went well; at first, the start
}

// newSweep returns a sweep whose age is zero.
func newSweep(parts sweepParts) *sweep {
	w := &sweep{sweepParts: parts}
	w.completedAll()
	return w
}

// pass does one sweep. Its parts do not depend on each other.
func (w *sweep) pass(ctx context.Context) {
	leases := w.troubles.report(ctx, "end leases", w.leases(ctx))
	if leases {
		w.completed = w.clock.local()
	} else {
		w.completed = time.Time{}
	}
	overdue := w.troubles.report(ctx, "look for overdue executions", w.overdue(ctx))
	if reaped := w.reap(ctx); leases && overdue && reaped {
		w.completedAll()
	}
	w.countRemoved()
	w.repairs.review(ctx)
}

func (w *sweep) completedAll() {
	now := w.clock.local()
	w.full.Store(&now)
}

// age returns the time since all parts of a pass last went well.
func (w *sweep) age() time.Duration { return w.clock.local().Sub(*w.full.Load()) }

// countRemoved counts the unknown ids that were removed from Redis since the last pass.
func (w *sweep) countRemoved() {
	if w.removed == nil {
		return
	}
	removed := w.removed()
	w.repairs.add(repairStrangers, int(removed-w.counted))
	w.counted = removed
}

// overdue claims executions that are due and were not taken from Redis: their
// announcement was lost, or Redis's clock is behind. It claims those of this server's
// shards at once, and those of all shards when their own server does not.
func (w *sweep) overdue(ctx context.Context) error {
	if w.queue.degraded.Load() {
		return nil // the claims come from Postgres anyway
	}
	due, err := w.store.Overdue(ctx, overdueSlack, sweepLimit)
	if err != nil {
		return err
	}
	abandoned := w.clock.Now().Add(-overdueSlack - 2*sweepInterval)
	var ids []firjob.ExecutionID
	for _, d := range due {
		if w.peers.ownsJob(d.ID.Job()) || d.At.Before(abandoned) {
			ids = append(ids, d.ID)
		}
	}
	if w.fire.idle() {
		w.metrics.overdue.Add(float64(len(ids)))
		w.repairs.add(repairOverdue, len(ids))
		w.fire.commit(ctx, ids)
	}
	return nil
}

// leases ends attempts whose lease or deadline has passed.
func (w *sweep) leases(ctx context.Context) error {
	if now := w.clock.local(); now.Sub(w.completed) > 2*sweepInterval {
		w.trustFrom = now.Add(w.lease)
	}
	if w.clock.local().Before(w.trustFrom) {
		return nil
	}
	followed, err := w.store.ExpireLeases(ctx, sweepLimit)
	if err != nil {
		return err
	}
	w.repairs.add(repairLeaseExpired, followed.Lost)
	w.repairs.add(repairTimedOut, followed.TimedOut)
	w.lost(ctx, followed)
	return nil
}

// reap puts back ids that a server took from Redis and whose claim it did not commit.
// It reports whether that went well. Without Redis there is nothing to put back.
func (w *sweep) reap(ctx context.Context) bool {
	if w.queue.degraded.Load() {
		return true
	}
	reaped, err := w.queue.Reap(ctx, w.peers.shards(), sweepLimit)
	w.repairs.add(repairReaped, reaped)
	if err != nil {
		w.queue.failed(ctx, "reap", err)
	}
	return err == nil
}

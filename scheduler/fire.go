package scheduler

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the claim.
const (
	// lead is how long before their instant executions are claimed. The claim and
	// its commit must fit into it.
	lead = 250 * time.Millisecond
	// breath is the pause between claims, in which batches fill up. It is shorter
	// than the lead, so it makes no fire late.
	breath = 40 * time.Millisecond
	// wakeBreath is the pause when an execution is due at once.
	wakeBreath = 2 * time.Millisecond
	// idle is the longest pause. A lost wake costs no more than this.
	idle = time.Second
	// helpAfter is how long the head of another server's shard must be overdue
	// before this server claims from it. It looks each helpEvery.
	helpAfter = 500 * time.Millisecond
	helpEvery = 500 * time.Millisecond
	// claimBatch is how many executions one commit claims, and one shard gives.
	claimBatch = firjob.MaxBatch
	// committers is how many claims are committed at a time.
	committers = 2
	// maxFlights bounds what this server has claimed and not handed over. Beyond it
	// the server claims nothing, so that other servers may.
	maxFlights = 16 * firjob.MaxBatch
)

// fire claims what is about to be due, commits the claims and holds the flights
// until their instant.
type fire struct {
	store    Store
	queue    *guardedQueue
	clock    *storeClock
	peers    *peers
	replica  string
	lease    time.Duration
	enter    func(context.Context, []*flight) // into the hold
	follow   func(context.Context, ports.Followed)
	metrics  *metrics
	troubles *troubles
	repairs  *repairs

	flights atomic.Int64   // claimed and not handed over
	ahead   atomic.Int64   // by how much the queue's clock is ahead of the store's, a time.Duration
	claims  atomic.Int64   // calls of the store's Claim, to tell them apart
	commits sync.WaitGroup // under way; waited for when no loop is left that adds to them
	slots   chan struct{}

	helped    time.Time // confined to the loop, as is the next
	inheritAt time.Time // when to look for what was left in shards that were gained; zero: none were
}

// run claims until ctx ends.
func (f *fire) run(ctx context.Context) {
	wakes := f.queue.Wakes(ctx)
	for ctx.Err() == nil {
		pause := f.pass(ctx)
		wakes = f.pause(ctx, pause, wakes)
	}
}

// pause waits for d before the next claim, or less when a shard of this server has a
// new earlier head. A wake may bring the end of the pause forward; it never puts the
// end off.
func (f *fire) pause(ctx context.Context, d time.Duration, wakes <-chan ports.Wake) <-chan ports.Wake {
	end := f.clock.local().Add(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return wakes
		case <-timer.C:
			return wakes
		case <-f.peers.gained:
			f.inheritAt = f.clock.local().Add(helpAfter)
			return wakes
		case w, ok := <-wakes:
			if !ok {
				return nil // ctx has ended
			}
			if !f.peers.owns(w.Shard) {
				continue
			}
			left := max(f.clock.Until(w.At)-lead, wakeBreath)
			if earlier := f.clock.local().Add(left); earlier.Before(end) {
				end = earlier
				timer.Reset(left)
			}
		}
	}
}

// pass claims once and returns how long the next pass can wait.
func (f *fire) pass(ctx context.Context) time.Duration {
	if f.flights.Load() >= maxFlights {
		return breath
	}
	if f.queue.degraded.Load() {
		return f.passDegraded(ctx)
	}
	batch, err := f.queue.Claim(ctx, f.peers.shards(), claimBatch, lead, f.lease)
	f.compare(batch)
	f.commit(ctx, batch.IDs)
	if err != nil {
		f.queue.failed(ctx, "claim", err)
		return wakeBreath
	}
	next := min(f.help(ctx), f.inherit(ctx))
	switch {
	case batch.Full:
		return 0
	case batch.Next < 0:
		return next
	}
	return min(max(batch.Next-lead, breath), next)
}

// help claims what is overdue in the shards of other servers: one of them may have
// died a moment ago. It returns after how long to look again.
func (f *fire) help(ctx context.Context) (next time.Duration) {
	others := f.peers.others()
	if len(others) == 0 {
		return idle
	}
	if next := helpEvery - f.clock.local().Sub(f.helped); next > 0 {
		return next
	}
	f.helped = f.clock.local()
	batch, err := f.queue.Claim(ctx, others, claimBatch, -helpAfter, f.lease)
	f.commit(ctx, batch.IDs)
	if err != nil {
		f.queue.failed(ctx, "claim", err)
	}
	return helpEvery
}

// inherit claims what is overdue in the shards that this server has just gained. Ids
// that a dead server popped but never committed are missing from Redis, so it asks
// Postgres. It runs a while after the shards were gained, when all of these are
// overdue. It returns after how long to call it again.
func (f *fire) inherit(ctx context.Context) (next time.Duration) {
	if f.inheritAt.IsZero() {
		return idle
	}
	if left := f.inheritAt.Sub(f.clock.local()); left > 0 {
		return left
	}
	room := maxFlights - int(f.flights.Load())
	if room <= 0 {
		return breath
	}
	f.inheritAt = time.Time{}
	due, err := f.store.Overdue(ctx, helpAfter, min(room, sweepLimit))
	if !f.troubles.report(ctx, "look for what dead servers have left; the sweep will", err) {
		return idle
	}
	var ids []firjob.ExecutionID
	for _, d := range due {
		if f.peers.ownsJob(d.ID.Job()) {
			ids = append(ids, d.ID)
		}
	}
	f.metrics.overdue.Add(float64(len(ids)))
	f.repairs.add(repairOverdue, len(ids))
	f.commit(ctx, ids)
	return idle
}

// passDegraded claims what is due according to Postgres. Each server takes its own
// shards, as far as the servers still know of each other, and what is overdue in any.
func (f *fire) passDegraded(ctx context.Context) time.Duration {
	due, err := f.store.DuePlanned(ctx, lead, 2*claimBatch)
	if !f.troubles.report(ctx, "ask postgres what is due, without which nothing is claimed", err) {
		return pollInterval
	}
	overdue := f.clock.Now().Add(-helpAfter)
	var ids []firjob.ExecutionID
	for _, d := range due {
		if f.peers.ownsJob(d.ID.Job()) || d.At.Before(overdue) {
			ids = append(ids, d.ID)
		}
	}
	f.commit(ctx, ids).Wait() // or the next look would find the same rows
	if len(due) == 2*claimBatch {
		return wakeBreath
	}
	return pollInterval
}

// commit commits the claim of ids in batches, each on its own goroutine. The caller may
// wait for them. It blocks while all committers are busy, so that no more ids are popped
// while Postgres is slow.
func (f *fire) commit(ctx context.Context, ids []firjob.ExecutionID) *sync.WaitGroup {
	under := new(sync.WaitGroup)
	for len(ids) > 0 && ctx.Err() == nil { // what is left out comes back by the queue's lease
		n := min(len(ids), claimBatch)
		batch := ids[:n]
		ids = ids[n:]
		f.slots <- struct{}{}
		f.commits.Add(1)
		under.Go(func() {
			defer f.commits.Done()
			defer func() { <-f.slots }()
			// The claim is made even if the server is about to stop: the drain gives
			// back what it brings.
			f.commitBatch(context.WithoutCancel(ctx), batch)
		})
	}
	return under
}

func (f *fire) commitBatch(ctx context.Context, ids []firjob.ExecutionID) {
	failpoint.Crash(failpoint.AfterPop, len(ids))
	began := f.clock.local()
	by := ports.ClaimBy{Replica: f.replica, Call: strconv.FormatInt(f.claims.Add(1), 36), Lease: f.lease}
	result, err := f.store.Claim(ctx, ids, by)
	if !f.troubles.report(ctx, "commit a claim; it is undone and made again", err) {
		f.undo(ctx, by, ids)
		return
	}
	failpoint.Crash(failpoint.AfterCommit, len(result.Claimed))
	f.metrics.claimed.Add(float64(len(result.Claimed)))
	flights := make([]*flight, len(result.Claimed))
	for i, c := range result.Claimed {
		ahead := max(0, f.clock.Until(c.DueAt))
		flights[i] = &flight{Claimed: c, claimedAt: began, leaseEnd: began.Add(ahead + f.lease)}
	}
	f.flights.Add(int64(len(flights)))
	f.enter(ctx, flights) // first: Redis, which follows, may hang
	f.follow(ctx, result.Followed)
	f.queue.Ack(ctx, result.Dropped)
	f.queue.Return(ctx, f.corrected(result.Early))
}

// compare notes how far the queue's clock is ahead of the store's.
func (f *fire) compare(batch ports.Batch) {
	if !batch.Now.IsZero() {
		f.ahead.Store(int64(max(0, batch.Now.Sub(f.clock.Now()))))
	}
}

// corrected returns when the queue is to give executions again that the store
// would not give yet, by the queue's clock: otherwise they would be claimed again
// at once, in vain. Where the store gives an execution at its instant only, because
// an overlap rule is decided then, it is put off by the lead too.
func (f *fire) corrected(early []firjob.Due) []firjob.Due {
	ahead := time.Duration(f.ahead.Load())
	for i, d := range early {
		early[i].At = d.At.Add(ahead)
		if f.clock.Until(d.At) <= lead {
			early[i].At = early[i].At.Add(lead)
		}
	}
	return early
}

// idle reports whether there is room for another claim at once.
func (f *fire) idle() bool { return f.flights.Load() < maxFlights && len(f.slots) < cap(f.slots) }

// undo deals with a claim whose commit may or may not have taken place: first
// undo it, if it did, then give the ids back to the queue, since until then no
// claim gets them. When Postgres does not come back in time, leases of both stores end by
// themselves.
func (f *fire) undo(ctx context.Context, by ports.ClaimBy, ids []firjob.ExecutionID) {
	ctx, cancel := context.WithTimeout(ctx, f.lease/2)
	defer cancel()
	for f.store.Unclaim(ctx, by, ids) != nil {
		if !sleep(ctx, 200*time.Millisecond) {
			return
		}
	}
	due := make([]firjob.Due, len(ids))
	for i, id := range ids {
		due[i] = firjob.Due{ID: id, At: id.ScheduledAt()}
	}
	f.queue.Return(ctx, due)
}

package scheduler

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
)

// guardedQueue is the delay queue behind the knowledge that Redis may be away.
// Redis is advice, so its writes never fail for the caller: while Redis is
// away they are left out, and the rebuild on its return makes up for them.
//
//	        an error of any call
//	normal ─────────────────────▶ degraded: claims come from Postgres
//	   ▲                              │
//	   └── rebuilt ◀── two probes ────┘
//	                   in a row succeed
type guardedQueue struct {
	Queue
	degraded atomic.Bool  // claims come from Postgres
	silent   atomic.Bool  // writes are left out; ends before the rebuild begins, so that it misses none
	failures atomic.Int64 // of calls, ever
	metrics  *metrics
	log      *slog.Logger
}

// failed notes an error of Redis and turns to degraded mode.
func (q *guardedQueue) failed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	q.failures.Add(1)
	q.silent.Store(true)
	if q.degraded.CompareAndSwap(false, true) {
		q.metrics.degraded.Set(1)
		q.log.WarnContext(ctx, "redis cannot be reached; claims come straight from postgres until it is back", "during",
			what, "error", err)
	}
}

// recovered turns back to normal mode.
func (q *guardedQueue) recovered(ctx context.Context) {
	if q.degraded.CompareAndSwap(true, false) {
		q.metrics.degraded.Set(0)
		q.log.InfoContext(ctx, "redis is back and its index rebuilt")
	}
}

// Announce announces unless Redis is away.
func (q *guardedQueue) Announce(ctx context.Context, due []firjob.Due) {
	q.try(ctx, "announce", len(due), func() error { return q.Queue.Announce(ctx, due) })
}

// Ack acknowledges unless Redis is away.
func (q *guardedQueue) Ack(ctx context.Context, ids []firjob.ExecutionID) {
	q.try(ctx, "ack", len(ids), func() error { return q.Queue.Ack(ctx, ids) })
}

// Return returns unless Redis is away.
func (q *guardedQueue) Return(ctx context.Context, due []firjob.Due) {
	q.try(ctx, "return", len(due), func() error { return q.Queue.Return(ctx, due) })
}

func (q *guardedQueue) try(ctx context.Context, what string, n int, f func() error) {
	if n == 0 || q.silent.Load() {
		return
	}
	if err := f(); err != nil {
		q.failed(ctx, what, err)
	}
}

// Cadence of the degraded mode.
const (
	pollInterval  = 100 * time.Millisecond // between looks into Postgres
	probeInterval = 500 * time.Millisecond // between looks at Redis
	probesWanted  = 2                      // good ones in a row before Redis is trusted again
)

// index watches over the delay queue as a whole: its epoch, and Redis's
// absence and return.
type index struct {
	store   Store
	queue   *guardedQueue
	horizon time.Duration
	metrics *metrics
	log     *slog.Logger

	// Confined to the loop.
	epoch    string
	good     int   // probes in a row, with no failure of any call between
	failures int64 // of the queue, when the last probe began
}

// pass looks once at Redis. A new epoch, whoever began it, means that the index
// is empty or partial: it is rebuilt from Postgres.
func (x *index) pass(ctx context.Context) {
	failures := x.queue.failures.Load()
	if failures != x.failures {
		x.good, x.failures = 0, failures
	}
	epoch, fresh, err := x.queue.Epoch(ctx)
	if err != nil {
		x.queue.failed(ctx, "epoch", err)
		return
	}
	x.good++
	degraded := x.queue.degraded.Load()
	if degraded && x.good < probesWanted {
		return
	}
	if degraded || fresh || epoch != x.epoch || x.queue.silent.Load() {
		x.queue.silent.Store(false)
		if err := x.rebuild(ctx); err != nil {
			x.log.WarnContext(ctx, "rebuilding the delay queue failed; trying again", "error", err)
			return
		}
		x.epoch = epoch
	}
	if x.queue.failures.Load() == failures {
		x.queue.recovered(ctx)
	}
}

const rebuildPage = 5000

// rebuild announces every planned execution within the horizon. Announcing what
// is there already changes nothing, so any number of servers may do it.
func (x *index) rebuild(ctx context.Context) error {
	var after firjob.ExecutionID
	total := 0
	for {
		page, err := x.store.Upcoming(ctx, x.horizon, after, rebuildPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		if err := x.queue.Queue.Announce(ctx, page); err != nil {
			return err
		}
		total += len(page)
		after = page[len(page)-1].ID
	}
	x.metrics.rebuilds.Inc()
	x.log.InfoContext(ctx, "delay queue rebuilt from postgres", "executions", total)
	return nil
}

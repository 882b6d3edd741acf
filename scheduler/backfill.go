package scheduler

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/firjob/firjob/internal/ports"
)

// backfills continues backfills: at once those in which this server has made room,
// and every sweep all that are open, since the server that made room in one may have
// died. One loop does it, so that many ends at a time continue each backfill once.
type backfills struct {
	store    Store
	follow   func(context.Context, ports.Followed)
	troubles *troubles
	wake     wake

	mu     sync.Mutex
	nudged map[ports.BackfillID]bool
}

func newBackfills(store Store, follow func(context.Context, ports.Followed), troubles *troubles) *backfills {
	return &backfills{store: store, follow: follow, troubles: troubles, wake: newWake(),
		nudged: map[ports.BackfillID]bool{}}
}

// nudge lets the loop continue backfills.
func (b *backfills) nudge(ids []ports.BackfillID) {
	if len(ids) == 0 {
		return
	}
	b.mu.Lock()
	for _, id := range ids {
		b.nudged[id] = true
	}
	b.mu.Unlock()
	b.wake.up()
}

// run continues what was nudged until ctx ends.
func (b *backfills) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			b.mu.Lock()
			ids := slices.Sorted(maps.Keys(b.nudged))
			clear(b.nudged)
			b.mu.Unlock()
			b.advance(ctx, ids)
		}
	}
}

// sweep continues every open backfill.
func (b *backfills) sweep(ctx context.Context) {
	ids, err := b.store.OpenBackfills(ctx, sweepLimit)
	if !b.troubles.report(ctx, "look for open backfills", err) {
		return
	}
	b.nudge(ids)
}

// advance continues each of the backfills. One that cannot be is tried again by
// the next sweep.
func (b *backfills) advance(ctx context.Context, ids []ports.BackfillID) {
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		followed, err := b.store.ContinueBackfill(ctx, id)
		if b.troubles.report(ctx, "continue backfills", err) {
			b.follow(ctx, followed)
		}
	}
}

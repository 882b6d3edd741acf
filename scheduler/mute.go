package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// A live executor is mute when no beat of it has arrived for firjob.DeadAfter. A
// probe proves that its port answers. It does not prove that results can come
// back, so a mute executor keeps what it holds and gets nothing new.

// listen decides which executors are mute, from what a reading of the registry
// that began at the (local) instant has found.
func (x *executors) listen(ctx context.Context, began time.Time, degraded bool) {
	limit := firjob.DeadAfter
	if degraded {
		limit = degradedDeadAfter
	}
	if !degraded && x.anySilent(began, limit) && !x.hearOthers(ctx) {
		return // Postgres does not answer, so nothing is claimed either
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.live {
		before := e.mute
		e.mute = began.Sub(e.heard) > limit
		switch {
		case e.mute && !before:
			x.Log.WarnContext(ctx,
				"executor is mute: it answers at its port, but its beats do not arrive; it gets nothing new",
				"app", e.App, "executor", e.Address, "last_beat", e.LastBeat)
		case before && !e.mute:
			x.Log.InfoContext(ctx, "executor beats again", "app", e.App, "executor", e.Address)
		}
	}
}

// anySilent reports whether no beat of some executor is known since limit before
// the instant.
func (x *executors) anySilent(at time.Time, limit time.Duration) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.live {
		if at.Sub(e.heard) > limit {
			return true
		}
	}
	return false
}

// hearOthers takes beats from the snapshot in Postgres. A beat that went to a
// server without Redis is there and not in the registry. The snapshot tells when a
// beat was saved, up to snapshotInterval after it arrived, so a row that is not
// newer than that may tell of a beat that is known already.
func (x *executors) hearOthers(ctx context.Context) bool {
	saved, err := x.Store.Executors(ctx, firjob.DeadAfter)
	if !x.Troubles.report(ctx, "read the snapshot of the executors", err) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	now, local := x.Clock.Now(), x.Clock.local()
	for _, e := range saved {
		at := local.Add(-max(0, now.Sub(e.LastBeat)))
		if have, known := x.live[e.Key()]; known && at.Add(-snapshotInterval).After(have.beaten) {
			x.put(e, at)
		}
	}
	return true
}

// unwilling says for what reason none of the executors of an app that fit takes
// triggers; mu is held.
func unwilling(of string, fit []*executor) string {
	var mute []*executor
	for _, e := range fit {
		if e.counts == firjob.ExecutorActive && e.mute {
			mute = append(mute, e)
		}
	}
	switch {
	case len(mute) == 0 && len(fit) == 1:
		return "the only executor of " + of + " is cordoned or draining"
	case len(mute) == 0:
		return fmt.Sprintf("all %d executors of %s are cordoned or draining", len(fit), of)
	}
	last := fmt.Sprintf("no beat of %s has arrived since %s", mute[0].Address,
		mute[0].LastBeat.UTC().Format(time.RFC3339))
	switch {
	case len(fit) == 1:
		return "the only executor of " + of + " is mute: " + last
	case len(mute) == len(fit):
		return fmt.Sprintf("all %d executors of %s are mute: %s", len(fit), of, last)
	}
	return fmt.Sprintf("of the %d executors of %s %d are mute and the others cordoned or draining: %s", len(fit), of,
		len(mute), last)
}

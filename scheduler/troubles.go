package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often a trouble that lasts is logged.
const complainEvery = 10 * time.Second

// troubles logs what the loops cannot do: once when it begins, now and then
// while it lasts, and once when it is over. Without it an hour without Postgres
// would bury the line that matters under a hundred thousand others.
type troubles struct {
	log   *slog.Logger
	local func() time.Time

	mu   sync.Mutex
	open map[string]*trouble
}

// trouble is something that did not work the last time it was tried.
type trouble struct {
	since, told time.Time
	times       int
}

func newTroubles(log *slog.Logger, local func() time.Time) *troubles {
	return &troubles{log: log, local: local, open: make(map[string]*trouble)}
}

// report takes the outcome of one try of what the message says. It returns
// whether the try went well.
func (t *troubles) report(ctx context.Context, message string, err error) bool {
	if ctx.Err() != nil {
		return err == nil // on the way out anything may fail
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.local()
	have, lasts := t.open[message]
	switch {
	case err == nil && lasts:
		delete(t.open, message)
		t.log.InfoContext(ctx, message+": works again", "after", now.Sub(have.since).Round(time.Millisecond),
			"failures", have.times)
	case err == nil:
	case !lasts:
		t.open[message] = &trouble{since: now, told: now, times: 1}
		t.log.WarnContext(ctx, message+": failed; trying again", "error", err)
	default:
		have.times++
		if now.Sub(have.told) >= complainEvery {
			have.told = now
			t.log.WarnContext(ctx, message+": still fails", "failures", have.times, "error", err)
		}
	}
	return err == nil
}

package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// ledger is a store that knows of backfills only.
type ledger struct {
	Store
	mu        sync.Mutex
	open      []ports.BackfillID
	continued map[ports.BackfillID]int
	down      error
	hold      time.Duration // how long one takes
}

func (l *ledger) OpenBackfills(context.Context, int) ([]ports.BackfillID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.down
}

func (l *ledger) ContinueBackfill(_ context.Context, id ports.BackfillID) (ports.Followed, error) {
	time.Sleep(l.hold) // of the bubble
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return ports.Followed{}, l.down
	}
	l.continued[id]++
	return ports.Followed{Announce: []firjob.Due{{ID: firjob.NewExecutionID(1, time.Now(), firjob.KindBackfill, uint32(id))}}}, nil
}

func (l *ledger) want(t *testing.T, want map[ports.BackfillID]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := cmp.Diff(want, maps.Clone(l.continued)); diff != "" {
		t.Fatalf("continued (-want +got):\n%s", diff)
	}
}

func TestBackfillsAreContinued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &ledger{open: []ports.BackfillID{1, 2}, continued: map[ports.BackfillID]int{}, hold: time.Millisecond}
		var announced int
		b := newBackfills(store, func(_ context.Context, f ports.Followed) { announced += len(f.Announce) },
			newTroubles(slog.New(slog.DiscardHandler), time.Now))
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { b.run(ctx) })

		// A burst of ends continues a backfill now, and once more for what came
		// while that took place.
		for range 100 {
			b.nudge([]ports.BackfillID{2})
			b.nudge(nil)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := store.continued[2]; n < 1 || n > 2 {
			t.Fatalf("a burst continued it %d times, want once or twice", n)
		}
		clear(store.continued)

		// The sweep takes all that are open.
		b.sweep(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		store.want(t, map[ports.BackfillID]int{1: 1, 2: 1})

		// What fails is left to the next sweep.
		store.down = errors.New("down")
		b.sweep(ctx)
		b.nudge([]ports.BackfillID{1})
		time.Sleep(time.Second)
		synctest.Wait()
		store.want(t, map[ports.BackfillID]int{1: 1, 2: 1})
		store.down = nil
		b.sweep(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		store.want(t, map[ports.BackfillID]int{1: 2, 2: 2})
		cancel()
		loop.Wait()
		if announced < 5 {
			t.Errorf("%d were announced, want all that were recorded", announced)
		}
	})
}

package scheduler

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A fake pair of clocks: the store's runs a little slower or faster and is read
// over a line that delays answers. The estimate must never be ahead of it.
func TestStoreClockIsNeverAhead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		local := time.Unix(1_000_000, 0)
		store := time.Unix(rapid.Int64Range(0, 2_000_000).Draw(t, "store"), 0)
		clock := newStoreClock(func() time.Time { return local })
		slower := time.Duration(rapid.Int64Range(maxDrift, 1_000_000).Draw(t, "drift"))
		advance := func(d time.Duration) { local, store = local.Add(d), store.Add(d-d/slower) }
		for range rapid.IntRange(1, 50).Draw(t, "samples") {
			reading := store
			advance(time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "delay")))
			clock.Observe(reading)
			advance(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "pause")))
			if got := clock.Now(); got.After(store) {
				t.Fatalf("the estimate %v is ahead of the store's clock %v", got, store)
			}
		}
	})
}

func TestStoreClockKeepsTheBestBound(t *testing.T) {
	t.Parallel()
	local, store := time.Unix(100, 0), time.Unix(5000, 0)
	clock := newStoreClock(func() time.Time { return local })
	clock.Observe(store.Add(-time.Millisecond)) // a trip of 1 ms
	local, store = local.Add(time.Second), store.Add(time.Second)
	clock.Observe(store.Add(-80 * time.Millisecond)) // a slow one
	if got, want := store.Sub(clock.Now()), time.Millisecond+time.Second/maxDrift; got != want {
		t.Errorf("the estimate is %v behind, want %v", got, want)
	}
}

func TestStoreClockFollowsAStepBack(t *testing.T) {
	t.Parallel()
	local, store := time.Unix(100, 0), time.Unix(5000, 0)
	clock := newStoreClock(func() time.Time { return local })
	clock.Observe(store)
	store = store.Add(-time.Hour)
	for range len(clock.bounds) {
		local, store = local.Add(clockInterval), store.Add(clockInterval)
		clock.Observe(store)
	}
	if got := clock.Now(); !got.Equal(store) {
		t.Errorf("after the store's clock was set back the estimate is %v, want %v", got, store)
	}
}

func TestStoreClockBeforeTheFirstReading(t *testing.T) {
	t.Parallel()
	clock := newStoreClock(time.Now)
	if now := clock.Now(); !now.IsZero() {
		t.Errorf("Now before any reading = %v, want the zero time, before which nothing is due", now)
	}
}

package scheduler

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestHoldReleasesAtTheInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := newStoreClock(time.Now)
		clock.Observe(time.Now())
		h := newHold(clock)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		released := make(map[firjob.JobID]time.Duration)
		start := time.Now()
		wait.Go(func() {
			h.run(ctx, func(due []*flight) {
				for _, f := range due {
					released[f.Trigger.JobID] = time.Since(start)
				}
			})
		})
		in := func(job firjob.JobID, d time.Duration) *flight {
			return &flight{Claimed: ports.Claimed{DueAt: start.Add(d), Trigger: firjob.Trigger{JobID: job}}}
		}
		h.add([]*flight{in(1, 200*time.Millisecond), in(2, 50*time.Millisecond)})
		synctest.Wait()
		h.add([]*flight{in(3, 10*time.Millisecond)}) // a new head wakes it
		h.add([]*flight{in(4, -time.Second)})        // overdue
		time.Sleep(time.Second)
		cancel()
		wait.Wait()
		for job, want := range map[firjob.JobID]time.Duration{1: 200 * time.Millisecond, 2: 50 * time.Millisecond, 3: 10 * time.Millisecond, 4: 0} {
			late := want/maxDrift + time.Microsecond // what the estimate of the store's clock allows for
			if got, ok := released[job]; !ok || got < want || got > want+late {
				t.Errorf("flight %d was released after %v (%v), want %v", job, got, ok, want)
			}
		}
	})
}

func TestHoldKeepsWhatIsNotDue(t *testing.T) {
	t.Parallel()
	clock := newStoreClock(time.Now)
	h := newHold(clock) // no reading of the store's clock yet: nothing is due
	h.add([]*flight{{Claimed: ports.Claimed{DueAt: time.Now().Add(-time.Hour)}}})
	if due, _ := h.take(portion); len(due) != 0 {
		t.Errorf("%d flights were released before the store's clock was known", len(due))
	}
	if left := h.empty(); len(left) != 1 {
		t.Errorf("empty returned %d flights, want 1", len(left))
	}
}

// Many that are due at once are handed over in portions, so that the first need not
// wait for the others; the more there are, the larger.
func TestHoldReleasesInPortions(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.hold.add(l.flights(4 * portion))
	ctx, cancel := context.WithCancel(t.Context())
	var sizes []int
	l.hold.run(ctx, func(due []*flight) {
		if sizes = append(sizes, len(due)); len(sizes) == 3 {
			cancel()
		}
	})
	if want := []int{portion, 2 * portion, portion}; !slices.Equal(sizes, want) {
		t.Errorf("the portions were %v, want %v", sizes, want)
	}
}

// In whatever order flights come and whoever left in between, those that leave do
// so by instant, those of one instant by rank, and equals as they came.
func TestDeparturesAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var d departures
		var waiting []*flight
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			came := make([]*flight, rapid.IntRange(0, 20).Draw(t, "came"))
			for i := range came {
				at := noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "instant")) * time.Second)
				came[i] = &flight{Claimed: ports.Claimed{DueAt: at, Priority: rapid.IntRange(-1, 1).Draw(t, "priority")}}
			}
			d.merge(departuresOf(came))
			waiting = append(waiting, came...)
			slices.SortStableFunc(waiting, func(a, b *flight) int {
				if c := a.DueAt.Compare(b.DueAt); c != 0 {
					return c
				}
				return b.Priority - a.Priority
			})

			now := noon.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "now")) * time.Second)
			most := rapid.IntRange(1, 30).Draw(t, "most")
			due := d.leave(now, most)
			n := 0
			for n < min(len(waiting), most) && !waiting[n].DueAt.After(now) {
				n++
			}
			if !slices.Equal(due, waiting[:n]) {
				t.Fatalf("%d left, not the first %d of %d", len(due), n, len(waiting))
			}
			waiting = waiting[n:]
		}
	})
}

package scheduler

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
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
			return &flight{Claimed: firjob.Claimed{DueAt: start.Add(d), Trigger: firjob.Trigger{JobID: job}}}
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
	h.add([]*flight{{Claimed: firjob.Claimed{DueAt: time.Now().Add(-time.Hour)}}})
	if due, _ := h.take(); len(due) != 0 {
		t.Errorf("%d flights were released before the store's clock was known", len(due))
	}
	if left := h.empty(); len(left) != 1 {
		t.Errorf("empty returned %d flights, want 1", len(left))
	}
}

package scheduler

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/firjob/firjob/internal/failpoint"
)

// hold keeps claimed flights until their exact instant by the store's clock.
// The claim and its commit, some milliseconds of Postgres, lie before it, and so
// off the punctuality path.
type hold struct {
	clock *storeClock
	wake  chan struct{} // a new head

	mu      sync.Mutex
	flights flightHeap
}

func newHold(clock *storeClock) *hold {
	return &hold{clock: clock, wake: make(chan struct{}, 1)}
}

// add puts flights in.
func (h *hold) add(flights []*flight) {
	h.mu.Lock()
	var head *flight
	if len(h.flights) > 0 {
		head = h.flights[0]
	}
	for _, f := range flights {
		heap.Push(&h.flights, f)
	}
	newHead := len(h.flights) > 0 && h.flights[0] != head
	h.mu.Unlock()
	if newHead {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// run hands over flights as they become due, until ctx ends.
func (h *hold) run(ctx context.Context, release func([]*flight)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := h.take()
		if len(due) > 0 {
			release(due)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}

// take removes the flights that are due, or tells how long to wait.
func (h *hold) take() (due []*flight, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	if failpoint.Broken(failpoint.NotHeld) {
		now = now.Add(time.Hour)
	}
	for len(h.flights) > 0 && !h.flights[0].at().After(now) {
		due = append(due, heap.Pop(&h.flights).(*flight))
	}
	if len(h.flights) == 0 {
		return due, time.Hour
	}
	return due, h.flights[0].at().Sub(now)
}

// empty removes every flight and returns them.
func (h *hold) empty() []*flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.flights
	h.flights = nil
	return all
}

// flightHeap is ordered by the instant of departure.
type flightHeap []*flight

func (h flightHeap) Len() int           { return len(h) }
func (h flightHeap) Less(i, j int) bool { return h[i].at().Before(h[j].at()) }
func (h flightHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *flightHeap) Push(x any)        { *h = append(*h, x.(*flight)) }
func (h *flightHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return f
}

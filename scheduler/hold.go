package scheduler

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// hold keeps claimed flights until their exact instant by the store's clock. The claim
// and its commit, some milliseconds of Postgres, come before that instant, so they make
// no fire late.
type hold struct {
	clock *storeClock
	wake  wake // the flight that is due first has changed

	mu      sync.Mutex
	waiting departures
}

func newHold(clock *storeClock) *hold {
	return &hold{clock: clock, wake: newWake()}
}

// add puts flights in.
func (h *hold) add(flights []*flight) {
	if len(flights) == 0 {
		return
	}
	list := departuresOf(flights)
	h.mu.Lock()
	h.waiting.merge(list)
	newHead := h.waiting[0].flight == list[0].flight
	h.mu.Unlock()
	if newHead {
		h.wake.up()
	}
}

// portion is how many flights the hold hands over at first; each time that more are
// due it is twice as many. So, when many are due at one instant, a first request
// leaves while the others are still to be placed, and is soon written and read: of
// 8,192 for one executor (BenchmarkHerd) the first after 0.1 ms and the last after
// 3.2, in 18 requests. All at once it was 4.2 ms and 5.2, in 16 requests.
const portion = firjob.MaxBatch / 4

// run hands over flights as they become due, until ctx ends.
func (h *hold) run(ctx context.Context, release func([]*flight)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	most := portion
	for {
		due, wait := h.take(most)
		most = max(portion, 2*len(due))
		if len(due) > 0 {
			release(due)
			runtime.Gosched() // to those who send them, if nobody else was free to
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

// take removes up to n flights that are due, or tells how long to wait.
func (h *hold) take(n int) (due []*flight, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	due = h.waiting.leave(now, n)
	if len(h.waiting) == 0 {
		return due, time.Hour
	}
	return due, h.waiting[0].at().Sub(now)
}

// empty removes every flight and returns them.
func (h *hold) empty() []*flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.waiting.flights()
	h.waiting = nil
	return all
}

// departures are flights by the instant of departure and, of one instant, by rank,
// so that priorities hold from portion to portion; equals as they came. Sorting is
// for those who put flights in, a moment before: at the instant it would be in the
// way. Both keys are kept beside the flight, since a comparison that follows
// pointers waits for memory.
type departures []departure

type departure struct {
	instant, rank int64
	*flight
}

// departuresOf returns flights as departures.
func departuresOf(flights []*flight) departures {
	list := make(departures, len(flights))
	for i, f := range flights {
		list[i] = departure{f.at().UnixNano(), f.rank(), f}
	}
	slices.SortStableFunc(list, func(a, b departure) int {
		return cmp.Or(cmp.Compare(a.instant, b.instant), cmp.Compare(a.rank, b.rank))
	})
	return list
}

func (d departure) before(other departure) bool {
	return d.instant < other.instant || d.instant == other.instant && d.rank < other.rank
}

// merge puts others in. It begins with the last, which mostly leave after all that
// are here, and ends when each has its place.
func (d *departures) merge(others departures) {
	here, there := len(*d), len(others)
	list := append(*d, others...)
	for to := len(list) - 1; there > 0; to-- {
		if here > 0 && others[there-1].before(list[here-1]) {
			here--
			list[to] = list[here]
		} else {
			there--
			list[to] = others[there]
		}
	}
	*d = list
}

// leave removes up to most of those whose instant has come.
func (d *departures) leave(now time.Time, most int) []*flight {
	list := *d
	n := 0
	for n < min(len(list), most) && !list[n].at().After(now) {
		n++
	}
	due := list[:n].flights()
	clear(list[:n])
	*d = list[n:]
	return due
}

func (d departures) flights() []*flight {
	list := make([]*flight, len(d))
	for i := range d {
		list[i] = d[i].flight
	}
	return list
}

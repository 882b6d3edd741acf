package scheduler

import (
	"sync"

	"github.com/firjob/firjob"
)

// outbox is what waits to go to one executor process.
type outbox struct {
	to firjob.Executor // as it was first seen; its identity never changes

	mu       sync.Mutex
	waiting  []*flight
	disorder bool // waiting is not in the order of ranks
	posts    int  // requests under way
}

func (o *outbox) put(f *flight) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.waiting); n > 0 && byRank(o.waiting[n-1], f) > 0 {
		o.disorder = true
	}
	o.waiting = append(o.waiting, f)
}

// take removes what goes into the next request, the lowest ranks first. mu is
// held and something waits.
func (o *outbox) take() []*flight {
	if o.disorder {
		inOrder(o.waiting)
		o.disorder = false
	}
	n := fitting(o.waiting)
	batch := o.waiting[:n:n]
	if o.waiting = o.waiting[n:]; len(o.waiting) == 0 {
		o.waiting = nil // or what has left would be kept
	}
	return batch
}

// maxPostBytes bounds the params and inputs of one request, well below what executors take.
const maxPostBytes = firjob.MaxTriggerBody / 4

// fitting returns how many of the flights go into one request; at least one.
func fitting(flights []*flight) (n int) {
	bytes := 0
	for n < min(len(flights), firjob.MaxBatch) {
		bytes += len(flights[n].Trigger.Params) + len(flights[n].Trigger.Inputs)
		if n > 0 && bytes > maxPostBytes {
			break
		}
		n++
	}
	return n
}

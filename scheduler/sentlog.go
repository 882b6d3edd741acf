package scheduler

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// sentMemory is how long a send is remembered. Within that time a beat of the
// executor has named the attempt, so that the store knows who holds it, or the
// attempt is over; or the executor has died and was found to be gone.
const sentMemory = firjob.MaxNameAfter + 2*firjob.BeatInterval + firjob.DeadAfter + 2*time.Second

// sentLog remembers what was sent to whom a moment ago. When an executor dies
// before any beat of it named an attempt, only this server knows that it was
// there.
type sentLog struct {
	mu     sync.Mutex
	to     map[firjob.ExecutorKey][]*sentBatch
	pruned time.Time // local: when executors to which nothing was sent lately were last removed
}

type sentBatch struct {
	at       time.Time // local
	attempts []firjob.AttemptRef
}

func newSentLog() *sentLog {
	return &sentLog{to: make(map[firjob.ExecutorKey][]*sentBatch)}
}

// add notes a batch that is about to be sent, and forgets old ones.
func (l *sentLog) add(to firjob.ExecutorKey, at time.Time, flights []*flight) *sentBatch {
	attempts := make([]firjob.AttemptRef, len(flights))
	for i, f := range flights {
		attempts[i] = f.ref()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	batches := l.to[to]
	for len(batches) > 0 && at.Sub(batches[0].at) > sentMemory {
		batches = batches[1:]
	}
	batch := &sentBatch{at, attempts}
	l.to[to] = append(batches, batch)
	l.prune(at)
	return batch
}

// prune removes, once in sentMemory, the executors to which nothing was sent since.
// mu is held.
func (l *sentLog) prune(now time.Time) {
	if now.Sub(l.pruned) <= sentMemory {
		return
	}
	l.pruned = now
	maps.DeleteFunc(l.to, func(_ firjob.ExecutorKey, batches []*sentBatch) bool {
		return now.Sub(batches[len(batches)-1].at) > sentMemory
	})
}

// refused takes flights out of a batch that the executor certainly does not
// have: they go to another one under the same token, and what becomes of this
// one is nothing to them.
func (l *sentLog) refused(batch *sentBatch, flights []*flight) {
	gone := make(map[firjob.AttemptRef]bool, len(flights))
	for _, f := range flights {
		gone[f.ref()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	batch.attempts = slices.DeleteFunc(batch.attempts, func(a firjob.AttemptRef) bool { return gone[a] })
}

// take removes and returns what was sent to an executor that is gone, as far
// as the store may not know it yet.
func (l *sentLog) take(to firjob.ExecutorKey, now time.Time) []firjob.AttemptRef {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []firjob.AttemptRef
	for _, b := range l.to[to] {
		if now.Sub(b.at) <= sentMemory {
			all = append(all, b.attempts...)
		}
	}
	delete(l.to, to)
	return all
}

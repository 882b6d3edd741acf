package scheduler

import (
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// Pauses before executions for which there was no executor are due again: a quarter
// of the time that they have waited already, within these bounds. A short outage
// costs little, a long one makes no storm. A handler that no executor knows seldom
// comes by itself, so its executions pause for longer.
const (
	minGiveBack = 250 * time.Millisecond
	maxGiveBack = 5 * time.Second
	maxUnknown  = 30 * time.Second
	waitMemory  = 2 * maxUnknown // after it a wait that was not seen again is over
)

// waits knows how long executions have been waiting for an executor. The wait of a
// retry is in no id and in no row: each pause moves its due time. It begins anew when
// the executors of the app change. Its zero value is ready to use.
type waits struct {
	mu     sync.Mutex
	open   map[firjob.ExecutionID]wait
	pruned time.Time
}

type wait struct {
	since, seen time.Time
	fleet       uint64 // the executors of the app, as of seen
}

// pause returns for how long a flight is to pause now. fleet identifies the executors
// of its app.
func (w *waits) pause(f *flight, fleet uint64, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune(now)
	have, known := w.open[f.Trigger.ID]
	switch {
	case !known && f.Trigger.Attempt <= 1:
		have.since = f.Trigger.ScheduledAt
	case !known || have.fleet != fleet:
		have.since = now
	}
	have.seen, have.fleet = now, fleet
	w.open[f.Trigger.ID] = have
	most := maxGiveBack
	if f.unknownToAll() {
		most = maxUnknown
	}
	return min(max(now.Sub(have.since)/4, minGiveBack), most)
}

// prune ends the waits that were not seen again. mu is held.
func (w *waits) prune(now time.Time) {
	if w.open == nil {
		w.open = make(map[firjob.ExecutionID]wait)
	}
	if now.Sub(w.pruned) < waitMemory {
		return
	}
	w.pruned = now
	maps.DeleteFunc(w.open, func(_ firjob.ExecutionID, old wait) bool { return now.Sub(old.seen) >= waitMemory })
}

// pauses returns how long each of a batch is to pause: those that have waited equally
// long pause equally long, so that they are given back together.
func (s *sending) pauses(now time.Time) func(*flight) time.Duration {
	fleets := make(map[string]uint64)
	shorter := time.Duration(rand.Int64N(11)) // by so many hundredths
	return func(f *flight) time.Duration {
		fleet, known := fleets[f.App]
		if !known {
			fleet = fleetOf(s.executors.list(f.App))
			fleets[f.App] = fleet
		}
		d := s.waits.pause(f, fleet, now)
		return max((d - d*shorter/100).Round(minGiveBack), minGiveBack)
	}
}

// fleetOf identifies a list of executors and their states.
func fleetOf(list []firjob.Executor) uint64 {
	h := fnv.New64a()
	for _, e := range list {
		_, _ = io.WriteString(h, e.Address+" "+e.Incarnation+" "+string(e.State)+"\n") // never fails
	}
	return h.Sum64()
}

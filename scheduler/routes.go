package scheduler

import (
	"math/rand/v2"

	"github.com/firjob/firjob"
)

// route picks an executor for a flight.
type route struct {
	// pick chooses one of at least one executor that might take the flight, in
	// the order of their addresses. executors.mu is held.
	pick func(x *executors, f *flight, able []*executor) *executor
	// waits says that a flight waits for the executor that is picked if that has
	// no room; otherwise it goes to another.
	waits bool
}

// routes is every route. docs/routing.md says what each is for.
func routes() map[firjob.Route]route {
	return map[firjob.Route]route{
		firjob.RouteRoundRobin:     {pick: inTurn},
		firjob.RouteRandom:         {pick: anyone},
		firjob.RouteLeastBusy:      {pick: leastBusy},
		firjob.RouteLeastRecent:    {pick: remembered},
		firjob.RouteLeastFrequent:  {pick: remembered},
		firjob.RouteSticky:         {pick: remembered},
		firjob.RouteConsistentHash: {pick: hashed},
		firjob.RouteFirst:          {pick: first, waits: true},
		firjob.RouteLast:           {pick: last, waits: true},
		firjob.RouteFailover:       {pick: failover},
		firjob.RouteBroadcast:      {pick: anyone}, // a shard whose own executor is gone
	}
}

// inTurn takes the flight's turn, once: a flight that was refused goes to the
// one that has the turn's place among the others.
func inTurn(x *executors, f *flight, able []*executor) *executor {
	if !f.known.hasTurn {
		f.known.turn, f.known.hasTurn = x.turns.take(f.ring()), true
	}
	return able[f.known.turn%uint64(len(able))]
}

func anyone(_ *executors, _ *flight, able []*executor) *executor {
	return able[rand.IntN(len(able))]
}

// leastBusy takes the one with the most free room, any of several.
func leastBusy(_ *executors, _ *flight, able []*executor) *executor {
	best, equal := able[0], 1
	for _, e := range able[1:] {
		switch have, most := e.free(), best.free(); {
		case have > most:
			best, equal = e, 1
		case have == most:
			if equal++; rand.IntN(equal) == 0 {
				best = e
			}
		}
	}
	return best
}

// remembers reports whether a route goes by what Redis remembers of a job.
func remembers(route firjob.Route) bool {
	switch route {
	case firjob.RouteLeastRecent, firjob.RouteLeastFrequent, firjob.RouteSticky:
		return true
	}
	return false
}

// remembered takes the one that was picked ahead by what Redis remembers of the
// job. If there was no answer, or that one does not take the flight, what this
// server remembers decides.
func remembered(x *executors, f *flight, able []*executor) *executor {
	job := f.Trigger.JobID
	e := addressed(able, f.known.chosen)
	if e == nil {
		e = x.memory.pick(f.Route, job, able)
	}
	x.memory.note(job, e.Address, x.Clock.local())
	return e
}

func first(_ *executors, _ *flight, able []*executor) *executor { return able[0] }

func last(_ *executors, _ *flight, able []*executor) *executor { return able[len(able)-1] }

// failover takes the first of the job's list, and if none of them may, the lowest
// address.
func failover(_ *executors, f *flight, able []*executor) *executor {
	if f.Dispatch != nil {
		for _, address := range f.Dispatch.RouteOrder {
			if e := addressed(able, address); e != nil {
				return e
			}
		}
	}
	return able[0]
}

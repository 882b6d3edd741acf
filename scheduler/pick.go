package scheduler

import (
	"math/rand/v2"

	"github.com/firjob/firjob"
)

// pick chooses an executor for a flight by its job's route: one that is live,
// takes triggers, has a closed breaker and has not refused this flight yet. It
// returns nil when there is none. mu is held.
func (x *executors) pick(f *flight) *outbox {
	x.fit = x.fit[:0]
	for _, e := range x.apps[f.App] {
		if e.State == firjob.ExecutorActive && !f.hasTried(e.Key()) && x.Sender.Ready(e.Executor) {
			x.fit = append(x.fit, e)
		}
	}
	if len(x.fit) == 0 {
		return nil
	}
	e := x.choose(f.Route, f.App, x.fit)
	e.sent++
	return e.outbox
}

// choose applies a route to at least one executor; mu is held. A new route is a
// new case here.
func (x *executors) choose(route firjob.Route, app string, fit []*executor) *executor {
	switch route {
	case firjob.RouteRandom:
		return fit[rand.IntN(len(fit))]
	case firjob.RouteLeastBusy:
		best := fit[0]
		for _, e := range fit[1:] {
			if e.free() > best.free() {
				best = e
			}
		}
		return best
	default: // round_robin
		x.turn[app]++
		return fit[x.turn[app]%uint64(len(fit))]
	}
}

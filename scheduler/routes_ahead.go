package scheduler

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// aheadTimeout bounds what is asked of Redis for flights that are about to be
// due. It is less than the lead of a claim, so that a Redis that hangs makes
// nothing late.
const aheadTimeout = 150 * time.Millisecond

// ahead takes flights into the hold and finds out, a moment before they are due,
// what their routes need to know of other replicas.
type ahead struct {
	registry   Registry
	queue      *guardedQueue
	executors  *executors
	hold       *hold
	background *background
}

// enter puts flights into the hold. Those of routes that remember wait for their
// answer first; all others at once.
func (a *ahead) enter(ctx context.Context, flights []*flight) {
	away := a.queue.degraded.Load()
	var asking, plain []*flight
	turns := make(map[ports.Ring]int)
	for _, f := range flights {
		switch {
		case f.Dispatch != nil && f.Dispatch.HTTP != nil: // no executor gets it
		case f.Route == firjob.RouteRoundRobin && !away:
			turns[f.ring()]++
		case f.Route == firjob.RouteConsistentHash:
			f.hash()
		case remembers(f.Route) && !away:
			asking = append(asking, f)
			continue
		}
		plain = append(plain, f)
	}
	a.executors.expect(turns)
	a.hold.add(plain) // first: Redis, which follows, may hang
	if len(turns) > 0 {
		a.background.Go(func() { a.reserve(ctx, turns) })
	}
	a.choose(ctx, asking)
	a.hold.add(asking)
}

// expect takes note of flights that enter the hold, and puts the number of turns
// to ask for in the place of theirs.
func (x *executors) expect(flights map[ports.Ring]int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for ring, n := range flights {
		if flights[ring] = x.turns.expect(ring, n); flights[ring] == 0 {
			delete(flights, ring)
		}
	}
}

// reserve takes turns.
func (a *ahead) reserve(ctx context.Context, counts map[ports.Ring]int) {
	ctx, cancel := context.WithTimeout(ctx, aheadTimeout)
	defer cancel()
	firsts, err := a.registry.Turns(ctx, counts)
	if err != nil {
		a.queue.failed(ctx, "turns", err)
	}
	a.executors.mu.Lock()
	defer a.executors.mu.Unlock()
	for ring, n := range counts {
		if first, ok := firsts[ring]; ok {
			a.executors.turns.add(ring, first, n)
		} else {
			a.executors.turns.miss(ring, n)
		}
	}
}

// choose lets Redis pick by what it remembers of the jobs.
func (a *ahead) choose(ctx context.Context, flights []*flight) {
	choices, of := a.executors.choices(flights)
	if len(choices) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, aheadTimeout)
	defer cancel()
	picks, err := a.registry.Choose(ctx, choices)
	if err != nil {
		a.queue.failed(ctx, "choose", err)
	}
	for i, pick := range picks {
		of[i].known.chosen = pick
	}
}

// choices returns what is to be asked for flights, and for which of them: not for
// one that is meant for a certain executor, or that there is none for.
func (x *executors) choices(flights []*flight) (choices []ports.Choice, of []*flight) {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.ready)
	for _, f := range flights {
		able := x.allowed(f, x.able(f), false)
		if len(able) == 0 || x.meant(f) != nil {
			continue
		}
		// Of equals the first is taken: it is not to be the same one for all jobs.
		among := make([]string, len(able))
		begin := rand.IntN(len(able))
		for i := range able {
			among[i] = able[(begin+i)%len(able)].Address
		}
		choices = append(choices, ports.Choice{App: f.App, Job: f.Trigger.JobID, Route: f.Route, Among: among})
		of = append(of, f)
	}
	return choices, of
}

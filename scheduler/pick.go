package scheduler

import (
	"fmt"
	"slices"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// targets returns, flight by flight, where each is to go: to the process that it
// is pinned to, or to the executor that is picked for it; nil if there is none.
func (x *executors) targets(flights []*flight) []*outbox {
	boxes := make([]*outbox, len(flights))
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.ready)
	for i, f := range flights {
		if e := x.target(f); e != nil {
			e.sent++
			boxes[i] = e.outbox
		}
	}
	return boxes
}

func (x *executors) target(f *flight) *executor {
	if f.pinned != nil {
		return x.live[*f.pinned]
	}
	e := x.pick(f)
	if f.Route == firjob.RouteRoundRobin && !f.known.hasTurn {
		x.turns.leave(f.ring())
	}
	return e
}

// pick chooses an executor for a flight: the one that it is meant for, as long as
// that takes triggers; else one by its job's route. It returns nil when there is
// none, and when the one that it has to be has no room or an open breaker: then
// the flight waits. mu is held, as in all of this file.
func (x *executors) pick(f *flight) *executor {
	e := x.meant(f)
	if e == nil {
		e = x.byRoute(f, x.able(f))
	} else if !x.Sender.Ready(e.Executor) {
		return nil
	}
	if e == nil {
		return nil
	}
	if full, _ := f.refused(e.Key()); full {
		return nil
	}
	return e
}

// meant returns the executor that a flight is meant for rather than for any that
// its route allows: that of a broadcast's shard, or the one that ran the attempt
// before. nil if there is none, or none that takes it.
func (x *executors) meant(f *flight) *executor {
	address := f.Target
	if address == "" && f.retryOn() == firjob.RetrySame {
		address = f.Last
	}
	if address == "" {
		return nil
	}
	for _, e := range x.apps[f.App] {
		if _, never := f.refused(e.Key()); never || f.Target != "" && x.lostBy(f, e) {
			continue
		}
		if e.Address == address && e.takes() && e.Fits(f.selector()) {
			return e
		}
	}
	return nil
}

// lostBy reports whether an executor left the attempt before without an answer,
// while another may take the flight.
func (x *executors) lostBy(f *flight, e *executor) bool {
	return f.LostBy != "" && e.Incarnation == f.LostBy &&
		slices.ContainsFunc(x.able(f), func(o *executor) bool { return o.Incarnation != f.LostBy })
}

// able returns the executors that might take a flight, in the order of their
// addresses: they are live, take triggers, have a closed breaker and the labels
// that the job asks for, and have not refused the flight but for want of room.
// The list is good until the next call.
func (x *executors) able(f *flight) []*executor {
	ready, selector := x.readyOf(f.App), f.selector()
	if len(selector) == 0 && len(f.tried) == 0 {
		return ready
	}
	x.fit = x.fit[:0]
	for _, e := range ready {
		if _, never := f.refused(e.Key()); !never && e.Fits(selector) {
			x.fit = append(x.fit, e)
		}
	}
	return x.fit
}

// readyOf returns the executors of an app that take triggers and whose breaker
// is closed, looked up once for all flights that are placed together.
func (x *executors) readyOf(app string) []*executor {
	ready, known := x.ready[app]
	if !known {
		for _, e := range x.apps[app] {
			if e.takes() && x.Sender.Ready(e.Executor) {
				ready = append(ready, e)
			}
		}
		x.ready[app] = ready
	}
	return ready
}

func (x *executors) byRoute(f *flight, able []*executor) *executor {
	r, known := x.routes[f.Route]
	if !known {
		r = x.routes[firjob.RouteRoundRobin]
	}
	if able = x.allowed(f, able, r.waits); len(able) == 0 {
		return nil
	}
	return r.pick(x, f, able)
}

// allowed leaves out executors that have no room for the flight, unless it is to
// wait for them. It also leaves out the process that lost the attempt before, and the
// executor that ran it if the job wants another, as long as others are left.
func (x *executors) allowed(f *flight, able []*executor, waits bool) []*executor {
	if len(f.tried) > 0 && !waits { // able is x.fit then
		able = slices.DeleteFunc(able, func(e *executor) bool { full, _ := f.refused(e.Key()); return full })
	}
	if f.LostBy != "" {
		able = x.preferring(able, func(e *executor) bool { return e.Incarnation != f.LostBy })
	}
	if f.retryOn() == firjob.RetryOther {
		able = x.preferring(able, func(e *executor) bool { return e.Address != f.Last })
	}
	return able
}

// preferring returns those that are wanted, or all if none is.
func (x *executors) preferring(able []*executor, wanted func(*executor) bool) []*executor {
	if !slices.ContainsFunc(able, wanted) {
		return able
	}
	x.fit = append(x.fit[:0], able...)
	return slices.DeleteFunc(x.fit, func(e *executor) bool { return !wanted(e) })
}

// addressed returns the executor at an address, nil if there is none.
func addressed(list []*executor, address string) *executor {
	for _, e := range list {
		if e.Address == address {
			return e
		}
	}
	return nil
}

// why says for what reason no executor takes a flight.
func (x *executors) why(f *flight) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.ready)
	of, selector := "app "+f.App, f.selector()
	if len(x.apps[f.App]) == 0 {
		return "no executor of " + of + " is alive"
	}
	labels := ports.SelectorText(selector)
	fit := matching(x.apps[f.App], func(e *executor) bool { return e.Fits(selector) })
	switch {
	case fit == 0:
		return "no executor of " + of + " has the labels " + labels
	case labels != "":
		of += " with the labels " + labels
	}
	takes := matching(x.apps[f.App], func(e *executor) bool { return e.Fits(selector) && e.takes() })
	switch {
	case takes == 0:
		return unwilling(of, matched(x.apps[f.App], func(e *executor) bool { return e.Fits(selector) }))
	case matching(x.readyOf(f.App), func(e *executor) bool { return e.Fits(selector) }) == 0:
		return x.unreachable(of,
			matched(x.apps[f.App], func(e *executor) bool { return e.Fits(selector) && e.takes() }))
	}
	return "no executor of " + of + " takes triggers"
}

// mostNamed is how many executors a reason names.
const mostNamed = 3

// unreachable says which executors have an open breaker, and why.
func (x *executors) unreachable(of string, list []*executor) string {
	text := fmt.Sprintf("the breakers of the %d executors of %s that take triggers are open", len(list), of)
	if len(list) == 1 {
		text = "the breaker of the only executor of " + of + " that takes triggers is open"
	}
	for i, e := range list[:min(len(list), mostNamed)] {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		text += separator + e.Address
		if last := x.Sender.Contact(e.Key()).LastError; last != "" {
			text += ": " + last
		}
	}
	if more := len(list) - mostNamed; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func matched(list []*executor, want func(*executor) bool) (all []*executor) {
	for _, e := range list {
		if want(e) {
			all = append(all, e)
		}
	}
	return all
}

func matching(list []*executor, want func(*executor) bool) int { return len(matched(list, want)) }

package timetable

import (
	"iter"
	"slices"
	"time"
)

// Between yields the fires f with from ≤ f < until, ascending.
func (t *Timetable) Between(from, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for f := t.Next(from.Add(-time.Nanosecond)); !f.IsZero() && f.Before(until); f = t.Next(f) {
			if !yield(f) {
				return
			}
		}
	}
}

// Last returns the last n fires f with from ≤ f < until, ascending. It looks at
// windows that end at a fire and grow until there are enough, so that a year's
// fires, or a year without one, cost no more than those that are asked for.
func (t *Timetable) Last(from, until time.Time, n int) []time.Time {
	var fires []time.Time
	for window := time.Minute; len(fires) < n; window = min(4*window, reach) {
		last := t.lastFire(from, until)
		if last.IsZero() {
			break
		}
		begin := last.Add(-window)
		if begin.Before(from) {
			begin = from
		}
		fires = append(slices.Collect(t.Between(begin, until)), fires...)
		until = begin
	}
	return fires[max(0, len(fires)-n):]
}

// lastFire returns the last fire f with from ≤ f < until, zero if there is none.
// Fires are found forward only, so it halves the span that holds the last one
// until there is room for no other.
func (t *Timetable) lastFire(from, until time.Time) time.Time {
	last := t.Next(from.Add(-time.Nanosecond))
	if last.IsZero() || !last.Before(until) {
		return time.Time{}
	}
	for end := until; end.Sub(last) >= time.Millisecond; {
		middle := last.Add(end.Sub(last) / 2)
		if f := t.Next(middle); !f.IsZero() && f.Before(until) {
			last = f
		} else {
			end = middle
		}
	}
	return last
}

package scheduler

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// maxFires bounds the fires to come of one job that one transaction records. A
// job that has more is taken again by the same pass.
const maxFires = 64

// maxCounted bounds the counting of missed fires.
const maxCounted = 10_000

// expansion is the rule that turns a job into the fires to record. It is pure:
// the same job at the same instants gives the same plan on every replica.
type expansion struct {
	times    *firjob.Timetable
	now      time.Time
	until    time.Time // the horizon
	deadline time.Time // fires before it are beyond the grace
	misfire  firjob.MisfirePolicy
}

// plan returns the fires from next on, the first not recorded yet:
//
//	…next──────────deadline────now──────until…
//	  │ late: misfire │ grace   │ coming │
//	  │ policy        │ always  │        │
func (e expansion) plan(next time.Time) firjob.Plan {
	var p firjob.Plan
	if next.Before(e.deadline) {
		p.Fires, p.Missed = e.late(next)
		next = e.times.Next(e.deadline.Add(-time.Nanosecond))
		if e.misfire == firjob.MisfireFireOnce && len(p.Fires) > 0 && !next.IsZero() && !next.After(e.now) {
			// A fire within the grace runs anyway; one is enough.
			p.Missed = e.withMissed(p.Missed, p.Fires[0])
			p.Fires = nil
		}
	}
	for !next.IsZero() && !next.After(e.until) {
		if len(p.Fires) >= maxFires {
			break
		}
		p.Fires = append(p.Fires, next)
		next = e.times.Next(next)
	}
	p.Next = next
	return p
}

// late applies the misfire policy to the fires from first to the deadline.
func (e expansion) late(first time.Time) (run []time.Time, missed *firjob.Missed) {
	keep := 0
	switch e.misfire {
	case firjob.MisfireFireOnce:
		keep = 1
	case firjob.MisfireFireAll:
		keep = firjob.MaxCatchUp
	}
	run = lastFires(e.times, first, e.deadline, keep)
	end := e.deadline
	if len(run) > 0 {
		end = run[0]
	}
	if !first.Before(end) {
		return run, nil
	}
	return run, e.missedRange(first, end)
}

// missedRange describes the fires from first to before end.
func (e expansion) missedRange(first, end time.Time) *firjob.Missed {
	m := &firjob.Missed{From: first}
	for f := first; !f.IsZero() && f.Before(end) && m.Count < maxCounted; f = e.times.Next(f) {
		m.Until = f
		m.Count++
	}
	atLeast := ""
	if m.Count == maxCounted {
		atLeast = "at least "
		m.Until = lastFires(e.times, first, end, 1)[0]
	}
	m.Reason = fmt.Sprintf("%s%d fires were later than the grace when they were planned; misfire policy %s", atLeast, m.Count, e.misfire)
	if m.Count == 1 {
		m.Reason = fmt.Sprintf("later than the grace when it was planned; misfire policy %s", e.misfire)
	}
	return m
}

// withMissed adds the fire at to the end of m.
func (e expansion) withMissed(m *firjob.Missed, at time.Time) *firjob.Missed {
	if m == nil {
		return e.missedRange(at, at.Add(time.Nanosecond))
	}
	return e.missedRange(m.From, at.Add(time.Nanosecond))
}

// lastFires returns the last n fires t with first ≤ t < end, ascending. It
// looks at windows that end there and grow until they hold enough, so that a
// year's backlog costs no more than what is kept.
func lastFires(times *firjob.Timetable, first, end time.Time, n int) []time.Time {
	if n == 0 || !first.Before(end) {
		return nil
	}
	for window := time.Minute; ; window *= 4 {
		from := end.Add(-window)
		whole := !from.After(first)
		if whole {
			from = first
		}
		fires := firesBetween(times, from, end)
		if whole || len(fires) >= n {
			return fires[max(0, len(fires)-n):]
		}
	}
}

func firesBetween(times *firjob.Timetable, from, end time.Time) []time.Time {
	var fires []time.Time
	for f := times.Next(from.Add(-time.Nanosecond)); !f.IsZero() && f.Before(end); f = times.Next(f) {
		fires = append(fires, f)
	}
	return fires
}

// planDelay plans the one fire of a job that counts from its last end. What
// comes after it is decided when that execution ends, or now if it is missed.
func (e expansion) planDelay(next time.Time, interval time.Duration) firjob.Plan {
	if next.Before(e.deadline) && e.misfire == firjob.MisfireSkip {
		return firjob.Plan{
			Missed: &firjob.Missed{From: next, Until: next, Count: 1,
				Reason: "later than the grace when it was planned; misfire policy skip"},
			Next: e.now.Truncate(time.Millisecond).Add(interval),
		}
	}
	return firjob.Plan{Fires: []time.Time{next}}
}

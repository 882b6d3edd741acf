package scheduler

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
)

// maxFires bounds the fires to come of one job that one transaction records. A
// job that has more is taken again by the same pass.
const maxFires = 64

// maxCounted bounds the counting of missed fires.
const maxCounted = 10_000

// expansion is the rule that turns a job into the fires to record. It is pure:
// the same job at the same instants gives the same plan on every replica. Fires
// are what the timetable names: calendars and window are observed, and a fire
// that jitter has put off is late from the instant to which it was.
type expansion struct {
	times   *timetable.Timetable
	now     time.Time
	until   time.Time // the horizon
	misfire firjob.Misfire
}

// deadline is the instant before which fires are beyond the grace.
func (e expansion) deadline() time.Time { return e.now.Add(-e.misfire.Grace.Std()) }

// plan returns the fires from next on, the first not recorded yet:
//
//	…next──────────deadline────now──────until…
//	  │ late: misfire │ grace   │ coming │
//	  │ policy        │ always  │        │
func (e expansion) plan(next time.Time) ports.Plan {
	var p ports.Plan
	if deadline := e.deadline(); next.Before(deadline) {
		p.Fires, p.Missed = e.late(next)
		next = e.times.Next(deadline.Add(-time.Nanosecond))
		if e.misfire.Policy == firjob.MisfireFireOnce && len(p.Fires) > 0 && !next.IsZero() && !next.After(e.now) {
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
func (e expansion) late(first time.Time) (run []time.Time, missed *ports.Missed) {
	keep := 0
	switch e.misfire.Policy {
	case firjob.MisfireFireOnce:
		keep = 1
	case firjob.MisfireFireAll:
		keep = e.misfire.MaxCatchUp
	}
	end := e.deadline()
	run = e.times.Last(first, end, keep)
	if len(run) > 0 {
		end = run[0]
	}
	if !first.Before(end) {
		return run, nil
	}
	return run, e.missedRange(first, end)
}

// missedRange describes the fires from first to before end.
func (e expansion) missedRange(first, end time.Time) *ports.Missed {
	m := &ports.Missed{From: first}
	for f := first; !f.IsZero() && f.Before(end) && m.Count < maxCounted; f = e.times.Next(f) {
		m.Until = f
		m.Count++
	}
	count := fmt.Sprintf("%d fires were", m.Count)
	switch m.Count {
	case 1:
		count = "this fire was"
	case maxCounted:
		count = fmt.Sprintf("at least %d fires were", m.Count)
		if last := e.times.Last(m.Until, end, 1); len(last) > 0 {
			m.Until = last[0]
		}
	}
	m.Reason = fmt.Sprintf("%s later than the grace of %v when the servers came to plan: misfire policy %s", count,
		e.misfire.Grace, e.rule())
	return m
}

// rule says in words which of the late fires run.
func (e expansion) rule() string {
	switch e.misfire.Policy {
	case firjob.MisfireFireOnce:
		return "fire_once runs one fire for all of them"
	case firjob.MisfireFireAll:
		return fmt.Sprintf("fire_all runs the latest %d only (max_catch_up)", e.misfire.MaxCatchUp)
	}
	return "skip runs none"
}

// withMissed adds the fire at to the end of m.
func (e expansion) withMissed(m *ports.Missed, at time.Time) *ports.Missed {
	if m == nil {
		return e.missedRange(at, at.Add(time.Nanosecond))
	}
	return e.missedRange(m.From, at.Add(time.Nanosecond))
}

// planDelay plans the one fire of a job that counts from its last end. What
// comes after it is decided when that execution ends, or now if it is missed.
func (e expansion) planDelay(job firjob.Job, next time.Time) (ports.Plan, error) {
	if !next.Before(e.deadline()) || e.misfire.Policy != firjob.MisfireSkip {
		return ports.Plan{Fires: []time.Time{next}}, nil
	}
	after, err := timetable.DelayedFire(job, e.now, e.now)
	return ports.Plan{Missed: e.missedRange(next, next.Add(time.Nanosecond)), Next: after}, err
}

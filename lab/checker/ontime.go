package checker

import (
	"cmp"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// onTime is I3: nothing begins early, and the first start comes within OnTime,
// or, if a fault held it up, within Recovery of its end; time in which another
// fault is at work does not count. Once a fault has been recovered from, whoever
// is still late is late.
func (c *check) onTime() {
	for id, runs := range c.runs {
		first := slices.MinFunc(runs, func(a, b run) int { return cmp.Compare(a.begin, b.begin) })
		at, due := c.wall(first.begin), id.ScheduledAt()
		late := at.Sub(due)
		if late < -c.Early {
			c.report.Early++
			c.fail("I3 on time", id, at, "it began %v before its time", -late)
		}
		healed, disturbed := c.heldUp(due)
		c.report.observe(late, disturbed)
		if late <= c.OnTime || id.Kind() != firjob.KindSchedule || c.waited(id) {
			continue
		}
		switch calm := c.calm(due.Add(c.OnTime)); {
		case disturbed && (c.free(due, at) > c.Recovery || at.After(calm)):
			c.report.Late++
			c.fail("I3 on time", id, at,
				"it began %v after its time and %v after the fault was undone, %v of them without another", late,
				at.Sub(healed), c.free(due, at))
		case at.After(calm):
			c.report.Late++
			c.fail("I3 on time", id, at, "it began %v after its time, with no fault at work", late)
		}
	}
}

// calm returns the first instant, from this one on, at which every fault has been
// recovered from.
func (c *check) calm(from time.Time) time.Time {
	for {
		until, disturbed := c.disturbed(from)
		if !disturbed {
			return from
		}
		from = until.Add(c.Recovery + 1)
	}
}

// free returns how much of the span passed without any fault at work.
func (c *check) free(from, until time.Time) time.Duration {
	free := until.Sub(from)
	covered := from              // up to here
	for _, f := range c.faults { // in the order of their beginnings
		begin, end := later(f.from, covered), f.until
		if end.After(until) {
			end = until
		}
		if end.After(begin) {
			free -= end.Sub(begin)
			covered = end
		}
	}
	return free
}

// waited reports whether the job bounds what runs, so that a fire may have had
// to wait for its turn.
func (c *check) waited(id firjob.ExecutionID) bool {
	return c.plans[id.Job()].at(id.ScheduledAt()).MaxRunning > 0
}

// heldUp is disturbed for a fire that is due at the instant: a fault that began
// while it was still on time counts, too.
func (c *check) heldUp(due time.Time) (until time.Time, is bool) {
	if until, is = c.disturbed(due.Add(c.OnTime)); is {
		return until, true
	}
	return c.disturbed(due)
}

// overdue reports whether a fire should have begun long before the instant.
func (c *check) overdue(due, at time.Time) bool {
	return at.Sub(c.calm(due.Add(c.OnTime))) > c.OnTime || c.free(due, at) > c.Recovery+c.OnTime
}

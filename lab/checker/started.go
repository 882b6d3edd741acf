package checker

import (
	"time"

	"github.com/firjob/firjob"
)

// longestEstimate is by how much an executor may err about the time: half of the
// longest trip of a beat, from whose answer it knows it.
const longestEstimate = 5 * time.Second

// begun is the part of I7 that a wrong clock would violate: no record says that
// an attempt began before its time, nor when its handler had not begun yet, nor,
// while nothing is wrong, another time than that at which it was seen to begin.
func (c *check) begun() {
	for id, row := range c.rows {
		seen := map[int64]time.Time{}
		for _, r := range c.runs[id] {
			seen[r.Token] = c.wall(r.begin)
		}
		for _, a := range row.Attempts {
			if a.StartedAt == nil {
				continue
			}
			if early := id.ScheduledAt().Sub(*a.StartedAt); early > c.Early && id.Kind() == firjob.KindSchedule {
				c.fail("I7 legal history", id, *a.StartedAt, "attempt %d is recorded as begun %v before its time",
					a.Attempt, early)
			}
			at, ok := seen[a.Token]
			if !ok || a.Outcome != firjob.OutcomeSucceeded && a.Outcome != firjob.OutcomeFailed {
				continue
			}
			ahead, bound := a.StartedAt.Sub(at), longestEstimate
			if _, disturbed := c.disturbed(at); !disturbed {
				ahead, bound = ahead.Abs(), c.OnTime
			}
			if ahead > bound {
				c.fail("I7 legal history", id, at, "attempt %d is recorded as begun at %s, which is off by %v",
					a.Attempt, a.StartedAt.UTC().Format("15:04:05.000"), ahead)
			}
		}
	}
}

package httpapi

import (
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/timetable"
)

// coming returns the first fire of j after now, zero if there is none or it is
// not known. It is not the stored one, which runs ahead by what is recorded
// already; but that is all there is to know of a delay job, of an "every" with
// jitter, and of an "at" that is past and not recorded yet.
func coming(j firjob.Job, now time.Time) time.Time {
	if !j.Enabled {
		return time.Time{}
	}
	switch j.Schedule.Kind {
	case firjob.ScheduleCron:
		return comingFrom(j, now, now)
	case firjob.ScheduleEvery:
		// The stored fire is on the grid, as the anchor is, unless jitter put it off.
		if j.NextFireAt != nil && j.Schedule.Jitter == 0 {
			return comingFrom(j, gridPoint(*j.NextFireAt, j.Schedule.Interval.Std(), now), now)
		}
	case firjob.ScheduleAt:
		if next := comingFrom(j, now, now); !next.IsZero() {
			return next
		}
	}
	if j.NextFireAt != nil {
		return *j.NextFireAt
	}
	return time.Time{}
}

// comingFrom asks the timetable. A job that was stored has one; should it not
// any more, because a zone left the zone database, nothing is known to come.
func comingFrom(j firjob.Job, anchor, now time.Time) time.Time {
	timetable, err := timetable.Of(j, anchor)
	if err != nil {
		return time.Time{}
	}
	return timetable.Next(now)
}

// gridPoint returns the last instant that is not after now and a whole number
// of intervals before at; at itself if that is past.
func gridPoint(at time.Time, interval time.Duration, now time.Time) time.Time {
	if !at.After(now) {
		return at
	}
	steps := (at.Sub(now) + interval - 1) / interval
	return at.Add(-steps * interval)
}

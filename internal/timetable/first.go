package timetable

import (
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// FirstFire returns the first fire of a job that is stored at now with anchor
// as the point that "every" counts from; the zero time means none. The error is
// Timetable's.
//
//	cron, every  the next one after now
//	at           the instant itself, past or not: the misfire policy decides
//	             about a past one when it is planned
//	delay        one interval from now, or as soon as window and calendars permit
//	manual       none; nor has a paused job any
func FirstFire(j firjob.Job, now, anchor time.Time) (time.Time, error) {
	timetable, err := Of(j, anchor)
	if err != nil || !j.Enabled {
		return time.Time{}, err
	}
	switch j.Schedule.Kind {
	case firjob.ScheduleAt:
		return cut(j.Schedule.At), nil
	case firjob.ScheduleDelay:
		return timetable.open(now.Add(j.Schedule.Interval.Std()).UTC().Truncate(time.Millisecond)), nil
	}
	return timetable.Next(now), nil
}

// DelayedFire returns the fire that follows a run of a delay job that ended at
// end: one interval later, not before now, so that a result that came late is no
// misfire, rounded up to the millisecond, so that it is never early, and moved
// to the next instant that window and calendars permit; the zero time if there
// is none. The error is Timetable's.
func DelayedFire(j firjob.Job, end, now time.Time) (time.Time, error) {
	timetable, err := Of(j, time.Time{})
	if err != nil {
		return time.Time{}, err
	}
	at := end.Add(j.Schedule.Interval.Std())
	if at.Before(now) {
		at = now
	}
	return timetable.open(at.UTC().Add(time.Millisecond - 1).Truncate(time.Millisecond)), nil
}

// FireAfterEdit returns the next fire of j, which was old until now; the zero
// time means none. A schedule of another grid starts afresh, as FirstFire says,
// with now as its anchor. A job with the same fires goes on where it was, and so
// does a delay job of which an execution is open. One that is resumed does not
// make up for what was due while it was paused, nor is an "at" fired that was
// slept through.
func FireAfterEdit(j, old firjob.Job, now, anchor time.Time) (time.Time, error) {
	switch {
	case SameFires(j, old):
		return nextFire(old), nil
	case !j.Schedule.SameGrid(old.Schedule):
		return FirstFire(j, now, now)
	case j.Schedule.Kind == firjob.ScheduleAt && !j.Schedule.At.After(now):
		return time.Time{}, nil
	case j.Schedule.Kind == firjob.ScheduleDelay && j.Enabled && old.Enabled:
		return delayUnderOtherRules(j, nextFire(old), now)
	}
	return FirstFire(j, now, anchor)
}

// delayUnderOtherRules returns the fire of a delay job of which nothing but window
// and calendars has changed and which was to fire at next. While an execution is
// open next is zero, and stays so: the end brings the following fire. Otherwise
// it is no later than one interval from now, if the new rules permit that.
func delayUnderOtherRules(j firjob.Job, next, now time.Time) (time.Time, error) {
	if next.IsZero() {
		return next, nil
	}
	timetable, err := Of(j, time.Time{})
	if err != nil {
		return time.Time{}, err
	}
	if soonest := now.Add(j.Schedule.Interval.Std()); soonest.Before(next) {
		next = soonest
	}
	return timetable.open(next.UTC().Truncate(time.Millisecond)), nil
}

// SameFires reports whether j, which was old until now, fires when old did: then
// what was planned for old is good for j, too. Another version of a calendar
// makes other fires, and so does another name where fires are drawn from it.
func SameFires(j, old firjob.Job) bool {
	return j.Enabled == old.Enabled && j.Schedule.Equal(old.Schedule) &&
		(!drawn(j.Schedule) || seed(j) == seed(old)) && sameCalendars(j.Calendars, old.Calendars)
}

// drawn reports whether the fires of s depend on a seed.
func drawn(s firjob.Schedule) bool {
	return s.Jitter != 0 || s.Kind == firjob.ScheduleCron && cronspec.UsesHash(s.Expr)
}

// sameCalendars reports whether two lists hold the same versions, in any order.
func sameCalendars(a, b []firjob.Calendar) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(c firjob.Calendar) bool {
		return !slices.ContainsFunc(b,
			func(o firjob.Calendar) bool { return c.Name == o.Name && c.Version == o.Version })
	})
}

func nextFire(j firjob.Job) time.Time {
	if j.NextFireAt == nil {
		return time.Time{}
	}
	return *j.NextFireAt
}

package firjob

import "time"

// FirstFire returns the first fire of a job that is stored at now with anchor
// as the point that "every" counts from; the zero time means none. The error is
// Timetable's.
//
//	cron, every  the next one after now
//	at           the instant itself, past or not: the misfire policy decides
//	             about a past one when it is planned
//	delay        one interval from now
//	manual       none; nor has a paused job any
func (j Job) FirstFire(now, anchor time.Time) (time.Time, error) {
	timetable, err := j.Schedule.Timetable(anchor)
	if err != nil || !j.Enabled {
		return time.Time{}, err
	}
	switch j.Schedule.Kind {
	case ScheduleAt:
		return j.Schedule.At.Truncate(time.Millisecond), nil
	case ScheduleDelay:
		return now.Add(j.Schedule.Interval.Std()).Truncate(time.Millisecond), nil
	}
	return timetable.Next(now), nil
}

// FireAfterEdit returns the next fire of j, which was old until now; the zero
// time means none. A new schedule starts afresh, as FirstFire says, with now as
// its anchor. A job with the same fires goes on where it was. One that is resumed
// does not make up for what was due while it was paused, nor is an "at" fired
// that was slept through.
func (j Job) FireAfterEdit(old Job, now, anchor time.Time) (time.Time, error) {
	switch {
	case j.SameFires(old):
		return old.nextFire(), nil
	case !j.Schedule.Equal(old.Schedule):
		return j.FirstFire(now, now)
	case j.Schedule.Kind == ScheduleAt && !j.Schedule.At.After(now):
		return time.Time{}, nil
	}
	return j.FirstFire(now, anchor)
}

// SameFires reports whether j, which was old until now, fires when old did: then
// what was planned for old is good for j, too.
func (j Job) SameFires(old Job) bool {
	return j.Enabled == old.Enabled && j.Schedule.Equal(old.Schedule)
}

func (j Job) nextFire() time.Time {
	if j.NextFireAt == nil {
		return time.Time{}
	}
	return *j.NextFireAt
}

// Equal reports whether s and o name the same fires, given the same anchor.
func (s Schedule) Equal(o Schedule) bool {
	if (s.At == nil) != (o.At == nil) || s.At != nil && !s.At.Equal(*o.At) {
		return false
	}
	s.At, o.At = nil, nil
	return s == o
}

package firjob

import "time"

// Text says the schedule in English.
func (t *Timetable) Text() string {
	switch t.schedule.Kind {
	case ScheduleCron:
		return t.cron.Text()
	case ScheduleEvery:
		return "every " + t.schedule.Interval.String()
	case ScheduleDelay:
		return t.schedule.Interval.String() + " after the last one ended"
	case ScheduleAt:
		return "once at " + t.schedule.At.UTC().Format(time.RFC3339Nano)
	}
	return "only when triggered"
}

// Warnings says what a reader may get wrong about the schedule. now is from
// where it looks for changes of the clocks.
func (t *Timetable) Warnings(now time.Time) []string {
	if t.cron == nil {
		return nil
	}
	return t.cron.Warnings(now)
}

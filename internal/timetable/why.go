package timetable

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// WhyNot says in English what keeps the instant at from being a fire, "" if
// nothing does: that it is no instant of the schedule at all, that the clocks
// left it out or brought it before, that it lies outside of the window, which
// calendar leaves it out and by which of its lines, or to when jitter puts it
// off. For kind "delay", whose fires follow from what ran before, window and
// calendars alone are asked. at is cut to the millisecond.
func (t *Timetable) WhyNot(at time.Time) string {
	at = at.UTC().Truncate(time.Millisecond)
	switch t.schedule.Kind {
	case firjob.ScheduleManual:
		return fmt.Sprintf("a schedule of kind %q has no instants", firjob.ScheduleManual)
	case firjob.ScheduleDelay:
		return t.closed(at)
	}
	if t.Next(at.Add(-time.Nanosecond)).Equal(at) {
		return ""
	}
	if why := t.notBase(at); why != "" {
		return why
	}
	if why := t.closed(at); why != "" {
		return why
	}
	return "jitter puts it off to " + showInstant(t.putOff(at))
}

// notBase says why at is no base instant, "" if it is one.
func (t *Timetable) notBase(at time.Time) string {
	switch {
	case t.cron != nil:
		return t.cron.WhyNot(at)
	case !t.base(at.Add(-time.Nanosecond)).Equal(at):
		return cronspec.NotNamed
	}
	return ""
}

// closed says how window or calendars leave at out, "" if they do not.
func (t *Timetable) closed(at time.Time) string {
	switch {
	case at.Before(t.from):
		return "it lies before start_at, " + showInstant(t.from)
	case t.ends(at):
		return "it does not lie before end_at, " + showInstant(t.until)
	}
	for _, g := range t.gates {
		if why := g.closed(at); why != "" {
			return why
		}
	}
	return ""
}

func showInstant(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

package timetable

import (
	"fmt"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

// Text says the schedule in English.
func (t *Timetable) Text() string {
	text := t.baseText()
	if !t.from.IsZero() {
		text += ", from " + showInstant(t.from) + " on"
	}
	if !t.until.IsZero() {
		text += ", before " + showInstant(t.until)
	}
	if n := len(t.gates); n > 0 {
		text += ", when " + strings.Join(t.schedule.Calendars, " and ")
		if n == 1 {
			text += " permits"
		} else {
			text += " permit"
		}
	}
	if t.jitter > 0 {
		text += ", put off by up to " + t.schedule.Jitter.String()
	}
	return text
}

func (t *Timetable) baseText() string {
	switch t.schedule.Kind {
	case firjob.ScheduleCron:
		return t.cron.Text()
	case firjob.ScheduleEvery:
		return "every " + t.schedule.Interval.String()
	case firjob.ScheduleDelay:
		return t.schedule.Interval.String() + " after the last one ended"
	case firjob.ScheduleAt:
		return "once at " + showInstant(*t.schedule.At)
	}
	return "only when triggered"
}

// Warnings says what a reader may get wrong about the schedule. now is from
// where it looks for fires and for changes of the clocks.
func (t *Timetable) Warnings(now time.Time) []string {
	var list []string
	if t.cron != nil {
		list = t.cron.Warnings(now)
	}
	if at := t.schedule.At; t.schedule.Kind == firjob.ScheduleAt && at.Before(now) {
		list = append(list, showInstant(*at)+
			" is past: the misfire policy decides whether a new job still fires, and nothing follows")
	}
	if why := t.over(now); why != "" {
		return append(list, why)
	}
	if t.jitter > 0 {
		base := t.base(now)
		if next := t.base(base); !base.IsZero() && !next.IsZero() && next.Sub(base) <= t.jitter {
			list = append(list,
				fmt.Sprintf("jitter %v is not shorter than the %v to the next fire: it ends before that",
					t.schedule.Jitter, firjob.Duration(next.Sub(base))))
		}
	}
	return list
}

// over says why no fire is left after now, "" if one is, or if that is not
// time's to say.
func (t *Timetable) over(now time.Time) string {
	switch t.schedule.Kind {
	case firjob.ScheduleAt, firjob.ScheduleManual:
		return ""
	case firjob.ScheduleDelay:
		if !t.open(now).IsZero() {
			return ""
		}
	default:
		if !t.Next(now).IsZero() {
			return ""
		}
	}
	switch {
	case t.ends(now):
		return "no fire is left: end_at, " + showInstant(t.until) + ", is past"
	case !t.until.IsZero():
		return "no fire is left: there is none before end_at, " + showInstant(t.until)
	case len(t.gates) > 0:
		return fmt.Sprintf("no fire is left: within %d years the calendars permit none", int(reach.Hours()/24/366))
	}
	return "no fire is left: the years of the expression are over"
}

package httpapi

import (
	"time"

	"github.com/firjob/firjob"
)

// scheduleInput says when a job fires. Which fields count depends on kind.
type scheduleInput struct {
	Kind        *string  `json:"kind,omitempty" required:"true" enum:"cron,every,delay,at,manual" doc:"cron: expr in timezone; every: each interval since an anchor; delay: interval after the last one ended; at: once; manual: only when triggered"`
	Expr        *string  `json:"expr,omitempty" example:"0 0 2 * * *" doc:"For cron: 5 or 6 fields (seconds first), or @hourly, @daily, …; with dialect quartz 6 or 7"`
	Timezone    *string  `json:"timezone,omitempty" default:"UTC" example:"Asia/Shanghai" doc:"For cron, and for calendars without one: IANA name"`
	Dialect     *string  `json:"dialect,omitempty" enum:"unix,quartz" default:"unix" doc:"For cron: how expr is read"`
	Gap         *string  `json:"gap,omitempty" enum:"run_after,skip" default:"run_after" doc:"For cron: a local time that does not exist on that day"`
	OverlapHour *string  `json:"overlap_hour,omitempty" enum:"once,twice" default:"once" doc:"For cron: a local time that comes twice on that day"`
	Interval    *string  `json:"interval,omitempty" format:"duration" example:"30s" doc:"For every and delay: 100ms to ten years (87840h)"`
	At          *string  `json:"at,omitempty" format:"date-time" example:"2027-01-01T00:00:00Z" doc:"For at: RFC 3339, before the year 10000"`
	StartAt     *string  `json:"start_at,omitempty" format:"date-time" doc:"No fire before it"`
	EndAt       *string  `json:"end_at,omitempty" format:"date-time" doc:"No fire at or after it"`
	Jitter      *string  `json:"jitter,omitempty" format:"duration" default:"0s" example:"2m" doc:"Each fire is put off by up to this much, by an amount that follows from the job's app, its name and the fire"`
	Calendars   []string `json:"calendars,omitempty" nullable:"false" doc:"Names of calendars; a fire counts only if each permits it" example:"[\"holidays\"]"`
}

// schedule returns the schedule that in describes. at is the path of its fields.
func (in scheduleInput) schedule(at string, f *faults) firjob.Schedule {
	var s firjob.Schedule
	set(&s.Kind, in.Kind)
	if s.Kind == firjob.ScheduleCron {
		s.Timezone, s.Dialect, s.Gap, s.OverlapHour = "UTC", firjob.DialectUnix, "run_after", "once"
	}
	set(&s.Expr, in.Expr)
	if in.Timezone != nil && *in.Timezone != "" {
		s.Timezone = *in.Timezone
	}
	set(&s.Dialect, in.Dialect)
	set(&s.Gap, in.Gap)
	set(&s.OverlapHour, in.OverlapHour)
	setDuration(&s.Interval, in.Interval, at+"interval", f)
	s.At = timeOf(in.At, at+"at", f)
	s.StartAt = timeOf(in.StartAt, at+"start_at", f)
	s.EndAt = timeOf(in.EndAt, at+"end_at", f)
	setDuration(&s.Jitter, in.Jitter, at+"jitter", f)
	if len(in.Calendars) > 0 {
		s.Calendars = in.Calendars
	}
	return s
}

// timeOf reads an optional time, cut to the millisecond.
func timeOf(text *string, field string, f *faults) *time.Time {
	if text == nil {
		return nil
	}
	at, err := time.Parse(time.RFC3339, *text)
	if err != nil {
		f.add(field, *text, notTime(*text))
		return nil
	}
	at = at.UTC().Truncate(time.Millisecond)
	return &at
}

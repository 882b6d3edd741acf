package httpapi

import (
	"encoding/json"
	"time"

	"github.com/firjob/firjob"
)

// jobInput is what a client may say of a job. A field that is absent or null
// has its default.
type jobInput struct {
	App      *string         `json:"app,omitempty" required:"true" doc:"The app whose executors run it; it cannot change" example:"billing"`
	Name     *string         `json:"name,omitempty" required:"true" doc:"Unique within the app" example:"nightly-report"`
	Handler  *string         `json:"handler,omitempty" required:"true" doc:"The handler that runs, as the executor has registered it" example:"report"`
	Params   json.RawMessage `json:"params,omitempty" doc:"Any JSON up to 64 KiB, nested 100 levels at most; handed to the handler"`
	Schedule *scheduleInput  `json:"schedule,omitempty" required:"true" doc:"When it fires"`
	Misfire  *misfireInput   `json:"misfire,omitempty" doc:"What becomes of fires that could not be sent in time"`
	Overlap  *string         `json:"overlap,omitempty" enum:"allow,skip,queue" default:"allow" doc:"What happens when it is due while it still runs"`
	Route    *string         `json:"route,omitempty" enum:"round_robin,random,least_busy" default:"round_robin" doc:"How an executor is picked"`
	Delivery *string         `json:"delivery,omitempty" enum:"at_least_once,at_most_once" default:"at_least_once" doc:"What happens to an attempt whose outcome cannot be known"`
	Timeout  *string         `json:"timeout,omitempty" format:"duration" default:"0s" example:"30s" doc:"Of one attempt; 0s = none"`
	Retry    *retryInput     `json:"retry,omitempty" doc:"What follows an attempt that failed"`
	Priority *int            `json:"priority,omitempty" minimum:"-10" maximum:"10" default:"0" doc:"Kept for ordering under backlog; no effect in this version"`
	Enabled  *bool           `json:"enabled,omitempty" default:"true" doc:"false = paused"`
}

// scheduleInput says when a job fires. Which fields count depends on kind.
type scheduleInput struct {
	Kind        *string `json:"kind,omitempty" required:"true" enum:"cron,every,delay,at,manual" doc:"cron: expr in timezone; every: each interval since an anchor; delay: interval after the last one ended; at: once; manual: only when triggered"`
	Expr        *string `json:"expr,omitempty" example:"0 0 2 * * *" doc:"For cron: 5 or 6 fields (seconds first), or @hourly, @daily, …"`
	Timezone    *string `json:"timezone,omitempty" default:"UTC" example:"Asia/Shanghai" doc:"For cron: IANA name"`
	Dialect     *string `json:"dialect,omitempty" enum:"unix" default:"unix" doc:"For cron: how expr is read"`
	Gap         *string `json:"gap,omitempty" enum:"run_after,skip" default:"run_after" doc:"For cron: a local time that does not exist on that day"`
	OverlapHour *string `json:"overlap_hour,omitempty" enum:"once,twice" default:"once" doc:"For cron: a local time that comes twice on that day"`
	Interval    *string `json:"interval,omitempty" format:"duration" example:"30s" doc:"For every and delay: 100ms to ten years (87840h)"`
	At          *string `json:"at,omitempty" format:"date-time" example:"2027-01-01T00:00:00Z" doc:"For at: RFC 3339, before the year 10000"`
}

type misfireInput struct {
	Policy *string `json:"policy,omitempty" enum:"fire_once,skip,fire_all" default:"fire_once" doc:"Which of the late fires run; the others are recorded as missed"`
	Grace  *string `json:"grace,omitempty" format:"duration" default:"5s" doc:"A fire that is not later than this always runs"`
}

type retryInput struct {
	MaxAttempts *int     `json:"max_attempts,omitempty" minimum:"1" maximum:"100" default:"1" doc:"Answered attempts in all; 1 = no retry"`
	Backoff     *string  `json:"backoff,omitempty" format:"duration" default:"1s" doc:"Wait before the second attempt"`
	Factor      *float64 `json:"factor,omitempty" default:"2" doc:"By which each further wait grows"`
	MaxBackoff  *string  `json:"max_backoff,omitempty" format:"duration" default:"5m" doc:"The longest wait"`
	Jitter      *float64 `json:"jitter,omitempty" minimum:"0" maximum:"1" default:"0.2" doc:"0.2 = each wait is up to 20 % shorter or longer"`
}

// job returns the job that in describes, with defaults for what it leaves out.
// Texts that are no duration or time are noted in f and left at their default.
func (in jobInput) job(f *faults) firjob.Job {
	j := firjob.NewJob()
	set(&j.App, in.App)
	set(&j.Name, in.Name)
	set(&j.Handler, in.Handler)
	if string(in.Params) != "null" {
		j.Params = in.Params
	}
	if in.Schedule != nil {
		j.Schedule = in.Schedule.schedule("schedule.", f)
	}
	if in.Misfire != nil {
		set(&j.Misfire.Policy, in.Misfire.Policy)
		setDuration(&j.Misfire.Grace, in.Misfire.Grace, "misfire.grace", f)
	}
	set(&j.Overlap, in.Overlap)
	set(&j.Route, in.Route)
	set(&j.Delivery, in.Delivery)
	setDuration(&j.Timeout, in.Timeout, "timeout", f)
	if in.Retry != nil {
		in.Retry.into(&j.Retry, f)
	}
	if in.Priority != nil {
		j.Priority = *in.Priority
	}
	if in.Enabled != nil {
		j.Enabled = *in.Enabled
	}
	return j
}

// schedule returns the schedule that in describes. at is the path of its fields.
func (in scheduleInput) schedule(at string, f *faults) firjob.Schedule {
	var s firjob.Schedule
	set(&s.Kind, in.Kind)
	if s.Kind == firjob.ScheduleCron {
		s.Timezone, s.Dialect, s.Gap, s.OverlapHour = "UTC", "unix", "run_after", "once"
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
	return s
}

func (in retryInput) into(r *firjob.Retry, f *faults) {
	if in.MaxAttempts != nil {
		r.MaxAttempts = *in.MaxAttempts
	}
	setDuration(&r.Backoff, in.Backoff, "retry.backoff", f)
	if in.Factor != nil {
		r.Factor = *in.Factor
	}
	setDuration(&r.MaxBackoff, in.MaxBackoff, "retry.max_backoff", f)
	if in.Jitter != nil {
		r.Jitter = *in.Jitter
	}
}

func set[T ~string](to *T, from *string) {
	if from != nil {
		*to = T(*from)
	}
}

func setDuration(to *firjob.Duration, from *string, field string, f *faults) {
	if from == nil {
		return
	}
	if err := to.UnmarshalText([]byte(*from)); err != nil {
		f.add(field, *from, err.Error())
	}
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

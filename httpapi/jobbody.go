package httpapi

import (
	"encoding/json"
	"time"

	"github.com/firjob/firjob"
)

// jobBody is a job as the API shows it.
type jobBody struct {
	ID           firjob.JobID    `json:"id" example:"42"`
	App          string          `json:"app" example:"billing"`
	Name         string          `json:"name" example:"nightly-report"`
	Handler      string          `json:"handler" example:"report"`
	Params       json.RawMessage `json:"params" doc:"Any JSON; null if none"`
	Schedule     scheduleBody    `json:"schedule"`
	Misfire      misfireBody     `json:"misfire"`
	Overlap      firjob.Overlap  `json:"overlap" enum:"allow,skip,queue"`
	Route        firjob.Route    `json:"route" enum:"round_robin,random,least_busy"`
	Delivery     firjob.Delivery `json:"delivery" enum:"at_least_once,at_most_once"`
	Timeout      span            `json:"timeout" example:"0s" doc:"Of one attempt; 0s = none"`
	Retry        retryBody       `json:"retry"`
	Priority     int             `json:"priority" example:"0"`
	Enabled      bool            `json:"enabled"`
	PausedReason string          `json:"paused_reason,omitempty" doc:"What was given, or found wrong, when it was paused"`
	Version      int             `json:"version" doc:"Grows with each change" example:"3"`
	NextFireAt   *instant        `json:"next_fire_at" nullable:"true" doc:"The next coming fire; null while there is none"`
	CreatedAt    instant         `json:"created_at"`
	UpdatedAt    instant         `json:"updated_at"`
}

type scheduleBody struct {
	Kind        firjob.ScheduleKind `json:"kind" enum:"cron,every,delay,at,manual"`
	Expr        string              `json:"expr,omitempty" example:"0 0 2 * * *"`
	Timezone    string              `json:"timezone,omitempty" example:"Asia/Shanghai"`
	Dialect     string              `json:"dialect,omitempty" enum:"unix"`
	Gap         string              `json:"gap,omitempty" enum:"run_after,skip"`
	OverlapHour string              `json:"overlap_hour,omitempty" enum:"once,twice"`
	Interval    *span               `json:"interval,omitempty" example:"30s"`
	At          *instant            `json:"at,omitempty"`
}

type misfireBody struct {
	Policy firjob.MisfirePolicy `json:"policy" enum:"fire_once,skip,fire_all"`
	Grace  span                 `json:"grace" example:"5s"`
}

type retryBody struct {
	MaxAttempts int     `json:"max_attempts" example:"1"`
	Backoff     span    `json:"backoff" example:"1s"`
	Factor      float64 `json:"factor" example:"2"`
	MaxBackoff  span    `json:"max_backoff" example:"5m"`
	Jitter      float64 `json:"jitter" example:"0.2"`
}

// bodyOfJob shows j as of now.
func bodyOfJob(j firjob.Job, now time.Time) jobBody {
	next := coming(j, now)
	return jobBody{
		ID: j.ID, App: j.App, Name: j.Name, Handler: j.Handler, Params: j.Params,
		Schedule: bodyOfSchedule(j.Schedule),
		Misfire:  misfireBody{Policy: j.Misfire.Policy, Grace: span(j.Misfire.Grace)},
		Overlap:  j.Overlap, Route: j.Route, Delivery: j.Delivery,
		Timeout: span(j.Timeout),
		Retry: retryBody{MaxAttempts: j.Retry.MaxAttempts, Backoff: span(j.Retry.Backoff), Factor: j.Retry.Factor,
			MaxBackoff: span(j.Retry.MaxBackoff), Jitter: j.Retry.Jitter},
		Priority: j.Priority,
		Enabled:  j.Enabled, PausedReason: j.PausedReason, Version: j.Version,
		NextFireAt: instantOf(&next),
		CreatedAt:  instant(j.CreatedAt), UpdatedAt: instant(j.UpdatedAt),
	}
}

func bodyOfSchedule(s firjob.Schedule) scheduleBody {
	b := scheduleBody{Kind: s.Kind, Expr: s.Expr, Timezone: s.Timezone, Dialect: s.Dialect,
		Gap: string(s.Gap), OverlapHour: string(s.OverlapHour), At: instantOf(s.At)}
	if s.Interval != 0 {
		b.Interval = (*span)(&s.Interval)
	}
	return b
}

// inputOfJob returns what a client would say to get j: what a patch is applied
// to. Each field stands there, default or not.
func inputOfJob(j firjob.Job) jobInput {
	text := func(d firjob.Duration) *string { return new(d.String()) }
	return jobInput{
		App: &j.App, Name: &j.Name, Handler: &j.Handler, Params: j.Params,
		Schedule: inputOfSchedule(j.Schedule),
		Misfire:  &misfireInput{Policy: new(string(j.Misfire.Policy)), Grace: text(j.Misfire.Grace)},
		Overlap:  new(string(j.Overlap)), Route: new(string(j.Route)), Delivery: new(string(j.Delivery)),
		Timeout: text(j.Timeout),
		Retry: &retryInput{MaxAttempts: &j.Retry.MaxAttempts, Backoff: text(j.Retry.Backoff),
			Factor: &j.Retry.Factor, MaxBackoff: text(j.Retry.MaxBackoff), Jitter: &j.Retry.Jitter},
		Priority: &j.Priority, Enabled: &j.Enabled,
	}
}

func inputOfSchedule(s firjob.Schedule) *scheduleInput {
	text := func(t string) *string {
		if t == "" {
			return nil
		}
		return &t
	}
	in := &scheduleInput{Kind: new(string(s.Kind)), Expr: text(s.Expr), Timezone: text(s.Timezone),
		Dialect: text(s.Dialect), Gap: text(string(s.Gap)), OverlapHour: text(string(s.OverlapHour))}
	if s.Interval != 0 {
		in.Interval = new(s.Interval.String())
	}
	if s.At != nil {
		in.At = new(s.At.UTC().Format(time.RFC3339Nano))
	}
	return in
}

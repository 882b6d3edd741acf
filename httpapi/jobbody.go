package httpapi

import (
	"encoding/json"
	"time"

	"github.com/firjob/firjob"
)

// jobBody is a job as the API shows it.
type jobBody struct {
	ID            firjob.JobID      `json:"id" example:"42"`
	App           string            `json:"app" example:"billing"`
	Name          string            `json:"name" example:"nightly-report"`
	Handler       string            `json:"handler,omitempty" example:"report"`
	HTTP          *callBody         `json:"http,omitempty"`
	Params        json.RawMessage   `json:"params" doc:"Any JSON; null if none"`
	Schedule      scheduleBody      `json:"schedule"`
	Misfire       misfireBody       `json:"misfire"`
	StartDeadline span              `json:"start_deadline" example:"0s" doc:"0s = none"`
	Overlap       firjob.Overlap    `json:"overlap" enum:"allow,skip,queue,replace"`
	MaxRunning    int               `json:"max_running" example:"0" doc:"0 = no limit with overlap allow, else 1"`
	QueueLimit    int               `json:"queue_limit" example:"1000"`
	ReplaceAfter  span              `json:"replace_after" example:"30s"`
	Route         firjob.Route      `json:"route" enum:"round_robin,random,least_busy,least_recently_used,least_frequently_used,consistent_hash,first,last,failover,sticky,broadcast"`
	RouteKey      string            `json:"route_key,omitempty"`
	RouteOrder    []string          `json:"route_order,omitempty" nullable:"false"`
	Selector      map[string]string `json:"selector,omitempty"`
	Exclusive     bool              `json:"exclusive"`
	Delivery      firjob.Delivery   `json:"delivery" enum:"at_least_once,at_most_once"`
	Timeout       span              `json:"timeout" example:"0s" doc:"Of one attempt; 0s = none"`
	Retry         retryBody         `json:"retry"`
	Priority      int               `json:"priority" example:"0"`
	Parents       *parentsBody      `json:"parents,omitempty"`
	Enabled       bool              `json:"enabled"`
	PausedReason  string            `json:"paused_reason,omitempty" doc:"What was given, or found wrong, when it was paused"`
	Version       int               `json:"version" doc:"Grows with each change; the ETag is this number in quotes" example:"3"`
	NextFireAt    *instant          `json:"next_fire_at" nullable:"true" doc:"The next coming fire; null while there is none"`
	CreatedAt     instant           `json:"created_at"`
	UpdatedAt     instant           `json:"updated_at"`
	Warnings      []string          `json:"warnings,omitempty" nullable:"false" doc:"What a reader may get wrong about it, as the preview tells; absent if nothing, and in lists"`
	Last          *lastEndBody      `json:"last,omitempty" doc:"How its latest execution ended; only where it was asked for with last=true"`
}

// lastEndBody is how a job's latest execution ended.
type lastEndBody struct {
	ID          firjob.ExecutionID `json:"id" format:"uuid"`
	ScheduledAt instant            `json:"scheduled_at"`
	State       firjob.State       `json:"state" enum:"succeeded,failed,timed_out,cancelled,lost,skipped,missed"`
	Reason      string             `json:"reason"`
	FinishedAt  instant            `json:"finished_at"`
}

type callBody struct {
	Method  string            `json:"method" enum:"GET,HEAD,POST,PUT,PATCH,DELETE"`
	URL     string            `json:"url" example:"https://reports.example.org/run"`
	Headers map[string]string `json:"headers,omitempty" doc:"As they were given"`
	Body    string            `json:"body,omitempty"`
	Expect  []int             `json:"expect,omitempty" nullable:"false"`
	Timeout span              `json:"timeout" example:"30s"`
	Sign    bool              `json:"sign"`
}

type scheduleBody struct {
	Kind        firjob.ScheduleKind `json:"kind" enum:"cron,every,delay,at,manual"`
	Expr        string              `json:"expr,omitempty" example:"0 0 2 * * *"`
	Timezone    string              `json:"timezone,omitempty" example:"Asia/Shanghai"`
	Dialect     string              `json:"dialect,omitempty" enum:"unix,quartz"`
	Gap         string              `json:"gap,omitempty" enum:"run_after,skip"`
	OverlapHour string              `json:"overlap_hour,omitempty" enum:"once,twice"`
	Interval    *span               `json:"interval,omitempty" example:"30s"`
	At          *instant            `json:"at,omitempty"`
	StartAt     *instant            `json:"start_at,omitempty"`
	EndAt       *instant            `json:"end_at,omitempty"`
	Jitter      *span               `json:"jitter,omitempty" example:"2m"`
	Calendars   []string            `json:"calendars,omitempty" nullable:"false"`
}

type misfireBody struct {
	Policy     firjob.MisfirePolicy `json:"policy" enum:"fire_once,skip,fire_all"`
	Grace      span                 `json:"grace" example:"5s"`
	MaxCatchUp int                  `json:"max_catch_up" example:"1000"`
}

type retryBody struct {
	MaxAttempts int                `json:"max_attempts" example:"1"`
	Kind        firjob.BackoffKind `json:"kind" enum:"exponential,linear,fixed"`
	Backoff     span               `json:"backoff" example:"1s"`
	Factor      float64            `json:"factor" example:"2"`
	MaxBackoff  span               `json:"max_backoff" example:"5m"`
	Jitter      float64            `json:"jitter" example:"0.2"`
	On          firjob.RetryOn     `json:"on" enum:"any,other,same"`
}

type parentsBody struct {
	Join firjob.Join  `json:"join" enum:"all,any"`
	Of   []parentBody `json:"of" nullable:"false"`
}

type parentBody struct {
	Job firjob.JobID `json:"job" example:"41"`
	On  firjob.On    `json:"on" enum:"success,failure,end"`
}

// bodyOfJob shows j as of now.
func bodyOfJob(j firjob.Job, now time.Time) jobBody { return bodyWithNext(j, coming(j, now)) }

// bodyOfNewJob shows a job that was just made: none of its fires is recorded yet,
// so that the stored one is the next to come, without reading its schedule again.
func bodyOfNewJob(j firjob.Job, now time.Time) jobBody {
	if j.NextFireAt == nil || !j.NextFireAt.After(now) {
		return bodyOfJob(j, now)
	}
	return bodyWithNext(j, *j.NextFireAt)
}

func bodyWithNext(j firjob.Job, next time.Time) jobBody {
	return jobBody{
		ID: j.ID, App: j.App, Name: j.Name, Handler: j.Handler, HTTP: bodyOfCall(j.HTTP), Params: j.Params,
		Schedule: bodyOfSchedule(j.Schedule),
		Misfire: misfireBody{Policy: j.Misfire.Policy, Grace: span(j.Misfire.Grace),
			MaxCatchUp: j.Misfire.MaxCatchUp},
		StartDeadline: span(j.StartDeadline),
		Overlap:       j.Overlap, MaxRunning: j.MaxRunning, QueueLimit: j.QueueLimit,
		ReplaceAfter: span(j.ReplaceAfter),
		Route:        j.Route, RouteKey: j.RouteKey, RouteOrder: j.RouteOrder, Selector: j.Selector,
		Exclusive: j.Exclusive,
		Delivery:  j.Delivery, Timeout: span(j.Timeout),
		Retry: retryBody{MaxAttempts: j.Retry.MaxAttempts, Kind: j.Retry.Kind, Backoff: span(j.Retry.Backoff),
			Factor:     j.Retry.Factor,
			MaxBackoff: span(j.Retry.MaxBackoff), Jitter: j.Retry.Jitter, On: j.Retry.On},
		Priority: j.Priority, Parents: bodyOfParents(j.Parents),
		Enabled: j.Enabled, PausedReason: j.PausedReason, Version: j.Version,
		NextFireAt: instantOf(&next),
		CreatedAt:  instant(j.CreatedAt), UpdatedAt: instant(j.UpdatedAt),
	}
}

func bodyOfSchedule(s firjob.Schedule) scheduleBody {
	b := scheduleBody{Kind: s.Kind, Expr: s.Expr, Timezone: s.Timezone, Dialect: s.Dialect, Gap: string(s.Gap),
		OverlapHour: string(s.OverlapHour), At: instantOf(s.At), StartAt: instantOf(s.StartAt),
		EndAt:     instantOf(s.EndAt),
		Calendars: s.Calendars}
	if s.Interval != 0 {
		b.Interval = (*span)(&s.Interval)
	}
	if s.Jitter != 0 {
		b.Jitter = (*span)(&s.Jitter)
	}
	return b
}

func bodyOfCall(c *firjob.HTTPCall) *callBody {
	if c == nil {
		return nil
	}
	return &callBody{Method: c.Method, URL: c.URL, Headers: c.Headers, Body: c.Body, Expect: c.Expect,
		Timeout: span(c.Timeout), Sign: c.Sign}
}

func bodyOfParents(p *firjob.Parents) *parentsBody {
	if p == nil {
		return nil
	}
	b := &parentsBody{Join: p.Join, Of: []parentBody{}}
	for _, of := range p.Of {
		b.Of = append(b.Of, parentBody(of))
	}
	return b
}

// inputOfJob returns what a client would say to get j: what a patch is applied
// to. Each field stands there, default or not.
func inputOfJob(j firjob.Job) jobInput {
	return jobInput{
		App: &j.App, Name: &j.Name, Handler: given(j.Handler), HTTP: inputOfCall(j.HTTP), Params: j.Params,
		Schedule: inputOfSchedule(j.Schedule),
		Misfire: &misfireInput{Policy: new(string(j.Misfire.Policy)), Grace: spanText(j.Misfire.Grace),
			MaxCatchUp: &j.Misfire.MaxCatchUp},
		StartDeadline: spanText(j.StartDeadline),
		Overlap:       new(string(j.Overlap)), MaxRunning: &j.MaxRunning, QueueLimit: &j.QueueLimit,
		ReplaceAfter: spanText(j.ReplaceAfter),
		Route:        new(string(j.Route)), RouteKey: given(j.RouteKey), RouteOrder: j.RouteOrder, Selector: j.Selector,
		Exclusive: &j.Exclusive,
		Delivery:  new(string(j.Delivery)), Timeout: spanText(j.Timeout),
		Retry: &retryInput{MaxAttempts: &j.Retry.MaxAttempts, Kind: new(string(j.Retry.Kind)),
			Backoff: spanText(j.Retry.Backoff),
			Factor:  &j.Retry.Factor, MaxBackoff: spanText(j.Retry.MaxBackoff), Jitter: &j.Retry.Jitter,
			On: new(string(j.Retry.On))},
		Priority: &j.Priority, Parents: inputOfParents(j.Parents), Enabled: &j.Enabled,
	}
}

func inputOfSchedule(s firjob.Schedule) *scheduleInput {
	in := &scheduleInput{Kind: new(string(s.Kind)), Expr: given(s.Expr), Timezone: given(s.Timezone),
		Dialect: given(s.Dialect),
		Gap:     given(string(s.Gap)), OverlapHour: given(string(s.OverlapHour)), At: timeText(s.At),
		StartAt: timeText(s.StartAt),
		EndAt:   timeText(s.EndAt), Calendars: s.Calendars}
	if s.Interval != 0 {
		in.Interval = spanText(s.Interval)
	}
	if s.Jitter != 0 {
		in.Jitter = spanText(s.Jitter)
	}
	return in
}

func inputOfCall(c *firjob.HTTPCall) *callInput {
	if c == nil {
		return nil
	}
	return &callInput{Method: &c.Method, URL: &c.URL, Headers: c.Headers, Body: given(c.Body), Expect: c.Expect,
		Timeout: spanText(c.Timeout), Sign: &c.Sign}
}

func inputOfParents(p *firjob.Parents) *parentsInput {
	if p == nil {
		return nil
	}
	in := &parentsInput{Join: new(string(p.Join))}
	for _, of := range p.Of {
		in.Of = append(in.Of, parentInput{Job: new(int64(of.Job)), On: new(string(of.On))})
	}
	return in
}

// given returns a text that is there, nil for none.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func spanText(d firjob.Duration) *string { return new(d.String()) }

func timeText(at *time.Time) *string {
	if at == nil {
		return nil
	}
	return new(at.UTC().Format(time.RFC3339Nano))
}

package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// jobFlags are what "job create" and "job edit" say of a job. A flag that was
// not given is nil and is not sent: a new job then has the server's default, an
// old one keeps what it has.
type jobFlags struct {
	Handler       *string           `placeholder:"NAME" help:"Name of the handler that runs, as executors register it."`
	Params        *string           `placeholder:"JSON|@FILE" help:"What the handler gets."`
	HTTPURL       *string           `name:"http-url" placeholder:"URL" help:"URL that the server requests in place of a handler. The rest of the request is set by --file."`
	HTTPMethod    *string           `name:"http-method" placeholder:"METHOD" help:"Method of that request; POST by default."`
	Cron          *string           `placeholder:"EXPR" xor:"when" group:"When:" help:"A cron expression of 5 fields, or 6 with seconds first, or @hourly, @daily ..."`
	Manual        bool              `xor:"when" group:"When:" help:"Run only when triggered."`
	Parent        []parent          `placeholder:"JOB[:success|failure|end]" xor:"when" group:"When:" help:"Run when this job has ended with success (the default), with failure, or either way (end). May be repeated."`
	Join          *string           `placeholder:"all|any" group:"When:" help:"Wait for all parents (the default), or for any one."`
	FireJitter    *console.Span     `placeholder:"DURATION" group:"When:" help:"Delay each fire by a random time of up to this."`
	Calendar      []string          `placeholder:"NAME" group:"When:" help:"Fire only when this calendar permits it. May be repeated."`
	Misfire       *string           `placeholder:"fire_once|skip|fire_all" group:"Policies:" help:"What happens to fires that could not be sent in time: the latest runs, none runs, or all run."`
	Grace         *console.Span     `placeholder:"DURATION" group:"Policies:" help:"A fire that is late by no more than this always runs."`
	MaxCatchUp    *int              `placeholder:"N" group:"Policies:" help:"How many late fires fire_all runs after one outage."`
	StartDeadline *console.Span     `placeholder:"DURATION" group:"Policies:" help:"An execution that would start later than this is recorded as missed; 0s = no deadline."`
	Overlap       *string           `placeholder:"allow|skip|queue|replace" group:"Policies:" help:"What happens when a fire is due and --max-running executions still run: run anyway, skip, queue, or replace the oldest."`
	MaxRunning    *int              `placeholder:"N" group:"Policies:" help:"Executions that may run at a time; 0 = no limit with allow, 1 otherwise."`
	QueueLimit    *int              `placeholder:"N" group:"Policies:" help:"Executions that may wait in the overlap queue."`
	Route         *string           `placeholder:"ROUTE" group:"Policies:" help:"How an executor is picked: round_robin, random, least_busy, least_recently_used, least_frequently_used, consistent_hash, first, last, failover, sticky or broadcast."`
	RouteKey      *string           `placeholder:"FIELD" group:"Policies:" help:"For consistent_hash: the field of the params that is the key."`
	RouteOrder    []string          `placeholder:"ADDRESS" group:"Policies:" help:"For failover: the preferred executors, in their order."`
	Selector      map[string]string `mapsep:"," placeholder:"NAME=VALUE" group:"Policies:" help:"Labels that an executor must have. May be repeated."`
	Exclusive     *bool             `negatable:"" group:"Policies:" help:"The executor confirms that it may run before the handler begins."`
	Delivery      *string           `placeholder:"at_least_once|at_most_once" group:"Policies:" help:"What happens to an attempt whose outcome cannot be known."`
	Timeout       *console.Span     `placeholder:"DURATION" group:"Policies:" help:"How long one attempt may run; 0s = no limit."`
	Priority      *int              `placeholder:"N" group:"Policies:" help:"From -10 to 10; a higher number goes first."`
	Paused        bool              `group:"Policies:" help:"Do not fire until the job is resumed."`

	MaxAttempts *int          `placeholder:"N" group:"Policies:" help:"Attempts in all; 1 = no retry."`
	Backoff     *console.Span `placeholder:"DURATION" group:"Policies:" help:"Wait before the second attempt."`
	Factor      *float64      `placeholder:"X" group:"Policies:" help:"By how much each further wait is longer."`
	MaxBackoff  *console.Span `placeholder:"DURATION" group:"Policies:" help:"The longest wait."`
	Jitter      *float64      `placeholder:"X" group:"Policies:" help:"0.2 = each wait is up to 20 % shorter or longer."`
	BackoffKind *string       `placeholder:"exponential|linear|fixed" group:"Policies:" help:"How waits grow."`
	RetryOn     *string       `placeholder:"any|other|same" group:"Policies:" help:"Which executor gets the next attempt."`

	scheduleFlags
}

// scheduleFlags are what a schedule can say, cron expressions aside: they are a
// flag in one place and an argument in another.
type scheduleFlags struct {
	Every       *console.Span   `placeholder:"DURATION" xor:"when" group:"When:" help:"Fire again and again after this time, however long an execution runs."`
	Delay       *console.Span   `placeholder:"DURATION" xor:"when" group:"When:" help:"Fire this long after the last execution ended."`
	At          *console.Moment `placeholder:"TIME" xor:"when" group:"When:" help:"Once, such as \"2027-01-01 09:00\" in --timezone, \"tomorrow 09:00\", 5m, 2027-01-01T00:00:00Z."`
	Dialect     *string         `placeholder:"unix|quartz" group:"When:" help:"For cron: how the expression is read; unix by default."`
	StartAt     *console.Moment `placeholder:"TIME" group:"When:" help:"No fire before it."`
	EndAt       *console.Moment `placeholder:"TIME" group:"When:" help:"No fire at or after it."`
	Timezone    *string         `placeholder:"ZONE" group:"When:" help:"For cron, such as Asia/Shanghai; UTC by default."`
	Gap         *string         `placeholder:"run_after|skip" group:"When:" help:"For cron: what happens at a local time that daylight saving time (DST) skips."`
	OverlapHour *string         `placeholder:"once|twice" group:"When:" help:"For cron: how often a local time fires that daylight saving time (DST) repeats."`
}

// object returns the schedule's members as the API names them.
func (f *scheduleFlags) object(cron *string, manual bool) client.Object {
	o := client.Object{}
	switch {
	case cron != nil:
		o["kind"], o["expr"] = firjob.ScheduleCron, *cron
	case f.Every != nil:
		o["kind"], o["interval"] = firjob.ScheduleEvery, *f.Every
	case f.Delay != nil:
		o["kind"], o["interval"] = firjob.ScheduleDelay, *f.Delay
	case f.At != nil:
		o["kind"], o["at"] = firjob.ScheduleAt, *f.At
	case manual:
		o["kind"] = firjob.ScheduleManual
	}
	client.Put(o, "dialect", f.Dialect)
	client.Put(o, "start_at", f.StartAt)
	client.Put(o, "end_at", f.EndAt)
	if f.At == nil { // an instant needs no zone: its text was read in this one
		client.Put(o, "timezone", f.Timezone)
	}
	client.Put(o, "gap", f.Gap)
	client.Put(o, "overlap_hour", f.OverlapHour)
	return o
}

// object returns what was given, as a body for the API.
func (f *jobFlags) object(p *console.Process) (client.Object, error) {
	o := client.Object{}
	if f.Params != nil {
		params, err := p.Params(*f.Params)
		if err != nil {
			return nil, err
		}
		o["params"] = json.RawMessage(params)
	}
	client.Put(o, "handler", f.Handler)
	client.Nest(o, "http", f.call())
	client.Nest(o, "schedule", f.schedule())
	client.Nest(o, "parents", f.parents())
	client.Nest(o, "misfire", f.misfire())
	client.Put(o, "start_deadline", f.StartDeadline)
	client.Put(o, "overlap", f.Overlap)
	client.Put(o, "max_running", f.MaxRunning)
	client.Put(o, "queue_limit", f.QueueLimit)
	f.routing(o)
	client.Put(o, "delivery", f.Delivery)
	client.Put(o, "timeout", f.Timeout)
	client.Nest(o, "retry", f.retry())
	client.Put(o, "priority", f.Priority)
	if f.Paused {
		o["enabled"] = false
	}
	return o, nil
}

func (f *jobFlags) call() client.Object {
	o := client.Object{}
	client.Put(o, "url", f.HTTPURL)
	client.Put(o, "method", f.HTTPMethod)
	return o
}

func (f *jobFlags) schedule() client.Object {
	o := f.scheduleFlags.object(f.Cron, f.Manual || len(f.Parent) > 0)
	client.Put(o, "jitter", f.FireJitter)
	if len(f.Calendar) > 0 {
		o["calendars"] = f.Calendar
	}
	return o
}

func (f *jobFlags) parents() client.Object {
	o := client.Object{}
	client.Put(o, "join", f.Join)
	if len(f.Parent) > 0 {
		o["of"] = f.Parent
	}
	return o
}

// parent is a flag that names a job and which end of it counts.
type parent struct {
	ref client.JobRef
	firjob.Parent
}

// UnmarshalText reads a job, or one and a condition: "41:failure".
func (p *parent) UnmarshalText(text []byte) error {
	p.On = firjob.OnSuccess
	if i := strings.LastIndexByte(string(text), ':'); i >= 0 {
		text, p.On = text[:i], cmp.Or(firjob.On(text[i+1:]), firjob.OnSuccess)
	}
	return p.ref.UnmarshalText(text)
}

// findParents asks for the numbers of the parents that are named otherwise.
func (f *jobFlags) findParents(ctx context.Context, api *client.Client) (err error) {
	for i := range f.Parent {
		if f.Parent[i].Job, err = f.Parent[i].ref.Find(ctx, api); err != nil {
			return err
		}
	}
	return nil
}

func (f *jobFlags) routing(o client.Object) {
	client.Put(o, "route", f.Route)
	client.Put(o, "route_key", f.RouteKey)
	if len(f.RouteOrder) > 0 {
		o["route_order"] = f.RouteOrder
	}
	if len(f.Selector) > 0 {
		o["selector"] = f.Selector
	}
	client.Put(o, "exclusive", f.Exclusive)
}

func (f *jobFlags) misfire() client.Object {
	o := client.Object{}
	client.Put(o, "policy", f.Misfire)
	client.Put(o, "grace", f.Grace)
	client.Put(o, "max_catch_up", f.MaxCatchUp)
	return o
}

func (f *jobFlags) retry() client.Object {
	o := client.Object{}
	client.Put(o, "max_attempts", f.MaxAttempts)
	client.Put(o, "backoff", f.Backoff)
	client.Put(o, "factor", f.Factor)
	client.Put(o, "max_backoff", f.MaxBackoff)
	client.Put(o, "jitter", f.Jitter)
	client.Put(o, "kind", f.BackoffKind)
	client.Put(o, "on", f.RetryOn)
	return o
}

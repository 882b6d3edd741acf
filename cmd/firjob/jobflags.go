package main

import (
	"encoding/json"

	"github.com/firjob/firjob"
)

// jobFlags are what "job create" and "job edit" say of a job. A flag that was
// not given is nil and is not sent: a new job then has the server's default, an
// old one keeps what it has.
type jobFlags struct {
	Handler  *string `placeholder:"NAME" help:"Handler that runs, as the executors register it."`
	Params   *string `placeholder:"JSON|@FILE" help:"What the handler gets."`
	Cron     *string `placeholder:"EXPR" xor:"when" group:"When:" help:"A cron expression of 5 fields, or 6 with seconds first, or @hourly, @daily ..."`
	Manual   bool    `xor:"when" group:"When:" help:"Only when triggered."`
	Misfire  *string `placeholder:"fire_once|skip|fire_all" group:"Policies:" help:"Which of the fires that could not be sent in time run."`
	Grace    *span   `placeholder:"DURATION" group:"Policies:" help:"A fire that is not later than this always runs."`
	Overlap  *string `placeholder:"allow|skip|queue" group:"Policies:" help:"What happens when it is due while it still runs."`
	Route    *string `placeholder:"round_robin|random|least_busy" group:"Policies:" help:"How an executor is picked."`
	Delivery *string `placeholder:"at_least_once|at_most_once" group:"Policies:" help:"What happens to an attempt whose outcome cannot be known."`
	Timeout  *span   `placeholder:"DURATION" group:"Policies:" help:"Of one attempt; 0s = none."`
	Priority *int    `placeholder:"N" group:"Policies:" help:"From -10 to 10; higher goes first."`
	Paused   bool    `group:"Policies:" help:"Do not fire until it is resumed."`

	MaxAttempts *int     `placeholder:"N" group:"Policies:" help:"Attempts in all; 1 = no retry."`
	Backoff     *span    `placeholder:"DURATION" group:"Policies:" help:"Wait before the second attempt."`
	Factor      *float64 `placeholder:"X" group:"Policies:" help:"By which each further wait grows."`
	MaxBackoff  *span    `placeholder:"DURATION" group:"Policies:" help:"The longest wait."`
	Jitter      *float64 `placeholder:"X" group:"Policies:" help:"0.2 = each wait is up to 20 % shorter or longer."`

	scheduleFlags
}

// span is the flag for a duration.
type span = firjob.Duration

// scheduleFlags are what a schedule can say, cron expressions aside: they are a
// flag in one place and an argument in another.
type scheduleFlags struct {
	Every       *span    `placeholder:"DURATION" xor:"when" group:"When:" help:"Again and again after this long, however long it runs."`
	Delay       *span    `placeholder:"DURATION" xor:"when" group:"When:" help:"This long after the last execution ended."`
	At          *instant `placeholder:"TIME" xor:"when" group:"When:" help:"Once, such as 2027-01-01T00:00:00Z."`
	Timezone    *string  `placeholder:"ZONE" group:"When:" help:"For cron, such as Asia/Shanghai; UTC by default."`
	Gap         *string  `placeholder:"run_after|skip" group:"When:" help:"For cron: a local time that a change of the clocks leaves out."`
	OverlapHour *string  `placeholder:"once|twice" group:"When:" help:"For cron: a local time that a change of the clocks brings twice."`
}

// object is a JSON object to be sent.
type object map[string]any

// put adds a member if v was given.
func put[T any](o object, name string, v *T) {
	if v != nil {
		o[name] = *v
	}
}

// nest adds an object as a member if anything is in it.
func nest(o object, name string, inner object) {
	if len(inner) > 0 {
		o[name] = inner
	}
}

// object returns the schedule's members as the API names them.
func (f *scheduleFlags) object(cron *string, manual bool) object {
	o := object{}
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
	put(o, "timezone", f.Timezone)
	put(o, "gap", f.Gap)
	put(o, "overlap_hour", f.OverlapHour)
	return o
}

// object returns what was given, as a body for the API.
func (f *jobFlags) object(p *process) (object, error) {
	o := object{}
	if f.Params != nil {
		params, err := p.params(*f.Params)
		if err != nil {
			return nil, err
		}
		o["params"] = json.RawMessage(params)
	}
	put(o, "handler", f.Handler)
	nest(o, "schedule", f.scheduleFlags.object(f.Cron, f.Manual))
	nest(o, "misfire", f.misfire())
	put(o, "overlap", f.Overlap)
	put(o, "route", f.Route)
	put(o, "delivery", f.Delivery)
	put(o, "timeout", f.Timeout)
	nest(o, "retry", f.retry())
	put(o, "priority", f.Priority)
	if f.Paused {
		o["enabled"] = false
	}
	return o, nil
}

func (f *jobFlags) misfire() object {
	o := object{}
	put(o, "policy", f.Misfire)
	put(o, "grace", f.Grace)
	return o
}

func (f *jobFlags) retry() object {
	o := object{}
	put(o, "max_attempts", f.MaxAttempts)
	put(o, "backoff", f.Backoff)
	put(o, "factor", f.Factor)
	put(o, "max_backoff", f.MaxBackoff)
	put(o, "jitter", f.Jitter)
	return o
}

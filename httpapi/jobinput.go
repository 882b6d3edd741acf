package httpapi

import (
	"encoding/json"
	"fmt"

	"github.com/firjob/firjob"
)

// jobInput is what a client may say of a job. A field that is absent or null
// has its default.
type jobInput struct {
	App           *string           `json:"app,omitempty" required:"true" doc:"The app whose executors run it; it cannot change" example:"billing"`
	Name          *string           `json:"name,omitempty" required:"true" doc:"Unique within the app" example:"nightly-report"`
	Handler       *string           `json:"handler,omitempty" doc:"The handler that runs, as the executor has registered it; required unless there is http" example:"report"`
	HTTP          *callInput        `json:"http,omitempty" doc:"A request that the server makes itself, in place of a handler"`
	Params        json.RawMessage   `json:"params,omitempty" doc:"Any JSON up to 64 KiB, nested 100 levels at most; handed to the handler"`
	Schedule      *scheduleInput    `json:"schedule,omitempty" required:"true" doc:"When it fires"`
	Misfire       *misfireInput     `json:"misfire,omitempty" doc:"What becomes of fires that could not be sent in time"`
	StartDeadline *string           `json:"start_deadline,omitempty" format:"duration" default:"0s" example:"10m" doc:"What is sent later than this after its scheduled time is missed instead; 0s = none"`
	Overlap       *string           `json:"overlap,omitempty" enum:"allow,skip,queue,replace" default:"allow" doc:"What happens when it is due while as many of its executions run as may"`
	MaxRunning    *int              `json:"max_running,omitempty" minimum:"0" maximum:"1000" default:"0" doc:"Executions at a time; 0 = no limit with overlap allow, else 1"`
	QueueLimit    *int              `json:"queue_limit,omitempty" minimum:"1" maximum:"100000" default:"1000" doc:"Executions that may wait for their turn; one more is skipped"`
	ReplaceAfter  *string           `json:"replace_after,omitempty" format:"duration" default:"30s" doc:"For overlap replace: how long it waits for the end of what it cancels"`
	Route         *string           `json:"route,omitempty" enum:"round_robin,random,least_busy,least_recently_used,least_frequently_used,consistent_hash,first,last,failover,sticky,broadcast" default:"round_robin" doc:"How an executor is picked"`
	RouteKey      *string           `json:"route_key,omitempty" doc:"For route consistent_hash: the field of the params that is the key; the job itself if absent" example:"customer"`
	RouteOrder    []string          `json:"route_order,omitempty" nullable:"false" doc:"For route failover: addresses of executors, the preferred first; all others follow by address" example:"[\"10.0.0.7:9999\"]"`
	Selector      map[string]string `json:"selector,omitempty" doc:"Labels that an executor must have" example:"{\"zone\":\"a\"}"`
	Exclusive     *bool             `json:"exclusive,omitempty" default:"false" doc:"The executor confirms its token before the handler begins"`
	Delivery      *string           `json:"delivery,omitempty" enum:"at_least_once,at_most_once" default:"at_least_once" doc:"What happens to an attempt whose outcome cannot be known"`
	Timeout       *string           `json:"timeout,omitempty" format:"duration" default:"0s" example:"30s" doc:"Of one attempt; 0s = none"`
	Retry         *retryInput       `json:"retry,omitempty" doc:"What follows an attempt that failed"`
	Priority      *int              `json:"priority,omitempty" minimum:"-10" maximum:"10" default:"0" doc:"Of those that wait for their turn, of their job or their app, the earliest scheduled is let in first; each step counts as 10s earlier"`
	Parents       *parentsInput     `json:"parents,omitempty" doc:"The jobs whose end triggers this one; its schedule is then of kind manual"`
	Enabled       *bool             `json:"enabled,omitempty" default:"true" doc:"false = paused"`
}

type callInput struct {
	Method  *string           `json:"method,omitempty" enum:"GET,HEAD,POST,PUT,PATCH,DELETE" default:"POST"`
	URL     *string           `json:"url,omitempty" required:"true" doc:"Absolute, http or https. Here, in headers and in the body ${name} stands for a field of the task" example:"https://reports.example.org/run?day=${scheduled_at}"`
	Headers map[string]string `json:"headers,omitempty" doc:"Shown to whoever may read the job" example:"{\"X-Region\":\"eu\"}"`
	Body    *string           `json:"body,omitempty" example:"{\"id\":\"${id}\"}"`
	Expect  []int             `json:"expect,omitempty" nullable:"false" doc:"The statuses that are a success; 200 to 299 if absent" example:"[202]"`
	Timeout *string           `json:"timeout,omitempty" format:"duration" default:"30s" doc:"Of the request; the job's timeout may end it before"`
	Sign    *bool             `json:"sign,omitempty" default:"false" doc:"Sign it with the app's key, as triggers are"`
}

type misfireInput struct {
	Policy     *string `json:"policy,omitempty" enum:"fire_once,skip,fire_all" default:"fire_once" doc:"Which of the late fires run; the others are recorded as missed"`
	Grace      *string `json:"grace,omitempty" format:"duration" default:"5s" doc:"A fire that is not later than this always runs"`
	MaxCatchUp *int    `json:"max_catch_up,omitempty" minimum:"1" maximum:"1000" default:"1000" doc:"Late fires that fire_all runs after one stop, the latest"`
}

type retryInput struct {
	MaxAttempts *int     `json:"max_attempts,omitempty" minimum:"1" maximum:"100" default:"1" doc:"Answered attempts in all; 1 = no retry"`
	Kind        *string  `json:"kind,omitempty" enum:"exponential,linear,fixed" default:"exponential" doc:"How waits grow: backoff × factor^(n-1), backoff × n, or backoff"`
	Backoff     *string  `json:"backoff,omitempty" format:"duration" default:"1s" doc:"Wait before the second attempt"`
	Factor      *float64 `json:"factor,omitempty" minimum:"1" maximum:"10" default:"2" doc:"For exponential: by which each further wait grows"`
	MaxBackoff  *string  `json:"max_backoff,omitempty" format:"duration" default:"5m" doc:"The longest wait"`
	Jitter      *float64 `json:"jitter,omitempty" minimum:"0" maximum:"1" default:"0.2" doc:"0.2 = each wait is up to 20 % shorter or longer"`
	On          *string  `json:"on,omitempty" enum:"any,other,same" default:"any" doc:"Which executor gets the next attempt: as the route says, another one than before, or the same"`
}

type parentsInput struct {
	Join *string       `json:"join,omitempty" enum:"all,any" default:"all" doc:"Once each parent has ended as its condition says, or once the first has"`
	Of   []parentInput `json:"of,omitempty" required:"true" nullable:"false" minItems:"1" maxItems:"50"`
}

type parentInput struct {
	Job *int64  `json:"job,omitempty" required:"true" minimum:"1" maximum:"2147483647" doc:"Its number" example:"41"`
	On  *string `json:"on,omitempty" enum:"success,failure,end" default:"success" doc:"Which end of it counts: succeeded; failed, timed out or lost; or any of these and cancelled"`
}

// job returns the job that in describes, with defaults for what it leaves out.
// Texts that are no duration or time are noted in f and left at their default.
func (in jobInput) job(f *faults) firjob.Job {
	j := firjob.NewJob()
	set(&j.App, in.App)
	set(&j.Name, in.Name)
	set(&j.Handler, in.Handler)
	if in.HTTP != nil {
		j.HTTP = in.HTTP.call(f)
	}
	if string(in.Params) != "null" {
		j.Params = in.Params
	}
	if in.Schedule != nil {
		j.Schedule = in.Schedule.schedule("schedule.", f)
	}
	in.policies(&j, f)
	in.routing(&j)
	if in.Parents != nil {
		j.Parents = in.Parents.parents(f)
	}
	put(&j.Enabled, in.Enabled)
	return j
}

func (in jobInput) policies(j *firjob.Job, f *faults) {
	if in.Misfire != nil {
		set(&j.Misfire.Policy, in.Misfire.Policy)
		setDuration(&j.Misfire.Grace, in.Misfire.Grace, "misfire.grace", f)
		put(&j.Misfire.MaxCatchUp, in.Misfire.MaxCatchUp)
	}
	setDuration(&j.StartDeadline, in.StartDeadline, "start_deadline", f)
	set(&j.Overlap, in.Overlap)
	put(&j.MaxRunning, in.MaxRunning)
	put(&j.QueueLimit, in.QueueLimit)
	setDuration(&j.ReplaceAfter, in.ReplaceAfter, "replace_after", f)
	set(&j.Delivery, in.Delivery)
	setDuration(&j.Timeout, in.Timeout, "timeout", f)
	if in.Retry != nil {
		in.Retry.into(&j.Retry, f)
	}
	put(&j.Priority, in.Priority)
}

func (in jobInput) routing(j *firjob.Job) {
	set(&j.Route, in.Route)
	set(&j.RouteKey, in.RouteKey)
	if len(in.RouteOrder) > 0 {
		j.RouteOrder = in.RouteOrder
	}
	if len(in.Selector) > 0 {
		j.Selector = in.Selector
	}
	put(&j.Exclusive, in.Exclusive)
}

func (in callInput) call(f *faults) *firjob.HTTPCall {
	c := &firjob.HTTPCall{Method: "POST", Timeout: firjob.Duration(firjob.DefaultCallTimeout)}
	set(&c.Method, in.Method)
	set(&c.URL, in.URL)
	if len(in.Headers) > 0 {
		c.Headers = in.Headers
	}
	set(&c.Body, in.Body)
	if len(in.Expect) > 0 {
		c.Expect = in.Expect
	}
	setDuration(&c.Timeout, in.Timeout, "http.timeout", f)
	put(&c.Sign, in.Sign)
	return c
}

func (in retryInput) into(r *firjob.Retry, f *faults) {
	put(&r.MaxAttempts, in.MaxAttempts)
	set(&r.Kind, in.Kind)
	setDuration(&r.Backoff, in.Backoff, "retry.backoff", f)
	put(&r.Factor, in.Factor)
	setDuration(&r.MaxBackoff, in.MaxBackoff, "retry.max_backoff", f)
	put(&r.Jitter, in.Jitter)
	set(&r.On, in.On)
}

func (in parentsInput) parents(f *faults) *firjob.Parents {
	p := &firjob.Parents{Join: firjob.JoinAll}
	set(&p.Join, in.Join)
	for i, of := range in.Of {
		parent := firjob.Parent{On: firjob.OnSuccess}
		if of.Job != nil {
			parent.Job = jobID(*of.Job, fmt.Sprintf("parents.of[%d].job", i), f)
		}
		set(&parent.On, of.On)
		p.Of = append(p.Of, parent)
	}
	return p
}

// jobID returns the job of a number. One that no job can have is a fault.
func jobID(number int64, field string, f *faults) firjob.JobID {
	if number < 1 || number > maxJobNumber {
		f.add(field, number, fmt.Sprintf("must be the number of a job, 1 to %d", maxJobNumber))
		return 0
	}
	return firjob.JobID(number)
}

// put sets what was given.
func put[T any](to *T, from *T) {
	if from != nil {
		*to = *from
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

package validate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/validate"
)

func goodJob() firjob.Job {
	j := firjob.NewJob()
	j.App, j.Name, j.Handler, j.Schedule = "billing", "nightly report", "report", hourly
	return j
}

func fieldsOf(list []firjob.FieldError) []string {
	var fields []string
	for _, f := range list {
		fields = append(fields, f.Field)
	}
	return fields
}

func span(d time.Duration) firjob.Duration { return firjob.Duration(d) }

func TestValidateGoodJobs(t *testing.T) {
	t.Parallel()
	oldest, latest := editNow.Add(-firjob.MaxBacklog), firjob.LatestAt()
	tests := map[string]func(j *firjob.Job){
		"the least":         func(*firjob.Job) {},
		"a name in Chinese": func(j *firjob.Job) { j.Name, j.Handler = "每日报表", "报表" },
		"the longest name":  func(j *firjob.Job) { j.Name = strings.Repeat("n", firjob.MaxName) },
		"params":            func(j *firjob.Job) { j.Params = []byte(`{"region":"eu"}`) },
		"the largest params": func(j *firjob.Job) {
			j.Params = []byte(`"` + strings.Repeat("x", firjob.MaxParams-2) + `"`)
		},
		"a whole cron schedule": func(j *firjob.Job) {
			j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 0 2 * * *", Timezone: "Asia/Shanghai",
				Dialect: "unix", Gap: "skip", OverlapHour: "twice"}
		},
		"every": func(j *firjob.Job) { j.Schedule = eachTwo },
		"the shortest": func(j *firjob.Job) {
			j.Schedule.Interval, j.Schedule = 0, firjob.Schedule{Kind: "every", Interval: span(firjob.MinInterval)}
		},
		"the longest":   func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "every", Interval: span(firjob.MaxInterval)} },
		"delay":         func(j *firjob.Job) { j.Schedule = pause30 },
		"at":            func(j *firjob.Job) { j.Schedule = ahead },
		"at, in arrear": func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "at", At: &oldest} },
		"at, the last":  func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "at", At: &latest} },
		"manual":        func(j *firjob.Job) { j.Schedule = manual },
		"the limits": func(j *firjob.Job) {
			j.Misfire.Grace, j.Timeout, j.Priority = span(firjob.MaxGrace), span(firjob.MaxTimeout), firjob.MinPriority
			j.Retry = firjob.Retry{MaxAttempts: firjob.MaxAttempts, Kind: firjob.BackoffFixed, Factor: firjob.MaxFactor, Jitter: 1, On: firjob.RetrySame}
			j.Misfire.MaxCatchUp, j.MaxRunning, j.QueueLimit = 1, firjob.MaxRunning, firjob.MaxQueueLimit
			j.StartDeadline, j.ReplaceAfter = span(firjob.MaxTimeout), 0
		},
		"a call": func(j *firjob.Job) {
			j.Handler, j.HTTP = "", goodCall()
		},
		"a call of the least": func(j *firjob.Job) {
			j.Handler, j.HTTP = "", &firjob.HTTPCall{Method: "GET", URL: "http://[::1]:8080/${params.path}?id=${id}", Timeout: span(time.Second)}
		},
		"failover": func(j *firjob.Job) {
			j.Route, j.RouteOrder = firjob.RouteFailover, []string{"10.0.0.7:9999", "worker-1:9999"}
		},
		"a key": func(j *firjob.Job) { j.Route, j.RouteKey = firjob.RouteConsistentHash, "customer" },
		"a selector": func(j *firjob.Job) {
			j.Selector = map[string]string{"topology.example.org/zone": "eu-1", "gpu": "yes"}
		},
		"exclusive, one at a time": func(j *firjob.Job) { j.Exclusive, j.MaxRunning = true, 1 },
		"exclusive, replacing":     func(j *firjob.Job) { j.Exclusive, j.Overlap = true, firjob.OverlapReplace },
		"parents": func(j *firjob.Job) {
			j.Schedule, j.Parents = manual, &firjob.Parents{Join: firjob.JoinAny, Of: []firjob.Parent{{Job: 1, On: firjob.OnEnd}, {Job: 2, On: firjob.OnFailure}}}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := goodJob()
			change(&j)
			if got := validate.Job(j, editNow); got != nil {
				t.Errorf("got %+v, want no fault", got)
			}
		})
	}
}

// breach is a change that makes one field of a good job faulty.
type breach struct {
	change func(j *firjob.Job)
	field  string
	want   string // part of the message
}

func TestValidateEachRuleOfAJob(t *testing.T) {
	t.Parallel()
	eachBreach(t, map[string]breach{
		"no app":              {func(j *firjob.Job) { j.App = "" }, "app", "must have 1 to 63 characters"},
		"app with a brace":    {func(j *firjob.Job) { j.App = "a{b}" }, "app", "must have"},
		"no name":             {func(j *firjob.Job) { j.Name = "" }, "name", "is missing"},
		"long name":           {func(j *firjob.Job) { j.Name = strings.Repeat("é", 101) }, "name", "has 202 bytes; want at most 200"},
		"control in name":     {func(j *firjob.Job) { j.Name = "a\x00b" }, "name", "cannot be printed"},
		"line break in name":  {func(j *firjob.Job) { j.Name = "a\nb" }, "name", "cannot be printed"},
		"name not UTF-8":      {func(j *firjob.Job) { j.Name = "a\xff" }, "name", "is not valid UTF-8"},
		"padded name":         {func(j *firjob.Job) { j.Name = "a " }, "name", "must not begin or end with a space"},
		"no handler":          {func(j *firjob.Job) { j.Handler = "" }, "handler", "is missing"},
		"params cut off":      {func(j *firjob.Job) { j.Params = []byte(`{"a":`) }, "params", "must be valid JSON"},
		"params not UTF-8":    {func(j *firjob.Job) { j.Params = []byte("\"\xff\"") }, "params", "must be UTF-8"},
		"large params":        {func(j *firjob.Job) { j.Params = make([]byte, firjob.MaxParams+1) }, "params", "at most 65536 bytes"},
		"deep params":         {func(j *firjob.Job) { j.Params = []byte(strings.Repeat("[", 101) + strings.Repeat("]", 101)) }, "params", "at most 100 levels deep"},
		"misfire policy":      {func(j *firjob.Job) { j.Misfire.Policy = "" }, "misfire.policy", `must be "fire_once", "skip" or "fire_all"`},
		"negative grace":      {func(j *firjob.Job) { j.Misfire.Grace = -1 }, "misfire.grace", "must be 0s to 24h"},
		"long grace":          {func(j *firjob.Job) { j.Misfire.Grace = span(25 * time.Hour) }, "misfire.grace", "must be 0s to 24h"},
		"no catch-up":         {func(j *firjob.Job) { j.Misfire.MaxCatchUp = 0 }, "misfire.max_catch_up", "must be 1 to 1000"},
		"negative deadline":   {func(j *firjob.Job) { j.StartDeadline = -1 }, "start_deadline", "must be 0s to 720h"},
		"overlap":             {func(j *firjob.Job) { j.Overlap = "x" }, "overlap", `must be "allow", "skip", "queue" or "replace"`},
		"many at a time":      {func(j *firjob.Job) { j.MaxRunning = firjob.MaxRunning + 1 }, "max_running", "must be 0 to 1000"},
		"no queue":            {func(j *firjob.Job) { j.QueueLimit = 0 }, "queue_limit", "must be 1 to 100000"},
		"long replacement":    {func(j *firjob.Job) { j.ReplaceAfter = span(firjob.MaxTimeout + time.Second) }, "replace_after", "must be 0s to 720h"},
		"route":               {func(j *firjob.Job) { j.Route = "x" }, "route", `must be "round_robin", "random", "least_busy", `},
		"backoff kind":        {func(j *firjob.Job) { j.Retry.Kind = "x" }, "retry.kind", `must be "exponential", "linear" or "fixed"`},
		"retry on":            {func(j *firjob.Job) { j.Retry.On = "x" }, "retry.on", `must be "any", "other" or "same"`},
		"delivery":            {func(j *firjob.Job) { j.Delivery = "exactly_once" }, "delivery", `must be "at_least_once" or "at_most_once"`},
		"negative timeout":    {func(j *firjob.Job) { j.Timeout = span(-time.Second) }, "timeout", "must be 0s to 720h"},
		"fine timeout":        {func(j *firjob.Job) { j.Timeout = 1 }, "timeout", "in whole milliseconds"},
		"long timeout":        {func(j *firjob.Job) { j.Timeout = span(firjob.MaxTimeout + time.Second) }, "timeout", "must be 0s to 720h"},
		"no attempts":         {func(j *firjob.Job) { j.Retry.MaxAttempts = 0 }, "retry.max_attempts", "must be 1 (no retry) to 100"},
		"many attempts":       {func(j *firjob.Job) { j.Retry.MaxAttempts = 101 }, "retry.max_attempts", "must be 1"},
		"negative backoff":    {func(j *firjob.Job) { j.Retry.Backoff = span(-time.Second) }, "retry.backoff", "must be 0s"},
		"factor below 1":      {func(j *firjob.Job) { j.Retry.Factor = 0.5 }, "retry.factor", "must be 1"},
		"factor above 10":     {func(j *firjob.Job) { j.Retry.Factor = 10.1 }, "retry.factor", "to 10"},
		"factor not a number": {func(j *firjob.Job) { j.Retry.Factor = math.NaN() }, "retry.factor", "must be 1"},
		"cap below backoff":   {func(j *firjob.Job) { j.Retry.MaxBackoff = span(time.Millisecond) }, "retry.max_backoff", "which is 1s"},
		"cap beyond reason":   {func(j *firjob.Job) { j.Retry.MaxBackoff = math.MaxInt64 }, "retry.max_backoff", "must be 0s to 720h"},
		"jitter above 1":      {func(j *firjob.Job) { j.Retry.Jitter = 1.01 }, "retry.jitter", "must be 0"},
		"negative jitter":     {func(j *firjob.Job) { j.Retry.Jitter = -0.1 }, "retry.jitter", "must be 0"},
		"priority":            {func(j *firjob.Job) { j.Priority = 11 }, "priority", "must be -10 to 10"},
	})
}

func TestValidateEachRuleOfRouting(t *testing.T) {
	t.Parallel()
	failover := func(order ...string) func(*firjob.Job) {
		return func(j *firjob.Job) { j.Route, j.RouteOrder = firjob.RouteFailover, order }
	}
	labels := func(labels map[string]string) func(*firjob.Job) {
		return func(j *firjob.Job) { j.Selector = labels }
	}
	many := map[string]string{}
	for i := range firjob.MaxLabels + 1 {
		many[fmt.Sprint("label", i)] = "x"
	}
	eachBreach(t, map[string]breach{
		"key of another route":   {func(j *firjob.Job) { j.RouteKey = "customer" }, "route_key", `belongs to route "consistent_hash"`},
		"key with a line break":  {func(j *firjob.Job) { j.Route, j.RouteKey = firjob.RouteConsistentHash, "a\nb" }, "route_key", "cannot be printed"},
		"order of another route": {func(j *firjob.Job) { j.RouteOrder = []string{"10.0.0.7:9999"} }, "route_order", `belongs to route "failover"`},
		"no address":             {failover("10.0.0.7:9999", "10.0.0.8"), "route_order[1]", "must be host:port"},
		"an address twice":       {failover("10.0.0.7:9999", "10.0.0.7:9999"), "route_order[1]", "stands there twice"},
		"many addresses":         {failover(make([]string, firjob.MaxRouteOrder+1)...), "route_order", "has 101 entries; want at most 100"},
		"name of a label":        {labels(map[string]string{"a b": "x"}), "selector", "is not the name of a label"},
		"empty label":            {labels(map[string]string{"zone": ""}), "selector.zone", "is missing"},
		"many labels":            {labels(many), "selector", "has 33 labels; want at most 32"},
	})
}

func goodCall() *firjob.HTTPCall {
	return &firjob.HTTPCall{Method: "PUT", URL: "https://reports.example.org/run?day=${scheduled_at}", Headers: map[string]string{"X-Region": "eu"},
		Body: "${params}", Expect: []int{202, 409}, Timeout: span(firjob.MaxCallTimeout), Sign: true}
}

func TestValidateEachRuleOfACall(t *testing.T) {
	t.Parallel()
	call := func(change func(c *firjob.HTTPCall)) func(*firjob.Job) {
		return func(j *firjob.Job) {
			j.Handler, j.HTTP = "", goodCall()
			change(j.HTTP)
		}
	}
	url := func(text string) func(*firjob.Job) { return call(func(c *firjob.HTTPCall) { c.URL = text }) }
	header := func(name, value string) func(*firjob.Job) {
		return call(func(c *firjob.HTTPCall) { c.Headers = map[string]string{name: value} })
	}
	eachBreach(t, map[string]breach{
		"beside a handler":     {func(j *firjob.Job) { j.HTTP = goodCall() }, "handler", `contradicts "http": a job has one of the two`},
		"method":               {call(func(c *firjob.HTTPCall) { c.Method = "BREW" }), "http.method", `must be "GET", "HEAD", `},
		"no URL":               {url(""), "http.url", "is missing"},
		"a path":               {url("/run"), "http.url", "absolute"},
		"another scheme":       {url("file:///etc/passwd"), "http.url", "absolute http or https"},
		"no host":              {url("https://:443/run"), "http.url", "absolute"},
		"a port too high":      {url("https://example.org:99999"), "http.url", "has port 99999; want 1 to 65535"},
		"port 0":               {url("https://example.org:0/run"), "http.url", "has port 0"},
		"credentials":          {url("https://user:hunter2@example.org"), "http.url", "they belong to a header"},
		"a variable host":      {url("https://${params.host}/run"), "http.url", "absolute"},
		"a half variable one":  {url("https://$host.example.org/run"), "http.url", "must name its host"},
		"long URL":             {url("https://example.org/" + strings.Repeat("a", firjob.MaxURL)), "http.url", "want at most 2000"},
		"header's name":        {header("X Region", "eu"), "http.headers", "is not the name of a header"},
		"header of ours":       {header("webhook-signature", "x"), "http.headers.webhook-signature", "is set by the server"},
		"header in lines":      {header("X-A", "b\r\nHost: c"), "http.headers.X-A", "must be one line"},
		"header that controls": {header("X-A", "b\x1b[2J"), "http.headers.X-A", "without control characters"},
		"header twice": {call(func(c *firjob.HTTPCall) { c.Headers = map[string]string{"X-A": "1", "x-a": "2"} }),
			"http.headers.x-a", "stands there twice"},
		"long header": {header("X-A", strings.Repeat("b", firjob.MaxHeaderValue+1)), "http.headers.X-A", "want at most 4000"},
		"many headers": {call(func(c *firjob.HTTPCall) {
			for i := range firjob.MaxHeaders {
				c.Headers[fmt.Sprint("X-", i)] = "a"
			}
		}), "http.headers", "has 51 entries; want at most 50"},
		"body of a GET": {call(func(c *firjob.HTTPCall) { c.Method = "GET" }), "http.body", "does not belong to a GET"},
		"large body":    {call(func(c *firjob.HTTPCall) { c.Body = strings.Repeat("a", firjob.MaxCallBody+1) }), "http.body", "want at most 65536"},
		"status":        {call(func(c *firjob.HTTPCall) { c.Expect = []int{200, 101} }), "http.expect[1]", "must be 200 to 599"},
		"many statuses": {call(func(c *firjob.HTTPCall) { c.Expect = make([]int, firjob.MaxExpect+1) }), "http.expect", "want at most 50"},
		"no time":       {call(func(c *firjob.HTTPCall) { c.Timeout = 0 }), "http.timeout", "must be 1ms to 1h"},
		"long time":     {call(func(c *firjob.HTTPCall) { c.Timeout = span(2 * time.Hour) }), "http.timeout", "must be 1ms to 1h"},
	})
}

func TestValidateEachRuleOfParents(t *testing.T) {
	t.Parallel()
	of := func(list ...firjob.Parent) func(*firjob.Job) {
		return func(j *firjob.Job) {
			j.ID, j.Schedule, j.Parents = 7, manual, &firjob.Parents{Join: firjob.JoinAll, Of: list}
		}
	}
	first := firjob.Parent{Job: 1, On: firjob.OnSuccess}
	eachBreach(t, map[string]breach{
		"join": {func(j *firjob.Job) {
			j.Schedule, j.Parents = manual, &firjob.Parents{Join: "most", Of: []firjob.Parent{first}}
		}, "parents.join", `must be "all" or "any"`},
		"none":      {of(), "parents.of", "must name 1 to 50 jobs"},
		"many":      {of(make([]firjob.Parent, firjob.MaxParents+1)...), "parents.of", "must name 1 to 50 jobs"},
		"no number": {of(first, firjob.Parent{On: firjob.OnEnd}), "parents.of[1].job", "is missing"},
		"itself":    {of(first, firjob.Parent{Job: 7, On: firjob.OnEnd}), "parents.of[1].job", "is the job itself"},
		"one twice": {of(first, firjob.Parent{Job: 1, On: firjob.OnEnd}), "parents.of[1].job", "stands there twice"},
		"condition": {of(first, firjob.Parent{Job: 2, On: "lunch"}), "parents.of[1].on", `must be "success", "failure" or "end"`},
	})
}

func TestValidateNamesContradictions(t *testing.T) {
	t.Parallel()
	call := func(change func(j *firjob.Job)) func(*firjob.Job) {
		return func(j *firjob.Job) {
			j.Handler, j.HTTP = "", goodCall()
			change(j)
		}
	}
	eachBreach(t, map[string]breach{
		"exclusive broadcast": {func(j *firjob.Job) { j.Route, j.Exclusive, j.Overlap = firjob.RouteBroadcast, true, firjob.OverlapSkip },
			"exclusive", `contradicts route "broadcast"`},
		"shards elsewhere":    {func(j *firjob.Job) { j.Route, j.Retry.On = firjob.RouteBroadcast, firjob.RetryOther }, "retry.on", `contradicts route "broadcast"`},
		"broadcast of a call": {call(func(j *firjob.Job) { j.Route = firjob.RouteBroadcast }), "route", `contradicts "http"`},
		"exclusive call":      {call(func(j *firjob.Job) { j.Exclusive, j.MaxRunning = true, 1 }), "exclusive", `contradicts "http"`},
		"selector of a call":  {call(func(j *firjob.Job) { j.Selector = map[string]string{"zone": "a"} }), "selector", `contradicts "http"`},
		"retry of a call":     {call(func(j *firjob.Job) { j.Retry.On = firjob.RetrySame }), "retry.on", `contradicts "http"`},
		"replace several":     {func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapReplace, 2 }, "max_running", `contradicts overlap "replace"`},
		"exclusive, many":     {func(j *firjob.Job) { j.Exclusive = true }, "exclusive", `contradicts overlap "allow"`},
		"exclusive, some":     {func(j *firjob.Job) { j.Exclusive, j.Overlap, j.MaxRunning = true, firjob.OverlapQueue, 3 }, "exclusive", `contradicts "max_running"`},
		"a child with schedule": {func(j *firjob.Job) {
			j.Parents = &firjob.Parents{Join: firjob.JoinAll, Of: []firjob.Parent{{Job: 1, On: firjob.OnEnd}}}
		}, "schedule.kind", `contradicts "parents"`},
	})
}

func TestValidateEachRuleOfASchedule(t *testing.T) {
	t.Parallel()
	tooOld, tooFar := editNow.Add(-firjob.MaxBacklog-time.Second), firjob.LatestAt().Add(time.Millisecond)
	cron := func(change func(s *firjob.Schedule)) func(*firjob.Job) {
		return func(j *firjob.Job) { change(&j.Schedule) }
	}
	every := func(interval time.Duration) func(*firjob.Job) {
		return func(j *firjob.Job) {
			j.Schedule = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: span(interval)}
		}
	}
	eachBreach(t, map[string]breach{
		"no kind":            {func(j *firjob.Job) { j.Schedule = firjob.Schedule{} }, "schedule.kind", `must be "cron", "every", "delay", "at" or "manual"`},
		"unknown kind":       {cron(func(s *firjob.Schedule) { s.Kind = "never" }), "schedule.kind", "must be"},
		"no expression":      {cron(func(s *firjob.Schedule) { s.Expr = "" }), "schedule.expr", "the expression is empty"},
		"bad expression":     {cron(func(s *firjob.Schedule) { s.Expr = "0 25 * * *" }), "schedule.expr", `hour "25"`},
		"zone in expression": {cron(func(s *firjob.Schedule) { s.Expr = "TZ=UTC 0 0 * * *" }), "schedule.expr", `put the zone into "timezone"`},
		"30 February":        {cron(func(s *firjob.Schedule) { s.Expr = "0 0 30 2 *" }), "schedule.expr", "never fires"},
		"unknown zone":       {cron(func(s *firjob.Schedule) { s.Timezone = "Mars" }), "schedule.timezone", `"Mars" is not a known time zone`},
		"unknown dialect":    {cron(func(s *firjob.Schedule) { s.Dialect = "vixie" }), "schedule.dialect", `must be "unix" or "quartz"`},
		"unknown gap":        {cron(func(s *firjob.Schedule) { s.Gap = "x" }), "schedule.gap", `must be "run_after" or "skip"`},
		"unknown overlap":    {cron(func(s *firjob.Schedule) { s.OverlapHour = "x" }), "schedule.overlap_hour", `must be "once" or "twice"`},
		"cron with interval": {cron(func(s *firjob.Schedule) { s.Interval = span(time.Second) }), "schedule.interval", `does not belong to a schedule of kind "cron"`},
		"every with zone":    {func(j *firjob.Job) { j.Schedule = eachTwo; j.Schedule.Timezone = "Mars" }, "schedule.timezone", "does not belong"},
		"manual with at":     {func(j *firjob.Job) { j.Schedule = manual; j.Schedule.At = &editNow }, "schedule.at", "does not belong"},
		"no interval":        {every(0), "schedule.interval", "is missing"},
		"negative interval":  {every(-time.Second), "schedule.interval", "is shorter than 100ms"},
		"short interval":     {every(99 * time.Millisecond), "schedule.interval", "is shorter than 100ms"},
		"fine interval":      {every(100500 * time.Microsecond), "schedule.interval", "whole milliseconds"},
		"long interval":      {every(firjob.MaxInterval + time.Millisecond), "schedule.interval", "is longer than 87840h, which are ten years"},
		"far at":             {func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "at", At: &tooFar} }, "schedule.at", "must not be later than 9999-12-30"},
		"no at":              {func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "at"} }, "schedule.at", "is missing"},
		"old at":             {func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: "at", At: &tooOld} }, "schedule.at", "more than 366 days in the past"},
	})
}

func eachBreach(t *testing.T, tests map[string]breach) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := goodJob()
			tt.change(&j)
			got := validate.Job(j, editNow)
			if len(got) != 1 || got[0].Field != tt.field || !strings.Contains(got[0].Message, tt.want) {
				t.Errorf("got %+v, want one fault of %s with %q", got, tt.field, tt.want)
			}
		})
	}
}

func TestValidateNamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	policies := []string{"misfire.policy", "misfire.grace", "misfire.max_catch_up", "overlap", "queue_limit", "route", "delivery", "timeout", "priority",
		"retry.max_attempts", "retry.kind", "retry.on", "retry.backoff", "retry.factor", "retry.max_backoff", "retry.jitter"}
	tests := map[string]struct {
		schedule firjob.Schedule
		want     []string
	}{
		"cron": {firjob.Schedule{Kind: "cron", Expr: "x", Timezone: "x", Dialect: "x", Gap: "x", OverlapHour: "x", Interval: 1, At: &editNow},
			[]string{"schedule.expr", "schedule.timezone", "schedule.dialect", "schedule.gap", "schedule.overlap_hour", "schedule.interval", "schedule.at"}},
		"every": {firjob.Schedule{Kind: "every", Expr: "* * * * *", Timezone: "UTC", Dialect: "unix", Gap: "skip", OverlapHour: "once", At: &editNow},
			[]string{"schedule.expr", "schedule.timezone", "schedule.dialect", "schedule.gap", "schedule.overlap_hour", "schedule.interval", "schedule.at"}},
		"no kind": {firjob.Schedule{Expr: "x", Timezone: "UTC", Gap: "x", Interval: -1},
			[]string{"schedule.kind", "schedule.expr", "schedule.gap", "schedule.interval"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := firjob.Job{App: ":", Name: "\t", Params: []byte("{"), Schedule: tt.schedule,
				Misfire: firjob.Misfire{Policy: "x", Grace: -1}, Timeout: -1, Priority: 99,
				Retry: firjob.Retry{Backoff: -1, MaxBackoff: -2, Jitter: 2}}
			want := append([]string{"app", "name", "handler", "params"}, append(tt.want, policies...)...)
			if diff := cmp.Diff(want, fieldsOf(validate.Job(j, editNow))); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

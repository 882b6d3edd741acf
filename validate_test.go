package firjob_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
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
			j.Retry = firjob.Retry{MaxAttempts: firjob.MaxAttempts, Factor: firjob.MaxFactor, Jitter: 1}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := goodJob()
			change(&j)
			if got := j.Validate(editNow); got != nil {
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
		"deep params":         {func(j *firjob.Job) { j.Params = []byte(nested(101)) }, "params", "at most 100 levels deep"},
		"misfire policy":      {func(j *firjob.Job) { j.Misfire.Policy = "" }, "misfire.policy", `must be "fire_once", "skip" or "fire_all"`},
		"negative grace":      {func(j *firjob.Job) { j.Misfire.Grace = -1 }, "misfire.grace", "must be 0s to 24h"},
		"long grace":          {func(j *firjob.Job) { j.Misfire.Grace = span(25 * time.Hour) }, "misfire.grace", "must be 0s to 24h"},
		"overlap":             {func(j *firjob.Job) { j.Overlap = "x" }, "overlap", `must be "allow", "skip" or "queue"`},
		"route":               {func(j *firjob.Job) { j.Route = "x" }, "route", `must be "round_robin", "random" or "least_busy"`},
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
		"unknown dialect":    {cron(func(s *firjob.Schedule) { s.Dialect = "quartz" }), "schedule.dialect", `must be "unix"`},
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
			got := j.Validate(editNow)
			if len(got) != 1 || got[0].Field != tt.field || !strings.Contains(got[0].Message, tt.want) {
				t.Errorf("got %+v, want one fault of %s with %q", got, tt.field, tt.want)
			}
		})
	}
}

func TestValidateNamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	policies := []string{"misfire.policy", "misfire.grace", "overlap", "route", "delivery", "timeout", "priority",
		"retry.max_attempts", "retry.backoff", "retry.factor", "retry.max_backoff", "retry.jitter"}
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
			if diff := cmp.Diff(want, fieldsOf(j.Validate(editNow))); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

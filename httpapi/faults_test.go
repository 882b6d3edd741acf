package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/firjob/firjob"
)

// with returns goodJob with its schedule replaced.
func with(schedule string) string {
	return `{"app":"billing","name":"n","handler":"h","schedule":` + schedule + `}`
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func cron(expr, zone string) string {
	return with(fmt.Sprintf(`{"kind":"cron","expr":%q,"timezone":%q}`, expr, zone))
}

func TestFaultyRequestsAreRefusedAndStoreNothing(t *testing.T) {
	t.Parallel()
	big := `"` + strings.Repeat("x", firjob.MaxParams) + `"`
	tests := map[string]struct {
		method, path, body string
		status             int
		code               firjob.Code
		location           string // of the only fault; "" = none is listed
	}{
		"cron text":               {"POST", "/jobs", cron("every day", "UTC"), 422, "invalid", "body.schedule.expr"},
		"bare TZ":                 {"POST", "/jobs", cron("TZ=UTC", "UTC"), 422, "invalid", "body.schedule.expr"},
		"every 0s as cron":        {"POST", "/jobs", cron("@every 0s", "UTC"), 422, "invalid", "body.schedule.expr"},
		"never fires":             {"POST", "/jobs", cron("0 0 30 2 *", "UTC"), 422, "invalid", "body.schedule.expr"},
		"zone":                    {"POST", "/jobs", cron("0 0 2 * * *", "Mars/Olympus"), 422, "invalid", "body.schedule.timezone"},
		"short interval":          {"POST", "/jobs", with(`{"kind":"every","interval":"99ms"}`), 422, "invalid", "body.schedule.interval"},
		"interval as number":      {"POST", "/jobs", with(`{"kind":"every","interval":5}`), 422, "invalid", "body.schedule.interval"},
		"interval without unit":   {"POST", "/jobs", with(`{"kind":"every","interval":"5"}`), 422, "invalid", "body.schedule.interval"},
		"old at":                  {"POST", "/jobs", with(`{"kind":"at","at":"2020-01-01T00:00:00Z"}`), 422, "invalid", "body.schedule.at"},
		"at that is no time":      {"POST", "/jobs", with(`{"kind":"at","at":"tomorrow"}`), 422, "invalid", "body.schedule.at"},
		"kind":                    {"POST", "/jobs", with(`{"kind":"sometimes"}`), 422, "invalid", "body.schedule.kind"},
		"unknown field":           {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"shard":1}`, 422, "invalid", "body.shard"},
		"field in another case":   {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"Enabled":false}`, 422, "invalid", "body.Enabled"},
		"unknown nested field":    {"POST", "/jobs", with(`{"kind":"manual","cron":"x"}`), 422, "invalid", "body.schedule.cron"},
		"unknown app":             {"POST", "/jobs", strings.Replace(goodJob, "billing", "nobody", 1), 422, "invalid", "body.app"},
		"large params":            {"POST", "/jobs", strings.Replace(goodJob, `{"region":"eu"}`, big, 1), 422, "invalid", "body.params"},
		"priority with fraction":  {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":1.5}`, 422, "invalid", "body.priority"},
		"priority beyond int":     {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":99999999999999999999}`, 422, "invalid", "body.priority"},
		"body too large":          {"POST", "/jobs", strings.Repeat(" ", 1<<20) + goodJob, 413, "too_large", ""},
		"not JSON":                {"POST", "/jobs", `{"app":`, 400, "invalid", ""},
		"two values":              {"POST", "/jobs", goodJob + goodJob, 400, "invalid", ""},
		"not an object":           {"POST", "/jobs", `["app"]`, 422, "invalid", "body"},
		"no body":                 {"POST", "/jobs", ``, 400, "invalid", ""},
		"id of a job":             {"GET", "/jobs/abc", ``, 422, "invalid", "path.id"},
		"id 0":                    {"GET", "/jobs/0", ``, 422, "invalid", "path.id"},
		"id beyond 32 bits":       {"GET", "/jobs/4294967338", ``, 422, "invalid", "path.id"},
		"id of an execution":      {"GET", "/executions/42", ``, 422, "invalid", "path.id"},
		"UUID of version 4":       {"GET", "/executions/6ba7b810-9dad-41d1-80b4-00c04fd430c8", ``, 422, "invalid", "path.id"},
		"no such job":             {"GET", "/jobs/77", ``, 404, "not_found", ""},
		"no such execution":       {"GET", "/executions/" + firjob.Fire(1, someday).String(), ``, 404, "not_found", ""},
		"trigger of no job":       {"POST", "/jobs/77/trigger", ``, 404, "not_found", ""},
		"trigger with a typo":     {"POST", "/jobs/1/trigger", `{"param":{}}`, 422, "invalid", "body.param"},
		"trigger large params":    {"POST", "/jobs/1/trigger", `{"params":` + big + `}`, 422, "invalid", "body.params"},
		"trigger in the past":     {"POST", "/jobs/1/trigger", `{"at":"2020-01-01T00:00:00Z"}`, 422, "invalid", "body.at"},
		"pause with a number":     {"POST", "/jobs/1/pause", `{"reason":5}`, 422, "invalid", "body.reason"},
		"count":                   {"GET", "/jobs/1/next?count=101", ``, 422, "invalid", "query.count"},
		"preview count":           {"POST", "/schedules/preview", `{"schedule":{"kind":"manual"},"count":0}`, 422, "invalid", "body.count"},
		"preview zone":            {"POST", "/schedules/preview", `{"schedule":{"kind":"cron","expr":"@daily","timezone":"X/Y"}}`, 422, "invalid", "body.schedule.timezone"},
		"page size":               {"GET", "/jobs?page_size=501", ``, 422, "invalid", "query.page_size"},
		"page token":              {"GET", "/jobs?page_token=%21garbage", ``, 422, "invalid", "query.page_token"},
		"another list's token":    {"GET", "/executions?page_token=AAAAAQ", ``, 422, "invalid", "query.page_token"},
		"state":                   {"GET", "/executions?state=failed,dead", ``, 422, "invalid", "query.state"},
		"since":                   {"GET", "/executions?since=yesterday", ``, 422, "invalid", "query.since"},
		"unknown parameter":       {"GET", "/executions?jobs=1", ``, 422, "invalid", "query.jobs"},
		"kind twice":              {"GET", "/jobs?kind=cron&kind=every", ``, 422, "invalid", "query.kind"},
		"app twice":               {"GET", "/executions?app=a&app=a", ``, 422, "invalid", "query.app"},
		"page size twice":         {"GET", "/apps?page_size=5&page_size=6", ``, 422, "invalid", "query.page_size"},
		"job twice":               {"GET", "/dead-letters?job=1&job=2", ``, 422, "invalid", "query.job"},
		"enabled":                 {"GET", "/jobs?enabled=maybe", ``, 422, "invalid", "query.enabled"},
		"app name":                {"POST", "/apps", `{"name":""}`, 422, "invalid", "body.name"},
		"app that exists":         {"POST", "/apps", `{"name":"billing"}`, 409, "conflict", ""},
		"executors of no app":     {"GET", "/apps/nobody/executors", ``, 404, "not_found", ""},
		"NUL in a filter":         {"GET", "/jobs?q=a%00b", ``, 422, "invalid", "query"},
		"broken UTF-8":            {"GET", "/jobs?app=%ff", ``, 422, "invalid", "query"},
		"broken encoding":         {"DELETE", "/jobs/1?dry_run=%", ``, 422, "invalid", "query"},
		"semicolons":              {"POST", "/jobs?dry_run=true;x=1", goodJob, 422, "invalid", "query"},
		"NUL in a path":           {"GET", "/apps/a%00/executors", ``, 422, "invalid", "path"},
		"NUL in a reason":         {"POST", "/jobs/1/pause", `{"reason":"a\u0000"}`, 422, "invalid", "body.reason"},
		"half a pair in a name":   {"POST", "/jobs", strings.Replace(goodJob, "nightly", `n\ud800x`, 1), 422, "invalid", "body.name"},
		"half a pair at the end":  {"POST", "/jobs", strings.Replace(goodJob, "nightly-report", `n\\\ud83d`, 1), 422, "invalid", "body.name"},
		"a pair in disorder":      {"POST", "/jobs", strings.Replace(goodJob, "nightly", `\udd25\ud83d`, 1), 422, "invalid", "body.name"},
		"half a pair in params":   {"POST", "/jobs/1/trigger", `{"params":{"a":["\uDC00\n"]}}`, 422, "invalid", "body.params"},
		"half a pair in a reason": {"POST", "/jobs/1/pause", `{"reason":"\ud800\u0041"}`, 422, "invalid", "body.reason"},
		"two fields of a name":    {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"app":"other"}`, 422, "invalid", "body.app"},
		"two nested of a name":    {"POST", "/jobs", with(`{"kind":"cron","kind":"manual"}`), 422, "invalid", "body.schedule.kind"},
		"name not UTF-8":          {"POST", "/jobs", strings.Replace(goodJob, "nightly", "\xff", 1), 400, "invalid", ""},
		"deep params":             {"POST", "/jobs", strings.Replace(goodJob, `{"region":"eu"}`, nested(9_990), 1), 422, "invalid", "body.params"},
		"body beyond all depth":   {"POST", "/jobs", strings.Replace(goodJob, `{"region":"eu"}`, nested(20_000), 1), 400, "invalid", ""},
		"trigger deep params":     {"POST", "/jobs/1/trigger", `{"params":` + nested(101) + `}`, 422, "invalid", "body.params"},
		"year 10000":              {"POST", "/jobs", with(`{"kind":"at","at":"9999-12-31T23:59:59-01:00"}`), 422, "invalid", "body.schedule.at"},
		"year -1":                 {"POST", "/jobs", with(`{"kind":"at","at":"0000-01-01T00:00:00+01:00"}`), 422, "invalid", "body.schedule.at"},
		"preview of year 10000":   {"POST", "/schedules/preview", `{"schedule":{"kind":"at","at":"9999-12-31T23:59:59-23:00"}}`, 422, "invalid", "body.schedule.at"},
		"preview of year -1":      {"POST", "/schedules/preview", `{"schedule":{"kind":"every","interval":"1s","at":"0000-01-01T00:00:00+01:00"}}`, 422, "invalid", "body.schedule.at"},
		"trigger in year 10000":   {"POST", "/jobs/1/trigger", `{"at":"9999-12-31T23:59:59-01:00"}`, 422, "invalid", "body.at"},
		"long interval":           {"POST", "/jobs", with(`{"kind":"every","interval":"2000000h"}`), 422, "invalid", "body.schedule.interval"},
		"factor beyond float":     {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"retry":{"factor":1e999}}`, 422, "invalid", "body.retry.factor"},
		"secret with a space":     {"POST", "/apps", `{"name":"a","secret":"` + strings.Repeat("a ", 32) + `"}`, 422, "invalid", "body.secret"},
		"secret beyond ASCII":     {"POST", "/apps", `{"name":"a","secret":"` + strings.Repeat("é", 32) + `"}`, 422, "invalid", "body.secret"},
		"a parent as text":        {"POST", "/jobs", with(`{"kind":"manual"},"parents":{"of":[{"job":7},{"job":"8"}]}`), 422, "invalid", "body.parents.of[1].job"},
		"a parent of no kind":     {"POST", "/jobs", with(`{"kind":"manual"},"parents":{"of":[7]}`), 422, "invalid", "body.parents.of[0]"},
		"a parent beyond range":   {"POST", "/jobs", with(`{"kind":"manual"},"parents":{"of":[{"job":4294967298}]}`), 422, "invalid", "body.parents.of[0].job"},
		"a parent's typo":         {"POST", "/jobs", with(`{"kind":"manual"},"parents":{"of":[{"job":7,"when":"end"}]}`), 422, "invalid", "body.parents.of[0].when"},
		"a parent's condition":    {"POST", "/jobs", with(`{"kind":"manual"},"parents":{"of":[{"job":7,"on":"lunch"}]}`), 422, "invalid", "body.parents.of[0].on"},
		"a child that is due":     {"POST", "/jobs", with(`{"kind":"every","interval":"1s"},"parents":{"of":[{"job":7}]}`), 422, "invalid", "body.schedule.kind"},
		"null in a list":          {"POST", "/jobs", with(`{"kind":"every","interval":"1s","calendars":["a",null]}`), 422, "invalid", "body.schedule.calendars[1]"},
		"a label that is no text": {"POST", "/jobs", with(`{"kind":"manual"},"selector":{"zone":7}`), 422, "invalid", "body.selector.zone"},
		"handler and call":        {"POST", "/jobs", with(`{"kind":"manual"},"http":{"url":"https://example.org"}`), 422, "invalid", "body.handler"},
		"neither of them":         {"POST", "/jobs", `{"app":"billing","name":"n","schedule":{"kind":"manual"}}`, 422, "invalid", "body.handler"},
		"an address":              {"POST", "/jobs", with(`{"kind":"manual"},"route":"failover","route_order":["10.0.0.7:9999","nowhere"]`), 422, "invalid", "body.route_order[1]"},
		"order of no failover":    {"POST", "/jobs", with(`{"kind":"manual"},"route_order":["10.0.0.7:9999"]`), 422, "invalid", "body.route_order"},
		"exclusive overlap":       {"POST", "/jobs", with(`{"kind":"manual"},"exclusive":true`), 422, "invalid", "body.exclusive"},
		"exclusive broadcast":     {"POST", "/jobs", with(`{"kind":"manual"},"route":"broadcast","overlap":"skip","exclusive":true`), 422, "invalid", "body.exclusive"},
		"too many at a time":      {"POST", "/jobs", with(`{"kind":"manual"},"max_running":1001`), 422, "invalid", "body.max_running"},
		"backoff":                 {"POST", "/jobs", with(`{"kind":"manual"},"retry":{"kind":"quadratic"}`), 422, "invalid", "body.retry.kind"},
		"status of success":       {"POST", "/jobs", strings.Replace(with(`{"kind":"manual"},"http":{"url":"https://example.org","expect":[200,99]}`), `"handler":"h",`, "", 1), 422, "invalid", "body.http.expect[1]"},
		"at and delay":            {"POST", "/jobs/1/trigger", `{"at":"2099-01-01T00:00:00Z","delay":"1s"}`, 422, "invalid", "body.delay"},
		"negative delay":          {"POST", "/jobs/1/trigger", `{"delay":"-1s"}`, 422, "invalid", "body.delay"},
		"endless delay":           {"POST", "/jobs/1/trigger", `{"delay":"9000h"}`, 422, "invalid", "body.delay"},
		"delay without unit":      {"POST", "/jobs/1/trigger", `{"delay":"5"}`, 422, "invalid", "body.delay"},
		"an empty batch":          {"POST", "/jobs:batch", `{"jobs":[]}`, 422, "invalid", "body.jobs"},
		"no batch":                {"POST", "/jobs:batch", `{}`, 422, "invalid", "body.jobs"},
		"a batch of a job":        {"POST", "/jobs:batch", `{"jobs":{}}`, 422, "invalid", "body.jobs"},
		"a batch with a typo":     {"POST", "/jobs:batch", `{"jobs":[{}],"atomical":true}`, 422, "invalid", "body.atomical"},
		"a large batch":           {"POST", "/jobs:batch", `{"jobs":[` + strings.Repeat("{},", 10_000) + `{}]}`, 422, "invalid", "body.jobs"},
		"a faulty atomic batch":   {"POST", "/jobs:batch", `{"atomic":true,"jobs":[` + goodJob + `,` + with(`{"kind":"never"}`) + `]}`, 422, "invalid", "body.jobs[1].schedule.kind"},
		"triggers of no job":      {"POST", "/jobs/77/trigger:batch", `{"items":[{}]}`, 404, "not_found", ""},
		"calendar mode":           {"POST", "/calendars", `{"name":"a","weekdays":["sun"],"mode":"maybe"}`, 422, "invalid", "body.mode"},
		"calendar's date":         {"POST", "/calendars", `{"name":"a","dates":[{"from":"2027-01-01"},{"from":7}]}`, 422, "invalid", "body.dates[1].from"},
		"no such calendar":        {"GET", "/calendars/nobody", ``, 404, "not_found", ""},
		"dry run":                 {"POST", "/jobs?dry_run=yes", goodJob, 422, "invalid", "query.dry_run"},
		"dry run twice":           {"POST", "/jobs?dry_run=true&dry_run=false", goodJob, 422, "invalid", "query.dry_run"},
		"dry run of a read":       {"GET", "/jobs?dry_run=true", ``, 422, "invalid", "query.dry_run"},
		"kind of schedule":        {"GET", "/jobs?kind=never", ``, 422, "invalid", "query.kind"},
		"number of a parent":      {"GET", "/jobs?parent=0", ``, 422, "invalid", "query.parent"},
		"no such path":            {"GET", "/nothing", ``, 404, "not_found", ""},
		"method":                  {"PUT", "/jobs", ``, 405, "invalid", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			before := s.store.stored()
			p := s.call(tt.method, "/api/v1"+tt.path, tt.body).want(tt.status).problem()
			if p.Code != tt.code {
				t.Errorf("got code %q, want %q", p.Code, tt.code)
			}
			var want []string
			if tt.location != "" {
				want = []string{tt.location}
			}
			if got := p.locations(); !slices.Equal(got, want) {
				t.Errorf("got faults at %v, want %v: %+v", got, want, p.Errors)
			}
			if got := s.store.stored(); got != before || len(s.scheduler.made) != 0 {
				t.Errorf("the store holds %s, want %s; the scheduler was asked %v", got, before, s.scheduler.made)
			}
		})
	}
}

func TestEveryFaultIsListedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	body := `{"app":"nobody","handler":"h","shedule":{},"priority":"high","timeout":"soon","overlap":"maybe",
		"schedule":{"kind":"cron","expr":"61 * * * *","timezone":"Mars/Olympus","when":1},
		"retry":{"max_attempts":0,"backoff":3}}`
	p := s.call("POST", "/api/v1/jobs", body).want(422).problem()
	want := []string{"body.app", "body.name", "body.overlap", "body.priority", "body.retry.backoff", "body.retry.max_attempts",
		"body.schedule.expr", "body.schedule.timezone", "body.schedule.when", "body.shedule", "body.timeout"}
	if got := p.locations(); !slices.Equal(got, want) {
		t.Errorf("got faults at\n%v, want\n%v\n%+v", got, want, p.Errors)
	}
	if got := s.store.stored(); got != "1 apps, 0 jobs, 0 executions" {
		t.Errorf("the store holds %s, want no job", got)
	}
}

func TestAPatchListsEveryFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	before := s.call("GET", path, "").want(200).body
	body := `{"app":"other","nmae":null,"Enabled":false,"priority":"x","schedule":{"timezone":"Mars/Olympus","expr":"no"}}`
	p := s.call("PATCH", path, body).want(422).problem()
	want := []string{"body.Enabled", "body.app", "body.nmae", "body.priority", "body.schedule.expr", "body.schedule.timezone"}
	if got := p.locations(); !slices.Equal(got, want) {
		t.Errorf("got faults at %v, want %v: %+v", got, want, p.Errors)
	}
	if after := s.call("GET", path, "").want(200).body; after != before {
		t.Errorf("the job is now %s, want %s", after, before)
	}
	s.call("PATCH", path, `[1]`).want(422)
	s.call("PATCH", path, `null`).want(422)
	s.call("PATCH", path, `{"schedule":null}`).want(422)
	s.call("PATCH", path, `nonsense`).want(400)
	s.call("PATCH", "/api/v1/jobs/99", `{}`).want(404)
}

func TestSecretsAreNotEchoed(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for _, body := range []string{`{"name":"","secret":"hunter2hunter2"}`, `{"name":"a","secret":["hunter2"]}`,
		`{"name":"a","Secret":{"x":"hunter2"}}`, `{"name":"a","secret":"hunter2"`, `{"name":"a","Secret":"hunter2"}`,
		`{"name":"a","secret":"hunter2 ü"}`, `{"name":"a","apiKey":"hunter2"}`, `{"name":"a","secret":7,"name":"hunter2"}`} {
		r := s.call("POST", "/api/v1/apps", body)
		if r.status < 400 || strings.Contains(r.body, "hunter2") || strings.Contains(s.log.String(), "hunter2") {
			t.Errorf("body %s: status %d, answer %s, log %s", body, r.status, r.body, s.log)
		}
	}
}

// An answer lists so many faults, and of each so much, whatever was sent.
func TestAnswersToManyFaultsAreShort(t *testing.T) {
	t.Parallel()
	var fields, attempts, query []string
	for i := range 60_000 {
		fields = append(fields, fmt.Sprintf(`"f%d":1`, i))
	}
	for range 2_000 {
		attempts = append(attempts, `{}`)
		query = append(query, fmt.Sprint("q", len(query), "=1"))
	}
	many, long := strings.Join(fields, ","), strings.Repeat("x", 500_000)
	s := newSurface(t)
	path := s.job(goodJob)
	tests := map[string]struct {
		answer reply
		faults int
	}{
		"a job":            {s.call("POST", "/api/v1/jobs", `{`+many+`}`), 50},
		"a schedule":       {s.call("POST", "/api/v1/schedules/preview", `{"schedule":{`+many+`}}`), 50},
		"a patch":          {s.call("PATCH", path, `{`+many+`}`), 50},
		"a trigger":        {s.call("POST", path+"/trigger", `{`+many+`}`), 50},
		"parameters":       {s.call("GET", "/api/v1/jobs?"+strings.Join(query, "&"), ""), 50},
		"a beat":           {s.wire(firjob.PathHeartbeat, `{"app":"billing","holding":[`+strings.Join(attempts, ",")+`]}`), 50},
		"one field, often": {s.call("POST", "/api/v1/apps", `{"name":"a"`+strings.Repeat(`,"x":1`, 60_000)+`}`), 1},
		"a long field":     {s.call("POST", "/api/v1/apps", `{"name":"a","`+long+`":1}`), 1},
		"a long text":      {s.call("POST", "/api/v1/jobs", with(`{"kind":"every","interval":"`+long+`"}`)), 1},
		"a long time":      {s.call("POST", path+"/trigger", `{"at":"`+long+`"}`), 1},
		"a long number":    {s.call("POST", "/api/v1/jobs", goodJob[:len(goodJob)-1]+`,"priority":`+strings.Repeat("9", 500_000)+`}`), 1},
		"a long path":      {s.call("GET", "/api/v1/executions/"+long, ""), 1},
	}
	for name, tt := range tests {
		p := tt.answer.want(422).problem()
		if len(p.Errors) != tt.faults || len(tt.answer.body) > 1_000+500*tt.faults {
			t.Errorf("%s: got %d faults in %d bytes, want %d: %.300s…", name, len(p.Errors), len(tt.answer.body), tt.faults, tt.answer.body)
		}
		if told := strings.Contains(p.Detail, "more than the 50"); told != (tt.faults == 50) {
			t.Errorf("%s: the detail is %q", name, p.Detail)
		}
	}
}

func TestFaultsAreSaidInPlainWords(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	tests := []struct{ method, path, body, want string }{
		{"GET", "/executions?since=yesterday", ``, `"yesterday" is not a time such as 2027-01-01T00:00:00Z`},
		{"POST", "/jobs/1/trigger", `{"at":"noon"}`, `"noon" is not a time such as 2027-01-01T00:00:00Z`},
		{"GET", "/jobs?page_size=501", ``, "must be at most 500"},
		{"GET", "/jobs?page_size=many", ``, "must be a whole number such as 5"},
		{"GET", "/jobs?page_size=99999999999999999999", ``, "is out of range"},
		{"GET", "/jobs?enabled=maybe", ``, "must be one of true, false"},
		{"GET", "/jobs/99999999999", ``, "must be at most 2147483647"},
		{"GET", "/jobs/0", ``, "must be at least 1"},
		{"GET", "/apps?shape=round", ``, "is not a known parameter; there are page_size, page_token, q"},
		{"GET", "/dead-letters?handled=maybe", ``, "must be true or false"},
		{"GET", "/jobs/1/explain", ``, "is missing"},
		{"GET", "/jobs/1/explain?at=noon", ``, `"noon" is not a time such as 2027-01-01T00:00:00Z`},
		{"GET", "/executions?root=abc", ``, `"abc" is not an execution id: want 36 characters like 00000000-0000-8000-8000-000000000001`},
		{"GET", "/executions/42", ``, `"42" is not an execution id: want 36 characters like 00000000-0000-8000-8000-000000000001`},
		{"GET", "/executions?kind=x", ``, `"x" is not a kind of execution; want one of schedule, manual, backfill, child`},
		{"GET", "/executions?state=x", ``, `"x" is not a state; want one of planned, running, succeeded, failed, timed_out, cancelled, lost, skipped, missed, superseded`},
		{"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":99999999999999999999}`, "is out of range"},
		{"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":1.5}`, "must be a whole number such as 5"},
		{"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"retry":{"factor":1e999}}`, "is out of range"},
		{"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"timeout":5}`, "want a string, got a number"},
		{"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"name":"again"}`, "stands there twice"},
	}
	for _, tt := range tests {
		p := s.call(tt.method, "/api/v1"+tt.path, tt.body).want(422).problem()
		if len(p.Errors) != 1 || p.Errors[0].Message != tt.want {
			t.Errorf("%s %s %s: got %+v, want %q", tt.method, tt.path, tt.body, p.Errors, tt.want)
		}
	}
	p := s.call("POST", "/api/v1/jobs/1/trigger", "", "Idempotency-Key", strings.Repeat("k", 256)).want(422).problem()
	if len(p.Errors) != 1 || p.Errors[0].Message != "must have at most 255 characters" {
		t.Errorf("a long key: got %+v", p.Errors)
	}
}

func TestFailuresOfOursTellNothing(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.fail(fmt.Errorf("dial tcp 10.1.2.3: password=hunter2"))
	r := s.call("GET", "/api/v1/jobs/1", "", "X-Request-Id", "abc.1").want(http.StatusInternalServerError)
	if p := r.problem(); p.Code != firjob.CodeInternal || p.RequestID != "abc.1" || strings.Contains(r.body, "10.1.2.3") {
		t.Errorf("got %s", r.body)
	}
	if log := s.log.String(); !strings.Contains(log, "hunter2") || !strings.Contains(log, "request_id=abc.1") {
		t.Errorf("the log has not the cause and the id: %s", log)
	}
	s.store.fail(firjob.Errorf(firjob.CodeUnavailable, "Postgres cannot be reached"))
	r = s.call("GET", "/api/v1/jobs/1", "").want(http.StatusServiceUnavailable)
	if r.problem(); r.header.Get("Retry-After") == "" {
		t.Errorf("got headers %v, want Retry-After", r.header)
	}
}

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.scheduler.panics = true
	r := s.call("GET", "/api/v1/stats", "").want(http.StatusInternalServerError)
	if p := r.problem(); p.Code != firjob.CodeInternal || strings.Contains(r.body, "panic") || strings.Contains(r.body, ".go") {
		t.Errorf("got %s", r.body)
	}
	if log := s.log.String(); !strings.Contains(log, "secret of the panic") {
		t.Errorf("the log has not the panic: %s", log)
	}
}

// gone is the connection of a client that went away.
type gone struct{ header http.Header }

func (g gone) Header() http.Header     { return g.header }
func (gone) WriteHeader(int)           {}
func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestAClientThatWentAwayIsNoError(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/77", "/openapi.json", "/version", "/nothing"} {
		s := newSurface(t)
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", "Bearer "+admin)
		s.handler.ServeHTTP(gone{http.Header{}}, r)
		if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
			t.Errorf("%s: the log has %s", path, log)
		}
	}
	s := newSurface(t)
	s.store.fail(context.Canceled)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/jobs", nil)
	r.Header.Set("Authorization", "Bearer "+admin)
	s.handler.ServeHTTP(gone{http.Header{}}, r)
	if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("cancelled: the log has %s", log)
	}
}

func TestMethodNotAllowedNamesThoseThatAre(t *testing.T) {
	t.Parallel()
	r := newSurface(t).call("DELETE", "/api/v1/jobs", "").want(http.StatusMethodNotAllowed)
	r.problem()
	if got := r.header.Values("Allow"); !slices.Equal(got, []string{"GET", "POST"}) {
		t.Errorf("Allow: %v, want GET and POST", got)
	}
}

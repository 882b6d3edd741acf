package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/firjob/firjob"
)

// with returns goodJob with its schedule replaced.
func with(schedule string) string {
	return `{"app":"billing","name":"n","handler":"h","schedule":` + schedule + `}`
}

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
		"cron text":              {"POST", "/jobs", cron("every day", "UTC"), 422, "invalid", "body.schedule.expr"},
		"bare TZ":                {"POST", "/jobs", cron("TZ=UTC", "UTC"), 422, "invalid", "body.schedule.expr"},
		"every 0s as cron":       {"POST", "/jobs", cron("@every 0s", "UTC"), 422, "invalid", "body.schedule.expr"},
		"never fires":            {"POST", "/jobs", cron("0 0 30 2 *", "UTC"), 422, "invalid", "body.schedule.expr"},
		"zone":                   {"POST", "/jobs", cron("0 0 2 * * *", "Mars/Olympus"), 422, "invalid", "body.schedule.timezone"},
		"short interval":         {"POST", "/jobs", with(`{"kind":"every","interval":"99ms"}`), 422, "invalid", "body.schedule.interval"},
		"interval as number":     {"POST", "/jobs", with(`{"kind":"every","interval":5}`), 422, "invalid", "body.schedule.interval"},
		"interval without unit":  {"POST", "/jobs", with(`{"kind":"every","interval":"5"}`), 422, "invalid", "body.schedule.interval"},
		"old at":                 {"POST", "/jobs", with(`{"kind":"at","at":"2020-01-01T00:00:00Z"}`), 422, "invalid", "body.schedule.at"},
		"at that is no time":     {"POST", "/jobs", with(`{"kind":"at","at":"tomorrow"}`), 422, "invalid", "body.schedule.at"},
		"kind":                   {"POST", "/jobs", with(`{"kind":"sometimes"}`), 422, "invalid", "body.schedule.kind"},
		"unknown field":          {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"shard":1}`, 422, "invalid", "body.shard"},
		"field in another case":  {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"Enabled":false}`, 422, "invalid", "body.Enabled"},
		"unknown nested field":   {"POST", "/jobs", with(`{"kind":"manual","cron":"x"}`), 422, "invalid", "body.schedule.cron"},
		"unknown app":            {"POST", "/jobs", strings.Replace(goodJob, "billing", "nobody", 1), 422, "invalid", "body.app"},
		"large params":           {"POST", "/jobs", strings.Replace(goodJob, `{"region":"eu"}`, big, 1), 422, "invalid", "body.params"},
		"priority with fraction": {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":1.5}`, 422, "invalid", "body.priority"},
		"priority beyond int":    {"POST", "/jobs", goodJob[:len(goodJob)-1] + `,"priority":99999999999999999999}`, 422, "invalid", "body.priority"},
		"body too large":         {"POST", "/jobs", strings.Repeat(" ", 1<<20) + goodJob, 413, "too_large", ""},
		"not JSON":               {"POST", "/jobs", `{"app":`, 400, "invalid", ""},
		"two values":             {"POST", "/jobs", goodJob + goodJob, 400, "invalid", ""},
		"not an object":          {"POST", "/jobs", `["app"]`, 422, "invalid", "body"},
		"no body":                {"POST", "/jobs", ``, 400, "invalid", ""},
		"id of a job":            {"GET", "/jobs/abc", ``, 422, "invalid", "path.id"},
		"id 0":                   {"GET", "/jobs/0", ``, 422, "invalid", "path.id"},
		"id beyond 32 bits":      {"GET", "/jobs/4294967338", ``, 422, "invalid", "path.id"},
		"id of an execution":     {"GET", "/executions/42", ``, 422, "invalid", "path.id"},
		"UUID of version 4":      {"GET", "/executions/6ba7b810-9dad-41d1-80b4-00c04fd430c8", ``, 422, "invalid", "path.id"},
		"no such job":            {"GET", "/jobs/77", ``, 404, "not_found", ""},
		"no such execution":      {"GET", "/executions/" + firjob.Fire(1, someday).String(), ``, 404, "not_found", ""},
		"trigger of no job":      {"POST", "/jobs/77/trigger", ``, 404, "not_found", ""},
		"trigger with a typo":    {"POST", "/jobs/1/trigger", `{"param":{}}`, 422, "invalid", "body.param"},
		"trigger large params":   {"POST", "/jobs/1/trigger", `{"params":` + big + `}`, 422, "invalid", "body.params"},
		"trigger in the past":    {"POST", "/jobs/1/trigger", `{"at":"2020-01-01T00:00:00Z"}`, 422, "invalid", "body.at"},
		"pause with a number":    {"POST", "/jobs/1/pause", `{"reason":5}`, 422, "invalid", "body.reason"},
		"count":                  {"GET", "/jobs/1/next?count=101", ``, 422, "invalid", "query.count"},
		"preview count":          {"POST", "/schedules/preview", `{"schedule":{"kind":"manual"},"count":0}`, 422, "invalid", "body.count"},
		"preview zone":           {"POST", "/schedules/preview", `{"schedule":{"kind":"cron","expr":"@daily","timezone":"X/Y"}}`, 422, "invalid", "body.schedule.timezone"},
		"page size":              {"GET", "/jobs?page_size=501", ``, 422, "invalid", "query.page_size"},
		"page token":             {"GET", "/jobs?page_token=%21garbage", ``, 422, "invalid", "query.page_token"},
		"another list's token":   {"GET", "/executions?page_token=AAAAAQ", ``, 422, "invalid", "query.page_token"},
		"state":                  {"GET", "/executions?state=failed,dead", ``, 422, "invalid", "query.state"},
		"since":                  {"GET", "/executions?since=yesterday", ``, 422, "invalid", "query.since"},
		"unknown parameter":      {"GET", "/executions?jobs=1", ``, 422, "invalid", "query.jobs"},
		"enabled":                {"GET", "/jobs?enabled=maybe", ``, 422, "invalid", "query.enabled"},
		"app name":               {"POST", "/apps", `{"name":""}`, 422, "invalid", "body.name"},
		"app that exists":        {"POST", "/apps", `{"name":"billing"}`, 409, "conflict", ""},
		"executors of no app":    {"GET", "/apps/nobody/executors", ``, 404, "not_found", ""},
		"NUL in a filter":        {"GET", "/jobs?q=a%00b", ``, 422, "invalid", "query"},
		"broken UTF-8":           {"GET", "/jobs?app=%ff", ``, 422, "invalid", "query"},
		"NUL in a path":          {"GET", "/apps/a%00/executors", ``, 422, "invalid", "path"},
		"NUL in a reason":        {"POST", "/jobs/1/pause", `{"reason":"a\u0000"}`, 422, "invalid", "body.reason"},
		"no such path":           {"GET", "/nothing", ``, 404, "not_found", ""},
		"method":                 {"PUT", "/jobs", ``, 405, "invalid", ""},
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
		`{"name":"a","Secret":{"x":"hunter2"}}`, `{"name":"a","secret":"hunter2"`} {
		r := s.call("POST", "/api/v1/apps", body)
		if r.status < 400 || strings.Contains(r.body, "hunter2") || strings.Contains(s.log.String(), "hunter2") {
			t.Errorf("body %s: status %d, answer %s, log %s", body, r.status, r.body, s.log)
		}
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

func TestMethodNotAllowedNamesThoseThatAre(t *testing.T) {
	t.Parallel()
	r := newSurface(t).call("DELETE", "/api/v1/jobs", "").want(http.StatusMethodNotAllowed)
	r.problem()
	if got := r.header.Values("Allow"); !slices.Equal(got, []string{"GET", "POST"}) {
		t.Errorf("Allow: %v, want GET and POST", got)
	}
}

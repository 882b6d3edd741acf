package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/openapi.json")

// golden compares got with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-file +now); if that is meant, run the test with -update:\n%s", file, diff)
	}
}

// indented returns the body with line breaks, its fields in their order.
func (r reply) indented() string {
	r.t.Helper()
	text, err := json.MarshalIndent(json.RawMessage(r.body), "", "  ")
	if err != nil {
		r.t.Fatalf("indent %s: %v", r.body, err)
	}
	return string(text) + "\n"
}

func TestJobJSON(t *testing.T) {
	t.Parallel()
	jobs := map[string]string{
		"job-least.json": `{"app":"billing","name":"n","handler":"h","schedule":{"kind":"manual"}}`,
		"job-full.json": `{"app":"billing","name":"nightly-report","handler":"report","params":{"region":"eu","n":9007199254740993},
			"schedule":{"kind":"at","at":"2099-01-01T08:00:00.1234+08:00"},
			"misfire":{"policy":"skip","grace":"1m30s"},"overlap":"queue","route":"least_busy","delivery":"at_most_once",
			"timeout":"1h","retry":{"max_attempts":3,"backoff":"2s","factor":1.5,"max_backoff":"1m","jitter":0},
			"priority":-3,"enabled":true}`,
		"job-policies.json": `{"app":"billing","name":"n","handler":"h",
			"schedule":{"kind":"cron","expr":"0 0 18 LW * ?","dialect":"quartz","start_at":"2098-12-01T00:00:00Z","end_at":"2099-02-01T00:00:00Z","jitter":"2m","calendars":["holidays"]},
			"misfire":{"policy":"fire_all","max_catch_up":5},"start_deadline":"10m","overlap":"queue","max_running":3,"queue_limit":9,
			"route":"failover","route_order":["10.0.0.7:9999","10.0.0.8:9999"],"selector":{"zone":"a","gpu":"yes"},
			"retry":{"max_attempts":3,"kind":"linear","on":"other"}}`,
		"job-call.json": `{"app":"billing","name":"n","http":{"url":"https://example.org/run?day=${scheduled_at}","headers":{"Authorization":"Bearer abc"},
			"body":"{\"id\":\"${id}\"}","expect":[202],"sign":true},"schedule":{"kind":"manual"},"overlap":"replace","replace_after":"1m",
			"parents":{"of":[{"job":41},{"job":42,"on":"failure"}]}}`,
		"job-cron-paused.json": strings.Replace(goodJob, `"handler"`, `"enabled":false,"handler"`, 1),
	}
	for file, body := range jobs {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.store.calendars = []firjob.Calendar{{Name: "holidays"}}
			created := s.call("POST", "/api/v1/jobs", body).want(http.StatusCreated)
			if got := created.header.Get("Location"); got != "/api/v1/jobs/1" {
				t.Errorf("Location: %q", got)
			}
			if got := s.call("GET", "/api/v1/jobs/1", "").want(http.StatusOK); got.body != created.body {
				t.Errorf("GET answers %s, POST answered %s", got.body, created.body)
			}
			golden(t, filepath.Join("testdata", file), created.indented())
		})
	}
}

func TestNextFireIsTheComingOne(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC()
	tests := map[string]struct {
		schedule string
		stored   time.Time // ahead of what is recorded already
		within   time.Duration
	}{
		"cron":  {`{"kind":"cron","expr":"* * * * * *"}`, soon, time.Second},
		"every": {`{"kind":"every","interval":"250ms"}`, soon, 250 * time.Millisecond},
		"delay": {`{"kind":"delay","interval":"1h"}`, soon, time.Hour},
		"at":    {`{"kind":"at","at":"` + soon.Format(time.RFC3339Nano) + `"}`, time.Time{}, time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			path := s.job(with(tt.schedule))
			s.store.store(s.store.jobs[1], tt.stored)
			now := time.Now()
			var job struct {
				Next *time.Time `json:"next_fire_at"`
			}
			s.call("GET", path, "").want(http.StatusOK).into(&job)
			if job.Next == nil || job.Next.Before(now.Truncate(time.Millisecond)) || job.Next.After(time.Now().Add(tt.within)) {
				t.Errorf("next_fire_at is %v, want within %v of %v", job.Next, tt.within, now)
			}
			if name == "every" && soon.Sub(*job.Next)%(250*time.Millisecond) > time.Millisecond {
				t.Errorf("next_fire_at %v is not on the grid of %v", job.Next, soon)
			}
		})
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		patch string
		want  map[string]any // of the job afterwards, by dotted path
	}{
		"nothing":         {`{}`, map[string]any{"name": "nightly-report", "version": 2.0}},
		"one field":       {`{"timeout":"5s"}`, map[string]any{"timeout": "5s", "schedule.expr": "0 0 2 * * *"}},
		"nested field":    {`{"schedule":{"expr":"@daily"}}`, map[string]any{"schedule.expr": "@daily", "schedule.timezone": "Asia/Shanghai"}},
		"null is default": {`{"schedule":{"timezone":null},"params":null,"retry":null}`, map[string]any{"schedule.timezone": "UTC", "params": nil, "retry.max_attempts": 1.0}},
		"params merge":    {`{"params":{"region":null,"n":9007199254740993}}`, map[string]any{"params.region": nil, "params.n": 9007199254740993.0}},
		"params replaced": {`{"params":[1]}`, map[string]any{"params": []any{1.0}}},
		"another kind":    {`{"schedule":{"kind":"every","interval":"5s"}}`, map[string]any{"schedule.kind": "every", "schedule.expr": nil, "schedule.timezone": nil}},
		"paused":          {`{"enabled":false}`, map[string]any{"enabled": false, "next_fire_at": nil}},
		"a label":         {`{"selector":{"zone":"b","gpu":null,"disk":"ssd"}}`, map[string]any{"selector": map[string]any{"zone": "b", "disk": "ssd"}}},
		"no label":        {`{"selector":null}`, map[string]any{"selector": nil}},
		"a call": {`{"handler":null,"selector":null,"http":{"url":"https://example.org","headers":{"A":"b"}}}`,
			map[string]any{"handler": nil, "http.method": "POST", "http.timeout": "30s", "http.headers.A": "b"}},
		"parents": {`{"schedule":{"kind":"manual"},"parents":{"of":[{"job":7}]}}`,
			map[string]any{"parents.join": "all", "parents.of": []any{map[string]any{"job": 7.0, "on": "success"}}}},
		"limits":           {`{"max_running":3,"overlap":"queue","start_deadline":"1m"}`, map[string]any{"max_running": 3.0, "start_deadline": "1m"}},
		"same app is fine": {`{"app":"billing"}`, map[string]any{"app": "billing"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			path := s.job(strings.Replace(goodJob, `"handler"`, `"retry":{"max_attempts":4},"selector":{"zone":"a","gpu":"yes"},"handler"`, 1))
			var job map[string]any
			s.call("PATCH", path, tt.patch, "Content-Type", "application/merge-patch+json").want(http.StatusOK).into(&job)
			for at, want := range tt.want {
				if got := lookUp(job, at); !cmp.Equal(got, want) {
					t.Errorf("%s is %v, want %v", at, got, want)
				}
			}
			if want := []string{"job 1 changed"}; !slices.Equal(s.scheduler.made, want) {
				t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
			}
		})
	}
}

// A patch of the kind drops the expression, and keeps what leaves fires out.
func TestPatchOfTheKindKeepsTheWindow(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]map[string]any{
		`"every","interval":"5s"`: {"expr": nil, "end_at": "2030-01-01T00:00:00.000Z", "jitter": "30s", "timezone": nil},
		`"delay","interval":"5s"`: {"expr": nil, "end_at": "2030-01-01T00:00:00.000Z", "jitter": nil},
		`"manual"`:                {"expr": nil, "end_at": nil, "jitter": nil},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			path := s.job(strings.Replace(goodJob, `"kind"`, `"end_at":"2030-01-01T00:00:00Z","jitter":"30s","kind"`, 1))
			var job map[string]any
			s.call("PATCH", path, `{"schedule":{"kind":`+kind+`}}`).want(http.StatusOK).into(&job)
			for field, v := range want {
				if got := lookUp(job, "schedule."+field); !cmp.Equal(got, v) {
					t.Errorf("schedule.%s is %v, want %v", field, got, v)
				}
			}
		})
	}
}

// The examples of RFC 7396, appendix A, that a field can show.
func TestParamsArePatchedByTheRFC(t *testing.T) {
	t.Parallel()
	tests := []struct{ params, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	}
	for _, tt := range tests {
		s := newSurface(t)
		path := s.job(strings.Replace(goodJob, `{"region":"eu"}`, tt.params, 1))
		var job struct{ Params json.RawMessage }
		s.call("PATCH", path, `{"params":`+tt.patch+`}`).want(http.StatusOK).into(&job)
		if string(job.Params) != tt.want {
			t.Errorf("%s patched by %s is %s, want %s", tt.params, tt.patch, job.Params, tt.want)
		}
	}
}

// Params that a patch does not name stay as they were written.
func TestAPatchLeavesOtherParamsAlone(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	raw := `{ "z": 1.50, "a": 12345678901234567890, "html": "` + strings.Repeat("<", 60_000) + `" }`
	path := s.job(strings.Replace(goodJob, `{"region":"eu"}`, raw, 1))
	s.call("PATCH", path, `{"timeout":"5s"}`).want(http.StatusOK)
	if got := string(s.store.jobs[1].Params); got != raw {
		t.Errorf("a patch of the timeout makes %d bytes of params %.60s…", len(got), got)
	}
	s.call("PATCH", path, `{"params":{"z":null}}`).want(http.StatusOK)
	if got, want := string(s.store.jobs[1].Params), `{"a":12345678901234567890,"html":"`+strings.Repeat("<", 60_000)+`"}`; got != want {
		t.Errorf("a patch of the params makes %d bytes, %.60s…", len(got), got)
	}
}

// Escapes stand for characters; only half of a pair is none.
func TestEscapesOfNames(t *testing.T) {
	t.Parallel()
	for escaped, want := range map[string]string{
		`\ud83d\udd25`:     "🔥",
		`\u00E9t\u00e9`:    "été",
		`\\ud800`:          `\ud800`,
		`\"\ud83d\udd25\\`: `"🔥\`,
	} {
		s := newSurface(t)
		s.job(strings.Replace(goodJob, "nightly-report", escaped, 1))
		if got := s.store.jobs[1].Name; got != want {
			t.Errorf("%s: got %s, want %s", escaped, got, want)
		}
	}
}

func TestAnEmptyTimezoneIsTheDefault(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(cron("@daily", ""))
	if got := s.store.jobs[1].Schedule.Timezone; got != "UTC" {
		t.Errorf("got %q, want UTC", got)
	}
	s.call("PATCH", path, `{"schedule":{"timezone":"Asia/Shanghai"}}`).want(http.StatusOK)
	s.call("PATCH", path, `{"schedule":{"timezone":""}}`).want(http.StatusOK)
	if got := s.store.jobs[1].Schedule.Timezone; got != "UTC" {
		t.Errorf("patched: got %q, want UTC", got)
	}
}

func lookUp(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	var job struct {
		Enabled      bool
		PausedReason string  `json:"paused_reason"`
		Next         *string `json:"next_fire_at"`
	}
	s.call("POST", path+"/pause", `{"reason":"upstream is down"}`).want(http.StatusOK).into(&job)
	if job.Enabled || job.PausedReason != "upstream is down" || job.Next != nil {
		t.Errorf("paused: %+v", job)
	}
	var next struct{ Fires []time.Time }
	s.call("GET", path+"/next", "").want(http.StatusOK).into(&next)
	if len(next.Fires) != 0 {
		t.Errorf("a paused job fires at %v", next.Fires)
	}
	job.PausedReason = ""
	s.call("POST", path+"/resume", "").want(http.StatusOK).into(&job)
	if !job.Enabled || job.PausedReason != "" || job.Next == nil {
		t.Errorf("resumed: %+v", job)
	}
	s.call("GET", path+"/next?count=3", "").want(http.StatusOK).into(&next)
	if len(next.Fires) != 3 || next.Fires[0].Format("15:04:05") != "18:00:00" {
		t.Errorf("next fires: %v, want 3 at 18:00 UTC", next.Fires)
	}
}

// A pause of a paused job changes nothing, unless it gives another reason.
func TestPauseOfAPausedJob(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	type state struct {
		Enabled      bool
		Version      int
		PausedReason string `json:"paused_reason"`
	}
	s.call("POST", path+"/pause", `{"reason":"upstream is down"}`).want(http.StatusOK)
	for _, tt := range []struct {
		body string
		want state
	}{
		{``, state{false, 2, "upstream is down"}},
		{`{"reason":"upstream is down"}`, state{false, 2, "upstream is down"}},
		{`{"reason":"moving house"}`, state{false, 3, "moving house"}},
		{`{}`, state{false, 3, "moving house"}},
	} {
		var got state
		if s.call("POST", path+"/pause", tt.body).want(http.StatusOK).into(&got); got != tt.want {
			t.Errorf("pause with %q: got %+v, want %+v", tt.body, got, tt.want)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	if r := s.call("DELETE", path, "").want(http.StatusNoContent); r.body != "" {
		t.Errorf("got a body: %s", r.body)
	}
	s.call("DELETE", path, "").want(http.StatusNotFound)
}

func TestPagesOfJobs(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for i := range 5 {
		s.job(strings.Replace(goodJob, "nightly-report", fmt.Sprint("job-", i), 1))
	}
	var names []string
	for token := ""; ; {
		var page struct {
			Items []struct{ Name string }
			Next  string `json:"next_page_token"`
		}
		s.call("GET", "/api/v1/jobs?page_size=2&enabled=true&name=nightly&q=jo&app=billing&kind=cron&route=sticky&calendar=holidays&parent=7&page_token="+token, "").want(http.StatusOK).into(&page)
		for _, j := range page.Items {
			names = append(names, j.Name)
		}
		if token = page.Next; token == "" {
			break
		}
	}
	if want := []string{"job-0", "job-1", "job-2", "job-3", "job-4"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	want := ports.JobFilter{App: "billing", Name: "nightly", Query: "jo", Enabled: new(true), Kind: "cron", Route: "sticky", Calendar: "holidays", Parent: 7,
		After: 4, PageSize: 2}
	if diff := cmp.Diff(want, s.store.jobFilter); diff != "" {
		t.Errorf("the last filter differs (-want +got):\n%s", diff)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var preview struct {
		Fires    []time.Time
		Warnings []string
		Text     string
	}
	s.call("POST", "/api/v1/schedules/preview", `{"schedule":{"kind":"cron","expr":"30 4 * * *"},"count":2}`).want(http.StatusOK).into(&preview)
	if len(preview.Fires) != 2 || preview.Fires[1].Sub(preview.Fires[0]) != 24*time.Hour || preview.Warnings == nil || preview.Text == "" {
		t.Errorf("got %+v", preview)
	}
	s.call("POST", "/api/v1/schedules/preview", `{"schedule":{"kind":"manual"}}`).want(http.StatusOK).into(&preview)
	if len(preview.Fires) != 0 {
		t.Errorf("a manual schedule fires at %v", preview.Fires)
	}
}

func TestPreviewAsksCalendars(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.calendars = []firjob.Calendar{{Name: "sundays", Mode: firjob.CalendarInclude, Weekdays: []string{"sun"}}}
	var preview struct {
		Fires  []time.Time
		WhyNot *string `json:"why_not"`
	}
	body := `{"schedule":{"kind":"cron","expr":"30 4 * * *","calendars":["sundays"]},"count":3,"app":"billing","name":"n","at":"2099-01-05T04:30:00Z"}`
	s.call("POST", "/api/v1/schedules/preview", body).want(http.StatusOK).into(&preview)
	for _, at := range preview.Fires {
		if at.Weekday() != time.Sunday {
			t.Errorf("fires on %v", at)
		}
	}
	if len(preview.Fires) != 3 || preview.WhyNot == nil || !strings.Contains(*preview.WhyNot, "sundays") { // a Monday
		t.Errorf("got %+v, want 3 fires and the calendar as the reason", preview)
	}
	p := s.call("POST", "/api/v1/schedules/preview", strings.Replace(body, "sundays", "nobody", 1)).want(422).problem()
	if got := p.locations(); !slices.Equal(got, []string{"body.schedule.calendars[0]"}) {
		t.Errorf("got faults at %v, want the calendar", got)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var app struct{ Name, Secret string }
	s.call("POST", "/api/v1/apps", `{"name":"mail"}`).want(http.StatusCreated).into(&app)
	if len(app.Secret) != 64 || string(s.store.apps["mail"]) != string(firjob.AuthHash(app.Secret)) {
		t.Errorf("the secret %q is not 32 bytes in hex, or not the stored one", app.Secret)
	}
	own := strings.Repeat("!~", firjob.MinSecretSize/2)
	s.call("POST", "/api/v1/apps", `{"name":"own","secret":"`+own+`"}`).want(http.StatusCreated).into(&app)
	if app.Secret != own {
		t.Errorf("got secret %q, want the given one", app.Secret)
	}
	list := s.call("GET", "/api/v1/apps", "").want(http.StatusOK).body
	if strings.Contains(list, "secret") || !strings.Contains(list, `"mail"`) {
		t.Errorf("the list is %s", list)
	}
}

// The last end of a job is shown where it is asked for, and only there.
func TestLastEndOfJobs(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.call("POST", "/api/v1/jobs", `{"app": "billing", "name": "n", "handler": "h", "schedule": {"kind": "manual"}}`).want(http.StatusCreated)
	id, ended := firjob.Fire(1, someday), someday.Add(time.Second)
	s.store.executions[id] = firjob.Execution{ID: id, JobID: 1, State: firjob.StateFailed, Reason: "disk is full", FinishedAt: &ended}
	want := `"last":{"id":"` + id.String() + `","scheduled_at":"2027-01-01T02:03:04.567Z","state":"failed",` +
		`"reason":"disk is full","finished_at":"2027-01-01T02:03:05.567Z"}`
	for path, shown := range map[string]bool{"/jobs": false, "/jobs?last=true": true, "/jobs/1": false, "/jobs/1?last=true": true} {
		got := s.call("GET", "/api/v1"+path, "").want(http.StatusOK).body
		if strings.Contains(got, want) != shown || strings.Contains(got, `"last":`) != shown {
			t.Errorf("%s answers %s", path, got)
		}
	}
}

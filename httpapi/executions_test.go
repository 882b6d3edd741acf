package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestTrigger(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	s.scheduler.made = nil
	var e struct {
		ID     string
		Params any
	}
	r := s.call("POST", path+"/trigger", `{"params":{"a":1}}`, "Idempotency-Key", "k1").want(http.StatusCreated)
	r.into(&e)
	if got, want := r.header.Get("Location"), "/api/v1/executions/"+e.ID; got != want {
		t.Errorf("Location: %q, want %q", got, want)
	}
	if want := []string{"announce " + e.ID}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
	if again := s.call("POST", path+"/trigger", `{"params":{"a":1}}`, "Idempotency-Key", "k1").want(http.StatusCreated); again.body != r.body {
		t.Errorf("the repeat answers %s, want %s", again.body, r.body)
	}
	if again := s.call("POST", path+"/trigger", "{\"params\": {\n\t\"a\": 1 } }", "Idempotency-Key", "k1").want(http.StatusCreated); again.body != r.body {
		t.Errorf("the repeat in another layout answers %s, want %s", again.body, r.body)
	}
	if p := s.call("POST", path+"/trigger", `{"params":{"a":2}}`, "Idempotency-Key", "k1").want(422).problem(); p.Code != firjob.CodeKeyReused {
		t.Errorf("got %+v", p)
	}
	long := strings.Repeat("k", 256)
	if p := s.call("POST", path+"/trigger", "", "Idempotency-Key", long).want(422).problem(); !slices.Equal(p.locations(), []string{"header.Idempotency-Key"}) {
		t.Errorf("got %+v", p)
	}
	s.scheduler.made = nil
	s.call("POST", path+"/trigger", `{"params":null,"at":"2099-01-01T00:00:00Z"}`).want(http.StatusCreated).into(&e)
	if e.Params != nil || len(s.scheduler.made) != 0 {
		t.Errorf("a later trigger: %+v; the scheduler was asked %v", e, s.scheduler.made)
	}
}

func execution(state firjob.State) firjob.Execution {
	e := firjob.Execution{ID: firjob.Fire(42, someday), JobID: 42, App: "billing", Job: "nightly-report", Handler: "report",
		ScheduledAt: someday, DueAt: someday, State: state, Attempt: 1, Token: 7, Executor: "10.0.0.7:9999"}
	e.StartedAt = new(someday.Add(time.Millisecond))
	if state.Final() {
		e.FinishedAt, e.Result = new(someday.Add(time.Second)), json.RawMessage(`{"rows":3}`)
	}
	e.LatenessMS = new(1.25)
	return e
}

func TestExecutionJSON(t *testing.T) {
	t.Parallel()
	first := firjob.Attempt{Attempt: 1, Token: 5, Executor: "10.0.0.6:9999", Outcome: firjob.OutcomeLost, Reason: "the executor is gone",
		StartedAt: new(someday), FinishedAt: new(someday.Add(time.Second))}
	second := execution(firjob.StateRunning)
	second.Attempt, second.Attempts = 2, []firjob.Attempt{first}
	waiting := second
	waiting.State, waiting.Attempt, waiting.Token, waiting.StartedAt, waiting.LatenessMS = firjob.StatePlanned, 1, 5, nil, nil
	missed := firjob.Execution{ID: firjob.Fire(42, someday), JobID: 42, ScheduledAt: someday, DueAt: someday, State: firjob.StateMissed,
		Reason: "3 fires were missed", FinishedAt: new(someday), Missed: &firjob.MissedRange{Until: someday.Add(time.Hour), Count: 3}}
	for file, e := range map[string]firjob.Execution{"execution-succeeded.json": execution(firjob.StateSucceeded),
		"execution-second.json": second, "execution-waiting.json": waiting, "execution-missed.json": missed} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.store.executions[e.ID] = e
			golden(t, "testdata/"+file, s.call("GET", "/api/v1/executions/"+e.ID.String(), "").want(http.StatusOK).indented())
		})
	}
}

func TestExecutionsAreFiltered(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var page struct {
		Items []any
		Next  string `json:"next_page_token"`
	}
	s.call("GET", "/api/v1/executions", "").want(http.StatusOK).into(&page)
	if page.Items == nil || page.Next == "" {
		t.Errorf("got %+v, want an empty list and a token", page)
	}
	if want := (ports.ExecutionFilter{PageSize: 50}); !cmp.Equal(want, s.store.filter) {
		t.Errorf("got the filter %+v, want %+v", s.store.filter, want)
	}
	s.call("GET", "/api/v1/executions?job=9&app=billing&state=failed,lost&state=failed&state=missed&page_size=500"+
		"&since=2027-01-01T02:03:04.567Z&until=2027-01-01T11:00:00%2B08:00&page_token="+page.Next, "").want(http.StatusOK)
	want := ports.ExecutionFilter{Job: 9, App: "billing", States: []firjob.State{"failed", "lost", "missed"}, PageSize: 500,
		Since: someday, Until: time.Date(2027, 1, 1, 3, 0, 0, 0, time.UTC), Before: firjob.Fire(9, someday)}
	if diff := cmp.Diff(want, s.store.filter); diff != "" {
		t.Errorf("the filter differs (-want +got):\n%s", diff)
	}
}

// A prefix of an id is a range of ids, whatever else selects.
func TestExecutionsByPrefix(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	id := func(text string) firjob.ExecutionID { return firjob.ExecutionID(uuid.MustParse(text)) }
	for prefix, want := range map[string]ports.ExecutionFilter{
		"019a-": {From: id("019a0000-0000-0000-0000-000000000000"), Before: id("019b0000-0000-0000-0000-000000000000")},
		"019":   {From: id("01900000-0000-0000-0000-000000000000"), Before: id("01a00000-0000-0000-0000-000000000000")},
		"0FF":   {From: id("0ff00000-0000-0000-0000-000000000000"), Before: id("10000000-0000-0000-0000-000000000000")},
		"ff":    {From: id("ff000000-0000-0000-0000-000000000000")},
		"019c8e5a-3a00-8000-8000-00000000002a": {From: id("019c8e5a-3a00-8000-8000-00000000002a"),
			Before: id("019c8e5a-3a00-8000-8000-00000000002b")},
	} {
		want.PageSize = 50
		s.call("GET", "/api/v1/executions?id_prefix="+prefix, "").want(http.StatusOK)
		if diff := cmp.Diff(want, s.store.filter); diff != "" {
			t.Errorf("%s: the filter differs (-want +got):\n%s", prefix, diff)
		}
	}
	for _, prefix := range []string{"x", "-", "019c8e5a-3a00-8000-8000-00000000002a0", "0%201"} {
		s.call("GET", "/api/v1/executions?id_prefix="+prefix, "").want(http.StatusUnprocessableEntity)
	}
}

// No time in a filter is beyond what the store or an answer can hold.
func TestFiltersBeyondAllTimeAreCut(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.call("GET", "/api/v1/executions?since=1900-01-01T00:00:00Z&until=9999-12-31T23:59:59-23:00", "").want(http.StatusOK)
	want := ports.ExecutionFilter{PageSize: 50, Since: time.UnixMilli(0).UTC(), Until: firjob.LatestAt()}
	if diff := cmp.Diff(want, s.store.filter); diff != "" {
		t.Errorf("the filter differs (-want +got):\n%s", diff)
	}
	for since, want := range map[string]string{"0000-01-01T00:00:00%2B10:00": "1970-01-01T00:00:00.000Z",
		"9999-12-31T23:59:59-23:00": "9999-12-30T23:59:59.000Z"} {
		var stats struct{ Since string }
		s.call("GET", "/api/v1/stats?since="+since, "").want(http.StatusOK).into(&stats)
		if stats.Since != want {
			t.Errorf("stats since %s are since %s, want %s", since, stats.Since, want)
		}
	}
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		state  firjob.State
		action string
		status int
		asked  []string
	}{
		"cancel planned":   {firjob.StatePlanned, "cancel", 200, nil},
		"cancel running":   {firjob.StateRunning, "cancel", 200, []string{"cancel billing " + firjob.Fire(42, someday).String() + " 7"}},
		"cancel succeeded": {firjob.StateSucceeded, "cancel", 409, nil},
		"retry running":    {firjob.StateRunning, "retry", 409, nil},
		"retry failed":     {firjob.StateFailed, "retry", 201, []string{"announce " + firjob.NewExecutionID(42, someday, firjob.KindManual, 7).String()}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			e := execution(tt.state)
			s.store.executions[e.ID] = e
			s.call("POST", "/api/v1/executions/"+e.ID.String()+"/"+tt.action, "").want(tt.status)
			if !slices.Equal(s.scheduler.made, tt.asked) {
				t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, tt.asked)
			}
		})
	}
}

// What a change lets go on is told to the scheduler, and not left to its sweep.
func TestWhatFollowsFromAChange(t *testing.T) {
	t.Parallel()
	next := firjob.NewExecutionID(42, someday, firjob.KindManual, 3)
	e := execution(firjob.StatePlanned)
	tests := map[string]struct {
		method, path, body string
		asked              []string
	}{
		"cancel": {"POST", "/api/v1/executions/" + e.ID.String() + "/cancel", "", []string{"announce " + next.String(), "job 1 changed"}},
		"pause":  {"POST", "/api/v1/jobs/1/pause", "", []string{"announce " + next.String(), "job 1 changed"}},
		"delete": {"DELETE", "/api/v1/jobs/1", "", []string{"announce " + next.String(), "job 1 changed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.job(goodJob)
			s.store.executions[e.ID] = e
			s.store.followed = ports.Followed{Announce: []firjob.Due{{ID: next, At: someday}}, Plan: []firjob.JobID{1}}
			s.scheduler.made = nil
			if r := s.call(tt.method, tt.path, tt.body); r.status >= 300 {
				t.Fatalf("got the status %d: %s", r.status, r.body)
			}
			if !slices.Equal(s.scheduler.made, tt.asked) {
				t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, tt.asked)
			}
		})
	}
}

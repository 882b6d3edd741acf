package httpapi_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// recovery is the part of memory that knows of dead letters, backfills and
// explanations: it notes what it is asked and answers what it is told to.
type recovery struct {
	deadFilter  ports.DeadLetterFilter
	batch       ports.DeadLetterBatch
	dead        []ports.DeadLetter
	done        []ports.DeadLetterDone
	request     ports.BackfillRequest
	backfill    ports.Backfill
	before      ports.BackfillID
	followed    ports.Followed
	explained   ports.ExplainRequest
	explanation ports.Explanation
	refuses     error
}

func (r *recovery) DeadLetters(_ context.Context, f ports.DeadLetterFilter) ([]ports.DeadLetter, firjob.ExecutionID, error) {
	r.deadFilter = f
	return r.dead, firjob.Fire(9, someday), r.refuses
}

func (r *recovery) Redrive(_ context.Context, b ports.DeadLetterBatch) ([]ports.DeadLetterDone, error) {
	r.batch = b
	return r.done, r.refuses
}

func (r *recovery) Dismiss(_ context.Context, b ports.DeadLetterBatch) ([]ports.DeadLetterDone, error) {
	r.batch = b
	return r.done, r.refuses
}

func (r *recovery) CreateBackfill(_ context.Context, b ports.BackfillRequest, _ time.Duration) (ports.Backfill, ports.Followed, error) {
	r.request = b
	return r.backfill, r.followed, r.refuses
}

func (r *recovery) Backfill(context.Context, ports.BackfillID) (ports.Backfill, error) {
	return r.backfill, r.refuses
}

func (r *recovery) Backfills(_ context.Context, _ firjob.JobID, before ports.BackfillID, _ int) ([]ports.Backfill, ports.BackfillID, error) {
	r.before = before
	return []ports.Backfill{r.backfill}, 4, r.refuses
}

func (r *recovery) CancelBackfill(context.Context, ports.BackfillID) (ports.Backfill, ports.Followed, error) {
	return r.backfill, r.followed, r.refuses
}

func (r *recovery) Explain(_ context.Context, e ports.ExplainRequest) (ports.Explanation, error) {
	r.explained = e
	return r.explanation, r.refuses
}

func (r *recovery) ExplainExecution(context.Context, firjob.ExecutionID, time.Duration) (ports.Explanation, error) {
	return r.explanation, r.refuses
}

func (c *calls) Retention() time.Duration { return 30 * 24 * time.Hour }

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.dead = []ports.DeadLetter{{Execution: execution(firjob.StateFailed), FailedAt: someday.Add(time.Second), RedrivenAs: new(firjob.Fire(42, someday.Add(time.Hour)))}}
	r := s.call("GET", "/api/v1/dead-letters?app=billing&job=42&state=failed,lost&since=2027-01-01T00:00:00Z&handled=true&page_size=7", "").want(http.StatusOK)
	golden(t, "testdata/dead-letters.json", r.indented())
	want := ports.DeadLetterFilter{App: "billing", Job: 42, States: []firjob.State{firjob.StateFailed, firjob.StateLost},
		Since: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Handled: true, PageSize: 7}
	if diff := cmp.Diff(want, s.store.deadFilter); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if p := s.call("GET", "/api/v1/dead-letters?state=succeeded", "").want(422).problem(); !slices.Equal(p.locations(), []string{"query.state"}) {
		t.Errorf("got %+v", p)
	}
}

func TestRedriveAndDismiss(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	a, b, again := firjob.Fire(42, someday), firjob.Fire(43, someday), firjob.NewExecutionID(42, someday, firjob.KindManual, 5)
	s.store.done = []ports.DeadLetterDone{{ID: a, RedrivenAs: &firjob.Due{ID: again, At: someday}},
		{ID: b, Err: firjob.Errorf(firjob.CodeConflict, "it was redriven already")}}
	body := `{"ids":["` + a.String() + `","` + b.String() + `"]}`
	r := s.call("POST", "/api/v1/dead-letters:redrive", body).want(http.StatusOK)
	golden(t, "testdata/redrive.json", r.indented())
	if want := []firjob.ExecutionID{a, b}; !slices.Equal(s.store.batch.IDs, want) {
		t.Errorf("asked for %v, want %v", s.store.batch.IDs, want)
	}
	if want := []string{"announce " + again.String()}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
	s.scheduler.made = nil
	s.call("POST", "/api/v1/dead-letters:redrive?dry_run=true", body).want(http.StatusOK)
	if len(s.scheduler.made) != 0 {
		t.Errorf("after a dry run the scheduler was asked %v", s.scheduler.made)
	}

	s.store.done = []ports.DeadLetterDone{{ID: a}}
	s.call("POST", "/api/v1/dead-letters:dismiss", `{"filter":{"app":"billing","job":42,"state":["lost"],"until":"2027-01-01T00:00:00Z"},"limit":5}`).want(http.StatusOK)
	want := ports.DeadLetterBatch{Limit: 5, Filter: ports.DeadLetterFilter{App: "billing", Job: 42, States: []firjob.State{firjob.StateLost},
		Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}
	if diff := cmp.Diff(want, s.store.batch); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
	s.call("POST", "/api/v1/dead-letters:dismiss", `{"filter":{}}`).want(http.StatusOK)
	if s.store.batch.Limit != 1000 {
		t.Errorf("the default limit is %d, want 1000", s.store.batch.Limit)
	}
}

func TestDeadLetterFaults(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	id := firjob.Fire(42, someday).String()
	for body, want := range map[string][]string{
		`{}`:                                 {"body.ids"},
		`{"ids":[]}`:                         {"body.ids"},
		`{"ids":["x"],"filter":{}}`:          {"body.filter", "body.ids[0]"},
		`{"ids":["` + id + `","x"]}`:         {"body.ids[1]"},
		`{"ids":["` + id + `"],"limit":1}`:   {"body.limit"},
		`{"filter":{},"limit":10001}`:        {"body.limit"},
		`{"filter":{"state":["succeeded"]}}`: {"body.filter.state[0]"},
		`{"filter":{"job":0,"since":"x","when":1},"limit":0}`: {"body.filter.job", "body.filter.since", "body.filter.when", "body.limit"},
	} {
		for _, path := range []string{"redrive", "dismiss"} {
			if p := s.call("POST", "/api/v1/dead-letters:"+path, body).want(422).problem(); !slices.Equal(p.locations(), want) {
				t.Errorf("%s %s: faults at %v, want %v", path, body, p.locations(), want)
			}
		}
	}
}

func aBackfill() ports.Backfill {
	return ports.Backfill{ID: 7, BackfillRequest: ports.BackfillRequest{Job: 42, From: someday, Until: someday.Add(time.Hour), MaxRunning: 3},
		Fires: 60, First: someday, Last: someday.Add(59 * time.Minute), Recorded: 5, Open: 2, Succeeded: 2, Failed: 1, CreatedAt: someday}
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	first := firjob.NewExecutionID(42, someday, firjob.KindBackfill, 7)
	s.store.recovery.backfill = aBackfill()
	s.store.recovery.followed = ports.Followed{Announce: []firjob.Due{{ID: first, At: someday}}}
	r := s.call("POST", "/api/v1/jobs/42/backfill", `{"from":"2026-12-01T00:00:00Z","until":"2026-12-02T00:00:00+01:00","order":"newest_first","max_running":3,"params":{"a": 1}}`).
		want(http.StatusCreated)
	golden(t, "testdata/backfill.json", r.indented())
	if got := r.header.Get("Location"); got != "/api/v1/backfills/7" {
		t.Errorf("Location: %q", got)
	}
	want := ports.BackfillRequest{Job: 42, From: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 1, 23, 0, 0, 0, time.UTC),
		Newest: true, MaxRunning: 3, Params: []byte(`{"a":1}`)}
	if diff := cmp.Diff(want, s.store.request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if want := []string{"announce " + first.String()}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
	if again := s.call("GET", "/api/v1/backfills/7", "").want(http.StatusOK); again.indented() != r.indented() {
		t.Errorf("GET answers %s", again.body)
	}
	var page struct {
		Items         []map[string]any
		NextPageToken string `json:"next_page_token"`
	}
	s.call("GET", "/api/v1/jobs/42/backfills", "").want(http.StatusOK).into(&page)
	if len(page.Items) != 1 || page.Items[0]["open"] != nil {
		t.Errorf("the list is %+v", page)
	}
	s.call("GET", "/api/v1/jobs/42/backfills?page_token="+page.NextPageToken, "").want(http.StatusOK)
	if s.store.before != 4 {
		t.Errorf("the next page starts before %d, want 4", s.store.before)
	}
}

func TestBackfillFaults(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for body, want := range map[string][]string{
		`{"from":"x","max_running":"y"}`:                                {"body.from", "body.max_running", "body.until"},
		`{"order":"sideways","max_runs":0}`:                             {"body.from", "body.max_runs", "body.order", "body.until"},
		`{"until":"2999-01-01T00:00:00Z","params":7,"max_running":1.5}`: {"body.from", "body.max_running", "body.until"},
	} {
		if p := s.call("POST", "/api/v1/jobs/42/backfill", body).want(422).problem(); !slices.Equal(p.locations(), want) {
			t.Errorf("%s: faults at %v, want %v", body, p.locations(), want)
		}
	}
	s.store.refuses = firjob.Invalid([]firjob.FieldError{{Field: "path.id", Message: "trigger it"}})
	p := s.call("POST", "/api/v1/jobs/42/backfill", `{"from":"2026-12-01T00:00:00Z","until":"2026-12-02T00:00:00Z"}`).want(422).problem()
	if !slices.Equal(p.locations(), []string{"path.id"}) {
		t.Errorf("got %+v", p)
	}
}

func TestCancelBackfill(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	b := aBackfill()
	b.Cancelled, b.FinishedAt = true, new(someday)
	s.store.recovery.backfill = b
	attempt := firjob.AttemptRef{ID: firjob.Fire(42, someday), Token: 9}
	s.store.recovery.followed = ports.Followed{Cancel: []ports.Cancel{{App: "billing", Attempt: attempt}}}
	var got struct{ State string }
	s.call("POST", "/api/v1/backfills/7/cancel", "").want(http.StatusOK).into(&got)
	if got.State != "cancelled" {
		t.Errorf("the state is %q", got.State)
	}
	if want := []string{"cancel billing " + attempt.ID.String() + " 9"}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	e := execution(firjob.StateSucceeded)
	s.store.explanation = ports.Explanation{At: someday, Verdict: "It ran.", Execution: &e, Before: new(someday.Add(-time.Hour)),
		Steps: []ports.Step{{Rule: "planned", Text: "version 1 planned it"}, {At: new(someday), Rule: "claimed", Text: "server r1 claimed it"}}}
	for at, want := range map[string]ports.ExplainRequest{
		"2027-01-01T02:03:04Z":        {At: someday.Truncate(time.Second), Precision: time.Second},
		"2027-01-01T10:03:04%2B08:00": {At: someday.Truncate(time.Second), Precision: time.Second},
		"2027-01-01T02:03:04.567Z":    {At: someday, Precision: time.Millisecond},
		"2027-01-01T02:03:04.5679Z":   {At: someday, Precision: time.Millisecond},
		"1066-10-14T09:00:00Z":        {At: time.UnixMilli(0).UTC(), Precision: time.Second},
	} {
		r := s.call("GET", "/api/v1/jobs/42/explain?at="+at, "").want(http.StatusOK)
		golden(t, "testdata/explain.json", r.indented())
		want.Job, want.Horizon, want.Retention = 42, time.Minute, 30*24*time.Hour
		if diff := cmp.Diff(want, s.store.explained); diff != "" {
			t.Errorf("%s (-want +got):\n%s", at, diff)
		}
	}
	golden(t, "testdata/explain.json", s.call("GET", "/api/v1/executions/"+e.ID.String()+"/explain", "").want(http.StatusOK).indented())
	for _, at := range []string{"", "?at=", "?at=yesterday"} {
		if p := s.call("GET", "/api/v1/jobs/42/explain"+at, "").want(422).problem(); !slices.Equal(p.locations(), []string{"query.at"}) {
			t.Errorf("%s: got %+v", at, p)
		}
	}
}

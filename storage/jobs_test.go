package storage_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestCreateJobKeepsEveryField(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	at, start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	retry := firjob.DefaultRetry()
	retry.Kind, retry.On = firjob.BackoffLinear, firjob.RetryOther
	want := firjob.Job{
		App: app, Name: "nightly-report", Handler: "report", Params: json.RawMessage(`{"region": "eu"}`),
		Schedule:      firjob.Schedule{Kind: firjob.ScheduleAt, At: &at, StartAt: &start, Jitter: firjob.Duration(time.Second)},
		Misfire:       firjob.Misfire{Policy: firjob.MisfireFireAll, Grace: firjob.Duration(1500 * time.Millisecond), MaxCatchUp: 7},
		StartDeadline: firjob.Duration(time.Hour),
		Overlap:       firjob.OverlapQueue, MaxRunning: 3, QueueLimit: 9, ReplaceAfter: firjob.Duration(time.Minute),
		Route: firjob.RouteFailover, RouteOrder: []string{"10.0.0.7:9999"}, Selector: map[string]string{"zone": "a"},
		Delivery: firjob.AtMostOnce, Timeout: firjob.Duration(time.Minute), Retry: retry, Priority: -3, Enabled: true,
		Parents: &firjob.Parents{Join: firjob.JoinAny, Of: []firjob.Parent{{Job: parent.ID, On: firjob.OnEnd}}},
	}
	before := s.now()
	stored, err := s.CreateJob(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Version, want.NextFireAt = stored.ID, 1, &at
	want.CreatedAt, want.UpdatedAt = stored.CreatedAt, stored.CreatedAt
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	read, anchor, err := s.Job(t.Context(), stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored, read); diff != "" {
		t.Errorf("read (-stored +read):\n%s", diff)
	}
	if anchor.Before(before) || anchor.After(s.now()) {
		t.Errorf("anchor: got %v, want the store's clock, at or after %v", anchor, before)
	}
}

// What a job with an HTTP call says of its sending is stored beside its route.
func TestCreateJobKeepsItsCall(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Handler = ""
		j.Route, j.RouteKey, j.Exclusive = firjob.RouteConsistentHash, "customer", true
		j.HTTP = &firjob.HTTPCall{Method: "PUT", URL: "https://example.org/${id}", Headers: map[string]string{"X-A": "b"},
			Body: "${params}", Expect: []int{204}, Timeout: firjob.Duration(time.Second), Sign: true}
	})
	edited := s.edit(job.ID, func(j *firjob.Job) { j.Priority = 3 })
	job.Priority, job.Version, job.UpdatedAt = 3, 2, edited.UpdatedAt
	if diff := cmp.Diff(job, edited); diff != "" {
		t.Errorf("edited (-want +got):\n%s", diff)
	}
}

// anchor is where a job's "every" counts from.
func (s *store) anchor(id firjob.JobID) time.Time {
	s.t.Helper()
	_, anchor, err := s.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return anchor
}

func TestCreateJobRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := firjob.NewJob()
	job.App, job.Name, job.Handler, job.Schedule.Kind = app, "one", "report", firjob.ScheduleManual
	create := func(change func(*firjob.Job)) error {
		j := job
		change(&j)
		_, err := s.CreateJob(t.Context(), j)
		return err
	}
	if err := create(func(*firjob.Job) {}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, create(func(*firjob.Job) {}), firjob.CodeConflict)
	wantCode(t, create(func(j *firjob.Job) { j.Name = "a\x00b" }), firjob.CodeInvalid)
	wantCode(t, create(func(j *firjob.Job) { j.Name, j.Handler = "two", "\xff" }), firjob.CodeInvalid)
	wantCode(t, create(func(j *firjob.Job) { j.Name, j.Params = "three", json.RawMessage("{") }), firjob.CodeInvalid)
	err := create(func(j *firjob.Job) { j.App = "nobody" })
	wantCode(t, err, firjob.CodeInvalid)
	var e *firjob.Error
	if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != "app" {
		t.Errorf("got the fields %+v, want app", e)
	}
}

func TestUpdateJob(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	anchor := s.anchor(job.ID)
	refusal := errors.New("no")
	_, _, err := s.UpdateJob(t.Context(), job.ID, func(_ time.Time, j *firjob.Job) error {
		j.Name = "changed"
		return refusal
	})
	if err != refusal { //nolint:errorlint // the very error, not one that wraps it
		t.Errorf("got the error %v, want change's own", err)
	}
	s.wantState(id, firjob.StatePlanned)

	got := s.edit(job.ID, func(j *firjob.Job) { j.Enabled, j.PausedReason = false, "upstream is down" })
	if got.Version != 2 || got.Enabled || got.PausedReason != "upstream is down" || got.NextFireAt != nil || !got.UpdatedAt.After(job.UpdatedAt) {
		t.Errorf("got %+v", got)
	}
	if e := s.wantState(id, firjob.StateSuperseded); e.Reason != "the job was paused" {
		t.Errorf("reason: got %q", e.Reason)
	}
	if now := s.anchor(job.ID); !now.Equal(anchor) {
		t.Errorf("the anchor moved to %v though the schedule is the same", now)
	}
	s.edit(job.ID, func(j *firjob.Job) { j.Schedule.Interval *= 2 })
	if now := s.anchor(job.ID); !now.After(anchor) {
		t.Errorf("the anchor %v did not move with the schedule", now)
	}
}

// An attempt that runs is none of an edit's business; a manual one that is
// planned runs whatever the job says, but for a deleted job.
func TestWhatAnEditLeavesAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	running := s.mustClaim(id)
	manual, due, err := s.Trigger(t.Context(), ports.TriggerRequest{Job: job.ID, Horizon: time.Minute})
	if err != nil || !due {
		t.Fatalf("trigger: due %v, %v", due, err)
	}
	if _, err := s.delete(job.ID); err != nil {
		t.Fatal(err)
	}
	s.wantState(manual.ID, firjob.StatePlanned)
	wantIDs(t, "dropped", s.claim(manual.ID).Dropped, manual.ID)
	s.wantState(manual.ID, firjob.StateSuperseded)
	s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)

	_, _, err = s.Job(t.Context(), job.ID)
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.delete(job.ID)
	wantCode(t, err, firjob.CodeNotFound)
	_, _, err = s.UpdateJob(t.Context(), 1<<31, nil)
	wantCode(t, err, firjob.CodeNotFound)
	_, _, err = s.Trigger(t.Context(), ports.TriggerRequest{Job: job.ID})
	wantCode(t, err, firjob.CodeNotFound)
	if _, err := s.CreateJob(t.Context(), job); err != nil {
		t.Errorf("the name of a deleted job is not free: %v", err)
	}
}

func TestJobsPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var want []firjob.JobID
	for i := range 5 {
		j := s.job(func(j *firjob.Job) { j.Enabled = i%2 == 0 })
		want = append(want, j.ID)
	}
	odd := s.job(func(j *firjob.Job) {
		j.Name, j.Handler, j.Route, j.Schedule = "100%_Odd", "other", firjob.RouteSticky, firjob.Schedule{Kind: firjob.ScheduleManual}
		j.Parents = &firjob.Parents{Join: firjob.JoinAll, Of: []firjob.Parent{{Job: want[0], On: firjob.OnEnd}}}
	})
	paused := false
	for name, c := range map[string]struct {
		filter ports.JobFilter
		want   []firjob.JobID
	}{
		"all":          {ports.JobFilter{}, append(want, odd.ID)},
		"of the app":   {ports.JobFilter{App: app}, append(want, odd.ID)},
		"of another":   {ports.JobFilter{App: "another"}, nil},
		"by name":      {ports.JobFilter{Query: "%_odd"}, []firjob.JobID{odd.ID}},
		"by handler":   {ports.JobFilter{Query: "REP"}, want},
		"paused":       {ports.JobFilter{Enabled: &paused}, []firjob.JobID{want[1], want[3]}},
		"by kind":      {ports.JobFilter{Kind: firjob.ScheduleManual}, []firjob.JobID{odd.ID}},
		"by route":     {ports.JobFilter{Route: firjob.RouteSticky}, []firjob.JobID{odd.ID}},
		"of a parent":  {ports.JobFilter{Parent: want[0]}, []firjob.JobID{odd.ID}},
		"of no parent": {ports.JobFilter{Parent: odd.ID}, nil},
		"by calendar":  {ports.JobFilter{Calendar: "holidays"}, nil},
		"by no handle": {ports.JobFilter{Query: "nothing"}, nil},
	} {
		if diff := cmp.Diff(c.want, s.listJobs(c.filter, 2)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := s.CreateApp(t.Context(), app, []byte("h"), []byte("k"))
	wantCode(t, err, firjob.CodeConflict)
	if _, err := s.CreateApp(t.Context(), "alpha", []byte("h2"), []byte("k2")); err != nil {
		t.Fatal(err)
	}
	list, next, err := s.Apps(t.Context(), ports.AppFilter{PageSize: 1})
	if err != nil || len(list) != 1 || list[0].Name != "alpha" || next != "alpha" {
		t.Errorf("the first page: got %+v, next %q, %v", list, next, err)
	}
	if list, next, err = s.Apps(t.Context(), ports.AppFilter{PageSize: 1, After: next}); err != nil || len(list) != 1 || list[0].Name != app || next != "" {
		t.Errorf("the second page: got %+v, next %q, %v", list, next, err)
	}
	if list, _, err = s.Apps(t.Context(), ports.AppFilter{PageSize: 9, Query: "LPH"}); err != nil || len(list) != 1 || list[0].Name != "alpha" {
		t.Errorf("by name: got %+v, %v", list, err)
	}
	list, _, err = s.Apps(t.Context(), ports.AppFilter{PageSize: 9})
	if err != nil || len(list) != 2 || list[0].Name != "alpha" || list[1].Name != app || list[0].CreatedAt.IsZero() {
		t.Errorf("got %+v, %v", list, err)
	}
	hash, err := s.AppAuthHash(t.Context(), "alpha")
	if err != nil || string(hash) != "h2" {
		t.Errorf("got %q, %v", hash, err)
	}
	_, err = s.AppAuthHash(t.Context(), "nobody")
	wantCode(t, err, firjob.CodeNotFound)
	keys, err := s.SigningKeys(t.Context())
	if diff := cmp.Diff(map[string][]byte{app: []byte("key"), "alpha": []byte("k2")}, keys); diff != "" || err != nil {
		t.Errorf("keys (-want +got): %s, %v", diff, err)
	}
}

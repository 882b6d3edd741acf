package storage_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/google/go-cmp/cmp"
)

func TestCreateJobKeepsEveryField(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	want := firjob.Job{
		App: app, Name: "nightly-report", Handler: "report", Params: json.RawMessage(`{"region": "eu"}`),
		Schedule: firjob.Schedule{Kind: firjob.ScheduleAt, At: &at},
		Misfire:  firjob.Misfire{Policy: firjob.MisfireFireAll, Grace: firjob.Duration(1500 * time.Millisecond)},
		Overlap:  firjob.OverlapQueue, Route: firjob.RouteRandom, Delivery: firjob.AtMostOnce,
		Timeout: firjob.Duration(time.Minute), Retry: firjob.DefaultRetry(), Priority: -3, Enabled: true,
	}
	var clock time.Time
	stored, err := s.CreateJob(t.Context(), want, func(now time.Time) (time.Time, error) {
		clock = now
		return at, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Version, want.NextFireAt = stored.ID, 1, &at
	want.CreatedAt, want.UpdatedAt = stored.CreatedAt, stored.CreatedAt
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	read, err := s.Job(t.Context(), stored.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored, read); diff != "" {
		t.Errorf("read (-stored +read):\n%s", diff)
	}
	if anchor, err := s.Anchor(t.Context(), stored.ID); err != nil || !anchor.Equal(clock) {
		t.Errorf("anchor: got %v, %v; want %v", anchor, err, clock)
	}
}

func TestCreateJobRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := firjob.NewJob()
	job.App, job.Name, job.Handler, job.Schedule.Kind = app, "one", "report", firjob.ScheduleManual
	never := func(time.Time) (time.Time, error) { return time.Time{}, nil }
	create := func(change func(*firjob.Job)) error {
		j := job
		change(&j)
		_, err := s.CreateJob(t.Context(), j, never)
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
	anchor, err := s.Anchor(t.Context(), job.ID)
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, _, err = s.UpdateJob(t.Context(), job.ID, func(_, _ time.Time, j *firjob.Job) (time.Time, error) {
		j.Name = "changed"
		return time.Time{}, refusal
	})
	if err != refusal {
		t.Errorf("got the error %v, want change's own", err)
	}
	s.wantState(id, firjob.StatePlanned)

	got, _, err := s.UpdateJob(t.Context(), job.ID, func(_, was time.Time, j *firjob.Job) (time.Time, error) {
		if !was.Equal(anchor) {
			t.Errorf("anchor: got %v, want %v", was, anchor)
		}
		j.Enabled, j.PausedReason = false, "upstream is down"
		return time.Time{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != 2 || got.Enabled || got.PausedReason != "upstream is down" || got.NextFireAt != nil || !got.UpdatedAt.After(job.UpdatedAt) {
		t.Errorf("got %+v", got)
	}
	if e := s.wantState(id, firjob.StateSuperseded); e.Reason != "the job was paused" {
		t.Errorf("reason: got %q", e.Reason)
	}
	if now, _ := s.Anchor(t.Context(), job.ID); !now.Equal(anchor) {
		t.Errorf("the anchor moved to %v though the schedule is the same", now)
	}
	_, _, err = s.UpdateJob(t.Context(), job.ID, func(now, _ time.Time, j *firjob.Job) (time.Time, error) {
		j.Schedule.Interval *= 2
		return now, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if now, _ := s.Anchor(t.Context(), job.ID); !now.After(anchor) {
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
	manual, due, err := s.Trigger(t.Context(), firjob.TriggerRequest{Job: job.ID, Horizon: time.Minute})
	if err != nil || !due {
		t.Fatalf("trigger: due %v, %v", due, err)
	}
	if _, err := s.DeleteJob(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	s.wantState(manual.ID, firjob.StatePlanned)
	wantIDs(t, "dropped", s.claim(manual.ID).Dropped, manual.ID)
	s.wantState(manual.ID, firjob.StateSuperseded)
	s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)

	_, err = s.Job(t.Context(), job.ID)
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.DeleteJob(t.Context(), job.ID)
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.Anchor(t.Context(), job.ID)
	wantCode(t, err, firjob.CodeNotFound)
	_, _, err = s.UpdateJob(t.Context(), 1<<31, nil)
	wantCode(t, err, firjob.CodeNotFound)
	_, _, err = s.Trigger(t.Context(), firjob.TriggerRequest{Job: job.ID})
	wantCode(t, err, firjob.CodeNotFound)
	if _, err := s.CreateJob(t.Context(), job, func(now time.Time) (time.Time, error) { return now, nil }); err != nil {
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
	odd := s.job(func(j *firjob.Job) { j.Name, j.Handler = "100%_Odd", "other" })
	list := func(f firjob.JobFilter) (got []firjob.JobID) {
		t.Helper()
		f.PageSize = 2
		for {
			page, next, err := s.Jobs(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range page {
				got = append(got, j.ID)
			}
			if next == 0 {
				return got
			}
			f.After = next
		}
	}
	paused := false
	for name, c := range map[string]struct {
		filter firjob.JobFilter
		want   []firjob.JobID
	}{
		"all":          {firjob.JobFilter{}, append(want, odd.ID)},
		"of the app":   {firjob.JobFilter{App: app}, append(want, odd.ID)},
		"of another":   {firjob.JobFilter{App: "another"}, nil},
		"by name":      {firjob.JobFilter{Query: "%_odd"}, []firjob.JobID{odd.ID}},
		"by handler":   {firjob.JobFilter{Query: "REP"}, want},
		"paused":       {firjob.JobFilter{Enabled: &paused}, []firjob.JobID{want[1], want[3]}},
		"by no handle": {firjob.JobFilter{Query: "nothing"}, nil},
	} {
		if diff := cmp.Diff(c.want, list(c.filter)); diff != "" {
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
	list, err := s.Apps(t.Context())
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

package storage_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Jobs of many callers go in few transactions, and each has the outcome that it
// would have had alone.
func TestJobsOfManyCallers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.job(func(j *firjob.Job) { j.Name = "taken" })
	const callers = 60
	names := func(i int) string {
		switch i % 6 {
		case 0:
			return "taken"
		case 1:
			return "no\x00text" // Postgres refuses the whole statement
		case 2:
			return fmt.Sprintf("one of two %d", i/12)
		}
		return fmt.Sprintf("good %d", i)
	}
	codes := make([]firjob.Code, callers)
	ids := make([]firjob.JobID, callers)
	together(callers, func(i int) {
		job := firjob.NewJob()
		job.App, job.Name, job.Handler = app, names(i), "report"
		job.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual}
		made, err := s.CreateJob(t.Context(), job)
		codes[i], ids[i] = firjob.CodeOf(err), made.ID
		if err == nil && made.Name != job.Name {
			t.Errorf("asked for %q, got %q", job.Name, made.Name)
		}
	})
	stored := map[string]int{}
	for i := range callers {
		switch {
		case codes[i] == "" && ids[i] > 0:
			stored[names(i)]++
		case i%6 == 0 || i%6 == 2:
			if codes[i] != firjob.CodeConflict {
				t.Errorf("%q: got code %q, want a conflict", names(i), codes[i])
			}
		case i%6 == 1:
			if codes[i] == "" || codes[i] == firjob.CodeConflict {
				t.Errorf("%q: got code %q, want an error of its own", names(i), codes[i])
			}
		default:
			t.Errorf("%q: got code %q, want it stored", names(i), codes[i])
		}
	}
	for name, n := range stored {
		if n != 1 {
			t.Errorf("%q was stored %d times", name, n)
		}
	}
	if want := callers/2 + callers/12; len(stored) != want {
		t.Errorf("%d jobs were stored, want %d", len(stored), want)
	}
	slices.Sort(ids)
	if kept := slices.Compact(slices.DeleteFunc(ids, func(id firjob.JobID) bool { return id == 0 })); len(kept) != len(stored) {
		t.Errorf("%d jobs have %d numbers", len(stored), len(kept))
	}
}

// Triggers of many callers go in few transactions, and each has the outcome that
// it would have had alone.
func TestTriggersOfManyCallers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	manual := func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual} }
	jobs := []firjob.Job{s.job(manual), s.job(manual)}
	gone := firjob.JobID(1 << 30)
	const callers = 60
	made := make([]firjob.Execution, callers)
	request := func(i int) ports.TriggerRequest {
		t := ports.TriggerRequest{Job: jobs[i%2].ID, Params: fmt.Appendf(nil, `{"n":%d}`, i), Horizon: time.Minute}
		switch i % 5 {
		case 0:
			t.Job = gone
		case 1:
			t.Delay = time.Hour
		case 2:
			t.Params = []byte("{no JSON") // Postgres refuses the whole statement
		}
		return t
	}
	together(callers, func(i int) {
		e, due, err := s.Trigger(t.Context(), request(i))
		made[i] = e
		switch want := request(i); i % 5 {
		case 0:
			if firjob.CodeOf(err) != firjob.CodeNotFound {
				t.Errorf("trigger %d of no job: %v", i, err)
			}
		case 2:
			if err == nil {
				t.Errorf("trigger %d without JSON was recorded", i)
			}
		default:
			if err != nil || due != (i%5 != 1) || e.JobID != want.Job || string(e.Params) != string(want.Params) {
				t.Errorf("trigger %d: got %+v, due %t, %v", i, e, due, err)
			}
		}
	})
	seen := map[firjob.ExecutionID]bool{}
	for _, e := range made {
		if e.ID.IsZero() {
			continue
		}
		if seen[e.ID] {
			t.Errorf("%s was given twice", e.ID)
		}
		seen[e.ID] = true
	}
	if want := callers * 3 / 5; len(seen) != want {
		t.Errorf("%d executions, want %d", len(seen), want)
	}
}

// A change that is dry, or has a key, is nobody else's transaction.
func TestADryRunStoresNothingOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := func(name string) firjob.Job {
		j := firjob.NewJob()
		j.App, j.Name, j.Handler, j.Schedule = app, name, "report", firjob.Schedule{Kind: firjob.ScheduleManual}
		return j
	}
	together(20, func(i int) {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = ports.WithWrite(ctx, ports.Write{DryRun: true})
		}
		if _, err := s.CreateJob(ctx, job(fmt.Sprintf("job %d", i))); err != nil {
			t.Error(err)
		}
	})
	var names []string
	s.query(`SELECT array_agg(name ORDER BY name) FROM jobs`, &names)
	if len(names) != 10 || slices.ContainsFunc(names, func(n string) bool { var i int; _, _ = fmt.Sscanf(n, "job %d", &i); return i%2 == 0 }) {
		t.Errorf("stored %q, want the ten odd ones", names)
	}
}

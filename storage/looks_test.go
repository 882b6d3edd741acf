package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

// Pages that look at few rows each lead to the same list, whatever is filtered
// for, and none of them is larger than asked for.
func TestPagesThatLookAtFewRowsMissNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 40 {
		s.job(func(j *firjob.Job) {
			j.Name, j.Enabled = fmt.Sprintf("looked-%d", i), i%7 != 0
			if i%5 == 0 {
				j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual}
			}
		})
	}
	job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll })
	now := s.now()
	var at []time.Time
	for i := range 40 {
		at = append(at, now.Add(time.Duration(i-40)*time.Second))
	}
	ids := s.plan(job, at...)
	for i := 0; i < len(ids); i += 9 {
		s.mustClaim(ids[i])
	}
	small := s.smallApp(at)
	later, _ := s.trigger(ports.TriggerRequest{Job: job.ID, At: now.Add(2 * time.Hour)})

	jobs := map[string]ports.JobFilter{
		"paused":        {Enabled: new(false)},
		"manual":        {Kind: firjob.ScheduleManual},
		"named":         {Query: "looked-1"},
		"of the app":    {App: app, Query: "LOOKED-3", Enabled: new(true)},
		"of one name":   {Name: "looked-21"},
		"of one, in it": {App: app, Name: "looked-21", Enabled: new(true)},
		"of no app":     {App: "another", Kind: firjob.ScheduleManual},
		"called so not": {Query: "nobody"},
	}
	executions := map[string]ports.ExecutionFilter{
		"running":               {States: []firjob.State{firjob.StateRunning}},
		"running, of the job":   {Job: job.ID, States: []firjob.State{firjob.StateRunning}},
		"running, of the app":   {App: app, States: []firjob.State{firjob.StateRunning}},
		"planned, for a while":  {Since: at[3], Until: at[31], States: []firjob.State{firjob.StatePlanned}},
		"manual":                {Kinds: []firjob.Kind{later.ID.Kind()}},
		"on no executor":        {Executor: "10.0.0.1:1"},
		"of the app, all of it": {App: app},
		"of few jobs":           {App: "small"},
		"of few jobs, planned":  {App: "small", States: []firjob.State{firjob.StatePlanned}},
		"of few jobs, earlier":  {App: "small", Since: at[3], Until: at[31]},
		"of one of few jobs":    {App: "small", Job: small[0]},
	}
	const plenty = 1000
	for _, looks := range []int{1, 3, 10, 39, 40, 41, 100} {
		for name, f := range jobs {
			sameList(s, "jobs "+name, looks, plenty, func(size int) []firjob.JobID { return s.listJobs(f, size) })
		}
		for name, f := range executions {
			sameList(s, "executions "+name, looks, plenty, func(size int) []firjob.ExecutionID { return s.list(f, size) })
		}
	}
	if got := s.list(executions["running"], plenty); len(got) != 5 {
		t.Errorf("%d executions run, want 5", len(got))
	}
	if got := s.list(executions["of few jobs"], plenty); len(got) != 57 {
		t.Errorf("the small app has %d executions, want 57", len(got))
	}
	if got := s.list(ports.ExecutionFilter{App: app, Job: small[0]}, plenty); len(got) != 0 {
		t.Errorf("a job of another app has %d executions in the app, want none", len(got))
	}
	if got := s.listJobs(jobs["manual"], plenty); len(got) != 8 {
		t.Errorf("%d jobs are manual, want 8", len(got))
	}
}

// smallApp makes the app "small", of three jobs, the last of them deleted, that fired
// at the last 40, 5 and 12 of the instants.
func (s *store) smallApp(at []time.Time) (jobs []firjob.JobID) {
	s.t.Helper()
	if _, err := s.CreateApp(s.t.Context(), "small", []byte("hash"), []byte("key")); err != nil {
		s.t.Fatal(err)
	}
	for i, runs := range []int{40, 5, 12} {
		job := s.job(func(j *firjob.Job) {
			j.App, j.Name, j.Misfire.Policy = "small", fmt.Sprint("small-", i), firjob.MisfireFireAll
		})
		s.plan(job, at[len(at)-runs:]...)
		jobs = append(jobs, job.ID)
	}
	if _, err := s.DeleteJob(s.t.Context(), jobs[2], func(firjob.Job) error { return nil }); err != nil {
		s.t.Fatal(err)
	}
	return jobs
}

// Jobs that an app has deleted do not make the lists of those that live slow.
func TestListsOfJobsDoNotMindDeletedOnes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "churn", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	s.jobsInBulk(30)
	for range 6 {
		job := s.job(func(j *firjob.Job) { j.App = "churn" })
		if _, err := s.DeleteJob(t.Context(), job.ID, func(firjob.Job) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	living := s.job(func(j *firjob.Job) { j.App = "churn" })
	storage.SetLooks(s.DB, 20)
	page, next, err := s.Jobs(t.Context(), ports.JobFilter{App: "churn", Enabled: new(true), PageSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(page) != 1 || page[0].ID != living.ID || next != 0 {
		t.Errorf("the first page holds %d jobs and the next begins after %d, want job %d alone", len(page), next, living.ID)
	}
}

// sameList compares a list in pages that look at few rows with one that looks at all.
func sameList[T any](s *store, what string, looks, plenty int, list func(pageSize int) []T) {
	s.t.Helper()
	storage.SetLooks(s.DB, plenty)
	want := list(plenty)
	storage.SetLooks(s.DB, looks)
	for _, size := range []int{1, 4, 50} {
		if diff := cmp.Diff(want, list(size)); diff != "" {
			s.t.Errorf("%s, %d a page that looks at %d (-want +got):\n%s", what, size, looks, diff)
		}
	}
}

// listJobs returns what a filter selects, page by page.
func (s *store) listJobs(f ports.JobFilter, pageSize int) (got []firjob.JobID) {
	s.t.Helper()
	f.PageSize = pageSize
	for {
		page, next, err := s.Jobs(s.t.Context(), f)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page) > pageSize {
			s.t.Fatalf("a page of %d holds %d jobs", pageSize, len(page))
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

package storage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// manyJobs returns jobs of the app that differ in their names.
func manyJobs(n int, change func(i int, j *firjob.Job)) []firjob.Job {
	list := make([]firjob.Job, n)
	for i := range list {
		j := firjob.NewJob()
		j.App, j.Name, j.Handler = app, fmt.Sprintf("many-%d", i), "report"
		j.Params = json.RawMessage(`{"region": "eu"}`)
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(time.Hour)}
		if change != nil {
			change(i, &j)
		}
		list[i] = j
	}
	return list
}

func (s *store) count(table string) (n int) {
	s.t.Helper()
	s.query(`SELECT count(*) FROM `+table, &n)
	return n
}

func TestCreateJobsStoresTheGoodOnes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	if _, err := s.CreateCalendar(t.Context(), firjob.Calendar{Name: "night", Mode: firjob.CalendarExclude, Weekdays: []string{"sun"}}); err != nil {
		t.Fatal(err)
	}
	jobs := manyJobs(6, func(i int, j *firjob.Job) {
		switch i {
		case 1:
			j.App = "nobody"
		case 2:
			j.Name = "many-0"
		case 3:
			j.Schedule.Calendars = []string{"night", "day"}
		case 4:
			j.Schedule, j.Parents = firjob.Schedule{Kind: firjob.ScheduleManual}, &firjob.Parents{Join: firjob.JoinAll,
				Of: []firjob.Parent{{Job: parent.ID, On: firjob.OnSuccess}, {Job: 4711, On: firjob.OnEnd}}}
		case 5:
			j.Schedule.Calendars = []string{"night"}
			j.Enabled = false
		}
	})
	jobs = append(jobs, manyJobs(1, func(_ int, j *firjob.Job) {
		j.Name, j.Schedule = "child", firjob.Schedule{Kind: firjob.ScheduleManual}
		j.Parents = &firjob.Parents{Join: firjob.JoinAll, Of: []firjob.Parent{{Job: parent.ID, On: firjob.OnSuccess}}}
	})...)
	got, err := s.CreateJobs(t.Context(), jobs, false)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(err error) (list []string) {
		var known *firjob.Error
		if errors.As(err, &known) {
			for _, f := range known.Fields {
				list = append(list, f.Field)
			}
		}
		return list
	}
	for i, want := range []struct {
		code   firjob.Code
		fields []string
	}{{}, {firjob.CodeInvalid, []string{"app"}}, {firjob.CodeConflict, nil}, {firjob.CodeInvalid, []string{"schedule.calendars[1]"}},
		{firjob.CodeInvalid, []string{"parents.of[1].job"}}, {}, {}} {
		if code := firjob.CodeOf(got[i].Err); code != want.code || !slices.Equal(fields(got[i].Err), want.fields) {
			t.Errorf("job %d: got %v, want code %q and faults of %v", i, got[i].Err, want.code, want.fields)
		}
		if got[i].Err != nil {
			continue
		}
		read, _, err := s.Job(t.Context(), got[i].Job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read, got[i].Job); diff != "" {
			t.Errorf("job %d (-read +returned):\n%s", i, diff)
		}
	}
	children, _, err := s.Jobs(t.Context(), ports.JobFilter{Parent: parent.ID, PageSize: 10})
	if err != nil || len(children) != 1 || children[0].Name != "child" {
		t.Errorf("children of the parent: got %+v, %v; want the last job", children, err)
	}
	if _, err := s.delete(parent.ID); firjob.CodeOf(err) != firjob.CodeConflict {
		t.Errorf("delete of the parent: got %v, want a conflict", err)
	}
}

func TestAnAtomicBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	jobs := manyJobs(50, func(i int, j *firjob.Job) {
		if i == 49 {
			j.App = "nobody"
		}
	})
	got, err := s.CreateJobs(t.Context(), jobs, true)
	if err != nil || got[49].Err == nil || got[0].Err != nil {
		t.Fatalf("got %v, of the last %v; want an error of the last alone", err, got[49].Err)
	}
	if n := s.count("jobs"); n != 0 {
		t.Errorf("%d jobs were stored", n)
	}
	if got, err = s.CreateJobs(t.Context(), jobs[:49], true); err != nil || got[48].Err != nil {
		t.Fatalf("got %v, %v", err, got[48].Err)
	}
	if n := s.count("jobs"); n != 49 {
		t.Errorf("%d jobs were stored, want 49", n)
	}
}

func TestTriggerMany(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Params = json.RawMessage(`{"of":"job"}`) })
	earlier, _ := s.trigger(ports.TriggerRequest{Job: job.ID, Key: "order-1", Params: json.RawMessage(`{"a":1}`)})
	now := s.now()
	list := []ports.TriggerRequest{
		{Params: json.RawMessage(`{"a":0}`)},
		{Key: "order-1", Params: json.RawMessage(`{"a":1}`)}, // as before
		{Key: "order-1", Params: json.RawMessage(`{"a":2}`)}, // another
		{Key: "order-2", Delay: 2 * time.Hour},
		{Key: "order-2", Delay: 2 * time.Hour}, // twice in one batch
		{Key: "order-2", Delay: time.Hour},
		{At: now.Add(10 * time.Second)},
	}
	for i := range list {
		list[i].Job, list[i].Horizon = job.ID, time.Minute
	}
	got, err := s.TriggerMany(t.Context(), job.ID, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		code firjob.Code
		due  bool
	}{{"", true}, {"", true}, {firjob.CodeKeyReused, false}, {"", false}, {"", false}, {firjob.CodeKeyReused, false}, {"", true}} {
		if g := got[i]; firjob.CodeOf(g.Err) != want.code || g.Due != want.due {
			t.Errorf("item %d: got %+v, want code %q, due %v", i, g, want.code, want.due)
		}
		if got[i].Err == nil {
			if diff := cmp.Diff(s.get(got[i].Execution.ID), got[i].Execution, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("item %d (-read +returned):\n%s", i, diff)
			}
		}
	}
	if got[1].Execution.ID != earlier.ID || got[3].Execution.ID != got[4].Execution.ID {
		t.Errorf("the same keys gave %v and %v, %v and %v", got[1].Execution.ID, earlier.ID, got[3].Execution.ID, got[4].Execution.ID)
	}
	if string(got[3].Execution.Params) != `{"of":"job"}` {
		t.Errorf("params: got %s, want the job's", got[3].Execution.Params)
	}
	if ran, later := s.count("executions"), s.count("later_triggers"); ran != 3 || later != 1 {
		t.Errorf("%d executions and %d for later were recorded, want 3 and 1", ran, later)
	}
	_, err = s.TriggerMany(t.Context(), 4711, list)
	wantCode(t, err, firjob.CodeNotFound)
}

// Batches of one job that bring the same keys in another order record each once.
func TestTriggerManyMeetsItself(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	const n = 500
	together(4, func(i int) {
		list := make([]ports.TriggerRequest, n)
		for k := range list {
			list[k] = ports.TriggerRequest{Job: job.ID, Key: fmt.Sprint("order-", (k+i*n/4)%n), Horizon: time.Minute}
		}
		got, err := s.TriggerMany(t.Context(), job.ID, list)
		if err != nil {
			t.Error(err)
		}
		for _, g := range got {
			if g.Err != nil || !g.Due {
				t.Errorf("got %+v", g)
			}
		}
	})
	if got := s.count("executions"); got != n {
		t.Errorf("%d executions were recorded, want %d", got, n)
	}
}

// A whole batch of one millisecond has as many ids.
func TestTriggerManyAtOneInstant(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	list := make([]ports.TriggerRequest, 10_000)
	for i := range list {
		list[i] = ports.TriggerRequest{Job: job.ID, Horizon: time.Minute}
	}
	got, err := s.TriggerMany(t.Context(), job.ID, list)
	if err != nil || len(got) != len(list) {
		t.Fatalf("got %d, %v", len(got), err)
	}
	if n := s.count("executions"); n != len(list) {
		t.Errorf("%d executions were recorded, want %d", n, len(list))
	}
}

func BenchmarkCreateJobs(b *testing.B) {
	for _, size := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newStore(b)
			for n := 0; b.Loop(); n++ {
				jobs := manyJobs(size, func(_ int, j *firjob.Job) { j.Name += fmt.Sprint(" ", n) })
				if _, err := s.CreateJobs(b.Context(), jobs, false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

func BenchmarkTriggerMany(b *testing.B) {
	for _, size := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newStore(b)
			job := s.job(nil)
			for n := 0; b.Loop(); n++ {
				list := make([]ports.TriggerRequest, size)
				for i := range list {
					list[i] = ports.TriggerRequest{Job: job.ID, Horizon: time.Minute, Key: fmt.Sprint("order-", n, "-", i)}
				}
				if _, err := s.TriggerMany(b.Context(), job.ID, list); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "triggers/s")
		})
	}
}

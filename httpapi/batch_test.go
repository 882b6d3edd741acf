package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// batch is the answer to one.
type batch struct {
	Stored, Failed int
	Items          []struct {
		Index, Status int
		Job           *firjob.Job
		JobID         firjob.JobID        `json:"job_id"`
		ExecutionID   *firjob.ExecutionID `json:"execution_id"`
		Execution     *struct {
			ID          firjob.ExecutionID
			ScheduledAt time.Time `json:"scheduled_at"`
		}
		Error *struct {
			Code   firjob.Code
			Detail string
			Errors []struct{ Location, Message string }
		}
	}
}

func (b batch) locations(i int) (list []string) {
	if b.Items[i].Error != nil {
		for _, e := range b.Items[i].Error.Errors {
			list = append(list, e.Location)
		}
	}
	slices.Sort(list)
	return list
}

func TestABatchStoresTheGoodOnes(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var got batch
	s.call("POST", "/api/v1/jobs:batch", `{"jobs":[`+soonJob+`,`+
		`{"app":"billing","priority":"high","shape":1,"schedule":{"kind":"cron","expr":"61 * * * *"},"parents":{"of":[{"job":1,"on":2}]}},`+
		`7,`+strings.Replace(goodJob, "billing", "nobody", 1)+`,null]}`).want(http.StatusOK).into(&got)
	if got.Stored != 1 || got.Failed != 4 || len(got.Items) != 5 || got.Items[0].Job == nil || got.Items[0].Job.ID != 1 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct {
		status    int
		locations []string
	}{
		{201, nil},
		{422, []string{"body.jobs[1].handler", "body.jobs[1].name", "body.jobs[1].parents.of[0].on", "body.jobs[1].priority",
			"body.jobs[1].schedule.expr", "body.jobs[1].schedule.kind", "body.jobs[1].shape"}},
		{422, []string{"body.jobs[2]"}},
		{422, []string{"body.jobs[3].app"}},
		{422, []string{"body.jobs[4]"}},
	} {
		if item := got.Items[i]; item.Index != i || item.Status != want.status || !slices.Equal(got.locations(i), want.locations) {
			t.Errorf("item %d: got status %d, faults at %v; want %d, %v", i, item.Status, got.locations(i), want.status, want.locations)
		}
	}
	if want := []string{"job 1 changed"}; !slices.Equal(s.scheduler.made, want) {
		t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, want)
	}
}

// A client that asks for it gets ids alone, and what is wrong.
func TestABatchAnswersWithIDsAlone(t *testing.T) {
	t.Parallel()
	for prefer, minimal := range map[string]bool{
		"":                                      false,
		"return=minimal":                        true,
		`respond-async, Return="minimal"; x=y`:  true,
		"return=representation":                 false,
		"return=minimalist":                     false,
		"return = minimal, return=other":        true,
		"return=representation, return=minimal": false,
	} {
		s := newSurface(t)
		var jobs, runs batch
		r := s.call("POST", "/api/v1/jobs:batch", `{"jobs":[`+soonJob+`,{}]}`, "Prefer", prefer).want(http.StatusOK)
		r.into(&jobs)
		s.call("POST", "/api/v1/jobs/1/trigger:batch", `{"items":[{}]}`, "Prefer", prefer).want(http.StatusOK).into(&runs)
		job, run := jobs.Items[0], runs.Items[0]
		if minimal != (job.Job == nil) || minimal != (job.JobID == 1) || jobs.Items[1].Error == nil {
			t.Errorf("%q: got %+v for jobs", prefer, jobs)
		}
		if minimal != (run.Execution == nil) || minimal != (run.ExecutionID != nil) {
			t.Errorf("%q: got %+v for a run", prefer, runs)
		}
		if applied := r.header.Get("Preference-Applied"); minimal != (applied == "return=minimal") || !minimal && applied != "" {
			t.Errorf("%q: the answer says that %q was applied", prefer, applied)
		}
	}
}

// The answer to a batch that is faulty throughout stays readable.
func TestAFaultyBatchHasAShortAnswer(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	r := s.call("POST", "/api/v1/jobs:batch", `{"jobs":[{}`+strings.Repeat(`,{}`, 9_999)+`]}`).want(http.StatusOK)
	var got batch
	r.into(&got)
	listed := 0
	for i := range got.Items {
		listed += len(got.locations(i))
	}
	if got.Failed != 10_000 || listed != 1000 {
		t.Errorf("%d failed, %d faults are listed, want 10000 and 1000", got.Failed, listed)
	}
	if p := s.call("POST", "/api/v1/jobs:batch", `{"atomic":true,"jobs":[{}`+strings.Repeat(`,{}`, 9_999)+`]}`).want(422).problem(); len(p.Errors) != 50 {
		t.Errorf("%d faults are listed, want 50", len(p.Errors))
	}
}

func TestTriggerBatch(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	path := s.job(goodJob)
	s.scheduler.made = nil
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	var got batch
	s.call("POST", path+"/trigger:batch", fmt.Sprintf(`{"items":[{},{"params":{"a": 1},"idempotency_key":"k1"},{"at":%q},{"at":%q,"delay":"1s","key":1},`+
		`{"idempotency_key":""},{"params":{"a":1},"idempotency_key":"k1"},{"params":{"a":2},"idempotency_key":"k1"},null]}`,
		later.Format(time.RFC3339), later.Format(time.RFC3339))).want(http.StatusOK).into(&got)
	if got.Stored != 4 || got.Failed != 4 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []struct {
		status    int
		locations []string
	}{{201, nil}, {201, nil}, {201, nil}, {422, []string{"body.items[3].delay", "body.items[3].key"}},
		{422, []string{"body.items[4].idempotency_key"}}, {201, nil}, {422, nil}, {422, []string{"body.items[7]"}}} {
		if item := got.Items[i]; item.Status != want.status || !slices.Equal(got.locations(i), want.locations) || (item.Execution != nil) != (want.status == 201) {
			t.Errorf("item %d: got %+v, faults at %v; want status %d, %v", i, item, got.locations(i), want.status, want.locations)
		}
	}
	if got.Items[1].Execution.ID != got.Items[5].Execution.ID || got.Items[6].Error.Code != firjob.CodeKeyReused {
		t.Errorf("the same key: got %+v, %+v, %+v", got.Items[1], got.Items[5], got.Items[6])
	}
	if !got.Items[2].Execution.ScheduledAt.Equal(later) {
		t.Errorf("at: got %v, want %v", got.Items[2].Execution.ScheduledAt, later)
	}
	if len(s.scheduler.made) != 1 || !strings.HasPrefix(s.scheduler.made[0], "announce") {
		t.Errorf("the scheduler was asked %v, want one announcement", s.scheduler.made)
	}
}

func BenchmarkABatchOfJobs(b *testing.B) {
	s := newSurface(&testing.T{})
	var jobs []json.RawMessage
	for i := range 1000 {
		jobs = append(jobs, json.RawMessage(strings.Replace(goodJob, "nightly", fmt.Sprint("n", i), 1)))
	}
	body, err := json.Marshal(map[string]any{"jobs": jobs})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.call("POST", "/api/v1/jobs:batch?dry_run=true", string(body)).want(http.StatusOK)
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// The scheduler is asked to plan new jobs that fire within its horizon, a minute
// from when they were made. Those of others are the scan's.
func TestNewJobsThatFireSoonArePlanned(t *testing.T) {
	t.Parallel()
	job := func(name, schedule string) string {
		return `{"app":"billing","name":"` + name + `","handler":"report","schedule":` + schedule + `}`
	}
	at := func(after time.Duration) string {
		return `{"kind":"at","at":"` + someday.Add(after).Format(time.RFC3339Nano) + `"}`
	}
	jobs := []string{
		job("soon", `{"kind":"every","interval":"59s"}`),
		job("later", `{"kind":"every","interval":"60s"}`),
		job("within", at(time.Minute-time.Millisecond)),
		job("beyond", at(time.Minute)),
		job("passed", at(-time.Second)),
		job("manual", `{"kind":"manual"}`),
		strings.Replace(job("paused", `{"kind":"every","interval":"1s"}`), `"handler"`, `"enabled":false,"handler"`, 1),
	}
	want := []string{"job 1 changed", "job 3 changed", "job 5 changed"}
	one, many := newSurface(t), newSurface(t)
	for _, j := range jobs {
		one.job(j)
	}
	many.call("POST", "/api/v1/jobs:batch", `{"atomic":true,"jobs":[`+strings.Join(jobs, ",")+`]}`).want(http.StatusOK)
	for name, s := range map[string]*surface{"one by one": one, "all at once": many} {
		if !slices.Equal(s.scheduler.made, want) {
			t.Errorf("%s: the scheduler was asked %v, want %v", name, s.scheduler.made, want)
		}
	}
}

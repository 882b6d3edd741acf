package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

type warnedJob struct{ Warnings []string }

// A Quartz expression that nobody marked as one is stored, but not without a word.
func TestAnswersToWritesCarryWarnings(t *testing.T) {
	t.Parallel()
	const job = `{"app":"billing","name":"ten","handler":"h","schedule":{"kind":"cron","expr":"0 0 10 ? * 2"}}`
	want := []string{`day-of-week "2" is Tuesday here; in the quartz dialect, which "?" suggests, it is Monday: ` +
		`write the names of the days, or set "dialect": "quartz"`}
	s := newSurface(t)
	check := func(what string, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: warnings differ (-want +got):\n%s", what, diff)
		}
	}
	var one warnedJob
	s.call("POST", "/api/v1/jobs?dry_run=true", strings.Replace(job, "ten", "dry", 1)).want(http.StatusCreated).into(&one)
	check("dry run", one.Warnings)
	created := s.call("POST", "/api/v1/jobs", job).want(http.StatusCreated)
	one = warnedJob{}
	created.into(&one)
	check("create", one.Warnings)
	path := created.header.Get("Location")
	for _, write := range []struct{ method, path, body string }{
		{"PATCH", path, `{"timeout":"5s"}`}, {"POST", path + "/pause", ""}, {"POST", path + "/resume", ""}, {"GET", path, ""},
	} {
		one = warnedJob{}
		s.call(write.method, write.path, write.body).want(http.StatusOK).into(&one)
		check(write.method+" "+write.path, one.Warnings)
	}
	var batch struct{ Items []struct{ Job warnedJob } }
	s.call("POST", "/api/v1/jobs:batch", `{"jobs":[`+strings.Replace(job, "ten", "eleven", 1)+`]}`).want(http.StatusOK).into(&batch)
	check("batch", batch.Items[0].Job.Warnings)
	one = warnedJob{}
	s.call("PATCH", path, `{"schedule":{"expr":"0 0 10 * * MON"}}`).want(http.StatusOK).into(&one)
	want = nil
	check("corrected", one.Warnings)
}

func TestAJobThatNoExecutorCanTakeIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	const job = `{"app":"billing","name":"n","handler":"h","schedule":{"kind":"manual"},"selector":{"gpu":"yes"}}`
	nobody := "no executor of app billing is alive: executions wait until one starts"
	unfit := "no live executor of app billing has the labels of the selector: executions wait until one has"
	for i, tt := range []struct {
		executors []ports.ExecutorView
		want      []string
	}{
		{[]ports.ExecutorView{}, []string{nobody}},
		{[]ports.ExecutorView{{Live: false}}, []string{nobody}}, // only marked
		{[]ports.ExecutorView{{Live: true}}, []string{unfit}},
		{[]ports.ExecutorView{{Live: true, Executor: firjob.Executor{Labels: map[string]string{"gpu": "yes"}}}}, nil},
	} {
		s.scheduler.executors = tt.executors
		var got warnedJob
		s.call("POST", "/api/v1/jobs", strings.Replace(job, `"n"`, `"n`+string(rune('a'+i))+`"`, 1)).want(http.StatusCreated).into(&got)
		if diff := cmp.Diff(tt.want, got.Warnings); diff != "" {
			t.Errorf("%d: warnings differ (-want +got):\n%s", i, diff)
		}
	}
}

package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// asked at a terminal, somebody answers.
func (f *fakeAPI) answered(t *testing.T, word string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &console.Process{Stdin: strings.NewReader(word + "\n"), Stdout: &stdout, Stderr: &stderr, Asks: true, Zone: time.UTC,
		Env: func(name string) string { return map[string]string{"FIRJOB_SERVER_URL": f.URL}[name] },
		Now: func() time.Time { return testNow }}
	code := run(t.Context(), p, args)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestSeveralAreAskedFor(t *testing.T) {
	t.Parallel()
	const two = `{"id":7,"app":"billing","name":"sync"}`
	selected := listOf(`{"id":42,"app":"billing","name":"nightly","last":{"state":"failed"}}`, two)
	tests := []struct {
		name, word string
		args       []string
		answers    []answer
		code       int
		says       []string // in stdout and stderr
		asks       []string // requests
	}{
		{"yes", "y", []string{"job", "pause", "--app", "billing"}, []answer{selected, ok(`{}`)}, exitOK,
			[]string{"  billing/nightly (42)\n  billing/sync (7)\nPause 2 jobs? [y/N] ", "2 jobs were paused.\n"},
			[]string{"GET /api/v1/jobs?app=billing&last=true&page_size=500", "POST /api/v1/jobs/42/pause", "POST /api/v1/jobs/7/pause"}},
		{"no", "", []string{"job", "pause", "--app", "billing"}, []answer{selected}, exitFailure, []string{"nothing was changed"},
			[]string{"GET /api/v1/jobs?app=billing&last=true&page_size=500"}},
		{"none", "", []string{"job", "resume", "--query", "x"}, []answer{listOf()}, exitOK, []string{"There are no such jobs."},
			[]string{"GET /api/v1/jobs?last=true&page_size=500&q=x"}},
		{"failing", "yes", []string{"job", "pause", "--failing"}, []answer{selected, ok(`{}`)}, exitOK, []string{"1 job was paused."},
			[]string{"GET /api/v1/jobs?last=true&page_size=500", "POST /api/v1/jobs/42/pause"}},
		{"deleting one", "y", []string{"job", "delete", "42"}, []answer{ok(`{}`), {status: http.StatusNoContent}}, exitOK,
			[]string{"Delete 1 job? [y/N] ", "Job 42 was deleted."}, []string{"GET /api/v1/jobs/42", "DELETE /api/v1/jobs/42"}},
		{"a refusal among them", "", []string{"execution", "cancel", "--yes", anExecution, manualExecution},
			[]answer{{http.StatusConflict, `{"title":"Conflict"}`}, ok(`{}`)}, exitFailure,
			[]string{"firjob: " + anExecution + ": Conflict\n", "1 execution was cancelled.", "1 execution was refused"},
			[]string{"POST /api/v1/executions/" + anExecution + "/cancel", "POST /api/v1/executions/" + manualExecution + "/cancel"}},
		{"what is open", "y", []string{"execution", "cancel", "--job", "42"}, []answer{listOf()}, exitOK, []string{"There are no such executions."},
			[]string{"GET /api/v1/executions?job=42&page_size=500&state=planned%2Crunning"}},
		{"what failed", "y", []string{"execution", "retry", "--app", "billing"}, []answer{listOf()}, exitOK, nil,
			[]string{"GET /api/v1/executions?app=billing&page_size=500&state=failed%2Ctimed_out%2Clost"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, tt.answers...)
			got := api.answered(t, tt.word, tt.args...)
			for _, part := range tt.says {
				if !strings.Contains(got.stdout+got.stderr, part) {
					t.Errorf("stdout %q, stderr %q; want %q", got.stdout, got.stderr, part)
				}
			}
			var asks []string
			for _, r := range api.requests() {
				asks = append(asks, r.Method+" "+r.URI)
			}
			if diff := cmp.Diff(tt.asks, asks); diff != "" || got.code != tt.code {
				t.Errorf("exit code %d, want %d; requests (-want +got):\n%s", got.code, tt.code, diff)
			}
		})
	}
}

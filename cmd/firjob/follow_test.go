package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// stage returns an answer about an execution in some state.
func stage(members string) answer {
	return ok(`{"id":"` + manualExecution + `","job_id":42,"job":"nightly-report",` + members + `}`)
}

func TestTriggerWait(t *testing.T) {
	t.Parallel()
	planned := stage(`"state":"planned"`)
	running := stage(`"state":"running","attempt":1`)
	named := stage(`"state":"running","attempt":1,"executor":"10.0.0.7:9999"`)
	again := stage(`"state":"planned","attempt":1,"reason":"disk is full"`)
	times := `"started_at":"2026-11-22T06:00:00.100Z","finished_at":"2026-11-22T06:00:01.350Z"`
	succeeded := stage(`"state":"succeeded","attempt":1,"executor":"10.0.0.7:9999",` + times)
	failed := stage(`"state":"failed","attempt":2,"reason":"disk is full",` + times)
	down := answer{http.StatusServiceUnavailable, `{"title":"Service Unavailable"}`}
	gone := answer{http.StatusNotFound, `{"title":"Not Found"}`}
	tests := []struct {
		name    string
		answers []answer
		code    int
		stderr  string
	}{
		{"succeeded", []answer{planned, planned, running, named, named, succeeded}, exitOK, ""},
		{"failed", []answer{planned, named, again, failed}, exitFailure, "firjob: execution " + manualExecution + " ended as failed: disk is full\n"},
		{"server-restarts", []answer{planned, down, down, succeeded}, exitOK, ""},
		{"gone", []answer{planned, gone}, exitFailure, "firjob: Not Found\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newFakeAPI(t, tt.answers...)
			got := api.ran(t, nil, "", "job", "trigger", "42", "--wait")
			if got.code != tt.code || got.stderr != tt.stderr {
				t.Errorf("exit code %d, stderr %q; want %d, %q", got.code, got.stderr, tt.code, tt.stderr)
			}
			golden(t, "wait-"+tt.name, got.stdout)
			for _, r := range api.requests()[1:] {
				if want := "/api/v1/executions/" + manualExecution; r.Method != "GET" || r.URI != want {
					t.Errorf("asked %s %s, want GET %s", r.Method, r.URI, want)
				}
			}
		})
	}
}

func TestTriggerWaitInAZone(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, stage(`"state":"planned"`), stage(`"state":"succeeded"`))
	got := api.ran(t, nil, "", "job", "trigger", "42", "--wait", "--timezone", "Asia/Shanghai")
	if want := "14:00:00  " + manualExecution + "  planned\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("got %+v, want the time in Shanghai: %s", got, want)
	}
}

func TestTriggerWaitJSON(t *testing.T) {
	t.Parallel()
	last := stage(`"state":"succeeded"`)
	got := newFakeAPI(t, stage(`"state":"planned"`), last).ran(t, nil, "", "job", "trigger", "42", "--wait", "-o", "json")
	if got.code != exitOK || got.stdout != indented(t, last.body) {
		t.Errorf("exit code %d, stdout %s; want 0 and the last answer alone", got.code, got.stdout)
	}
	if !strings.Contains(got.stderr, "succeeded") {
		t.Errorf("stderr is %q; want the changes of state", got.stderr)
	}
}

func TestTriggerWaitInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := newFakeAPI(t, stage(`"state":"planned"`))
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			cancel() // the user's Ctrl-C, while the command waits
		}
		server.serve(w, r)
	})
	got := ran(ctx, map[string]string{"FIRJOB_SERVER_URL": server.URL}, "", "job", "trigger", "42", "--wait")
	if got.code != exitFailure || got.stderr != "firjob: interrupted\n" {
		t.Errorf("exit code %d, stderr %q; want 1, \"firjob: interrupted\"", got.code, got.stderr)
	}
}

package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// A fault that does not pass ends the watching.
func TestWatchOfNothing(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, answer{http.StatusNotFound, `{"title":"Not Found"}`})
	if got := api.ran(t, nil, "", "execution", "get", anExecution, "--watch"); got.code != exitFailure || got.stderr != "firjob: Not Found\n" {
		t.Errorf("exit code %d, stderr %q; want 1 and the reason", got.code, got.stderr)
	}
}

// Colours are for terminals, unless somebody says otherwise.
func TestColours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		width int
		env   string
		args  string
		want  bool
	}{
		{0, "", "", false}, {100, "", "", true}, {100, "1", "", false}, {0, "1", "--color always", true}, {100, "", "--color never", false},
	} {
		api := newFakeAPI(t, ok(answerFile(t, "executions")))
		var stdout bytes.Buffer
		p := &console.Process{Stdout: &stdout, Stderr: &stdout, Width: tt.width, Now: func() time.Time { return testNow },
			Env: func(name string) string {
				return map[string]string{"NO_COLOR": tt.env, "FIRJOB_SERVER_URL": api.URL}[name]
			}}
		code := run(t.Context(), p, append([]string{"execution", "list"}, strings.Fields(tt.args)...))
		if got := strings.Contains(stdout.String(), "\x1b[32msucceeded"); got != tt.want || code != exitOK {
			t.Errorf("width %d, NO_COLOR %q, %q: exit code %d and\n%s", tt.width, tt.env, tt.args, code, stdout.String())
		}
	}
}

package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// With --watch a command shows its answer again and again, in place on a terminal,
// also when the server is away meanwhile, until it is interrupted.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		width int
		want  string
	}{
		"a terminal": {100, "\x1b[H\x1b[JA\n\x1b[H\x1b[J\x1b[H\x1b[JA\n"},
		"a file":     {0, "A\n\n\nA\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				var stdout, stderr bytes.Buffer
				p := &process{stdout: &stdout, stderr: &stderr, width: tt.width, now: time.Now}
				turn, begin := 0, time.Now()
				err := watchFlag{Watch: true}.watch(ctx, p, new(output), func() error {
					switch turn++; turn {
					case 2:
						return &problem{Status: http.StatusServiceUnavailable, Title: "away"}
					case 3:
						defer cancel()
					}
					_, err := stdout.WriteString("A\n")
					return err
				})
				if err != nil || stdout.String() != tt.want || !strings.Contains(stderr.String(), "away") {
					t.Errorf("%v, stdout %q, stderr %q; want %q", err, stdout.String(), stderr.String(), tt.want)
				}
				if took := time.Since(begin); took != 2*watchPause {
					t.Errorf("three turns took %v, want %v", took, 2*watchPause)
				}
			})
		})
	}
}

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
		p := &process{stdout: &stdout, stderr: &stdout, width: tt.width, now: func() time.Time { return testNow },
			env: func(name string) string {
				return map[string]string{"NO_COLOR": tt.env, "FIRJOB_SERVER_URL": api.URL}[name]
			}}
		code := run(t.Context(), p, append([]string{"execution", "list"}, strings.Fields(tt.args)...))
		if got := strings.Contains(stdout.String(), "\x1b[32msucceeded"); got != tt.want || code != exitOK {
			t.Errorf("width %d, NO_COLOR %q, %q: exit code %d and\n%s", tt.width, tt.env, tt.args, code, stdout.String())
		}
	}
}

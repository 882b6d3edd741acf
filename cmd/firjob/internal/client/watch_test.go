package client

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
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
				p := &console.Process{Stdout: &stdout, Stderr: &stderr, Width: tt.width, Now: time.Now}
				turn, begin := 0, time.Now()
				err := WatchFlag{Watch: true}.Repeat(ctx, p, new(console.Output), func() error {
					switch turn++; turn {
					case 2:
						return &Problem{Status: http.StatusServiceUnavailable, Title: "away"}
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

package scheduler

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTroublesAreToldOnceThenSeldomThenOver(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	now := time.Unix(1000, 0)
	tr := newTroubles(slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return now })
	tr.report(t.Context(), "read the clock", nil) // nothing to tell
	for range 250 {
		tr.report(t.Context(), "read the clock", errors.New("down"))
		now = now.Add(100 * time.Millisecond)
	}
	tr.report(t.Context(), "read the clock", nil)
	tr.report(t.Context(), "read the clock", nil)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("25 s of trouble and its end made %d lines, want 4:\n%s", len(lines), text.String())
	}
	for i, want := range []string{"read the clock: failed", "still fails", "still fails", "works again"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
		}
	}
}

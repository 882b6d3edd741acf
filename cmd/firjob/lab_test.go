package main

import (
	"strings"
	"testing"
)

func TestBenchAndChaosSayWhatToRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, args := range [][]string{{"bench", "throughput", "--rate", "5"}, {"bench"}, {"chaos", "--help"}} {
		got := ran(t.Context(), nil, "", args...)
		if want := "go run ./cmd/firjob-lab " + args[0]; got.code != exitFailure || !strings.Contains(got.stderr, want) {
			t.Errorf("firjob %v: %+v; want exit code 1 and %q", args, got, want)
		}
	}
}

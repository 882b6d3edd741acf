package main

import (
	"strings"
	"testing"
)

func TestAnUnquotedExpressionGetsAHint(t *testing.T) {
	t.Parallel()
	const hint = "put the cron expression in quotes"
	for line, want := range map[string]string{
		"job create nightly --app b --handler h --cron 0 2 * * *": hint + `, as in --cron "0 2 * * *"`,
		"job create --app b --cron 0 2 README.md docs go.mod 1-5": hint,
		"job edit --cron 0 2 * * * 42":                            hint,
		"schedule preview */5 * * * * --timezone UTC":             hint + `, as in "0 2 * * *"`,
		"job create a b --cron @daily":                            "",
		"job create --cron @daily a b c":                          "",
		"schedule preview @daily b":                               "",
		"job list a b c d e":                                      "",
	} {
		got := ran(t.Context(), nil, "", strings.Fields(line)...)
		if got.code != exitUsage || strings.Contains(got.stderr, hint) != (want != "") || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: exit code %d, stderr %q; want %d and %q", line, got.code, got.stderr, exitUsage, want)
		}
	}
}

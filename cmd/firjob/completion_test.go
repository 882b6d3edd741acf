package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompletions(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"jo":                                   "job",
		"job pa":                               "pause",
		"execution ":                           "cancel explain get list logs retry tree",
		"job list --kind ":                     "at cron delay every manual",
		"job list --kind c":                    "cron",
		"--server x job backfill st":           "start",
		"job list --tim":                       "--timezone",
		"job list --kind cron --failing --rou": "--route",
		"job -o j":                             "json",
		"job get ":                             "",
		"compl":                                "completion",
	} {
		got := ran(t.Context(), nil, "", append([]string{"complete", "--"}, strings.Split(line, " ")...)...)
		if diff := cmp.Diff(want, strings.Join(strings.Fields(got.stdout), " ")); diff != "" || got.code != exitOK {
			t.Errorf("%q: exit code %d, stderr %q, (-want +got):\n%s", line, got.code, got.stderr, diff)
		}
	}
}

// The shells read their scripts, as far as they are installed; bash is.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := ran(t.Context(), nil, "", "completion", shell)
		if script.code != exitOK || !strings.Contains(script.stdout, "firjob complete --") {
			t.Errorf("%s: exit code %d, %q", shell, script.code, script.stdout)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		check := exec.CommandContext(t.Context(), path, "-n")
		check.Stdin = strings.NewReader(script.stdout)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s does not read its script: %v\n%s", shell, err, out)
		}
	}
}

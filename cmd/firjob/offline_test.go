package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/internal/tzdata"
)

func TestSchedulePreview(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, args string }{
		{"cron", "0_2_*_*_* --timezone Asia/Shanghai -n 3"},
		{"cron-json", "0_2_*_*_* --timezone Asia/Shanghai -n 2 -o json"},
		{"gap", "30_2_*_*_* --timezone America/New_York --from 2027-03-12T00:00:00Z -n 4"},
		{"gap-skip", "30_2_*_*_* --timezone America/New_York --from 2027-03-12T00:00:00Z -n 3 --gap skip"},
		{"twice", "30_1_*_*_* --timezone America/New_York --from 2027-11-06T00:00:00Z -n 3 --overlap-hour twice"},
		{"half-hour", "0_2_*_*_* --timezone Australia/Lord_Howe --from 2027-04-02T00:00:00Z -n 3"},
		{"every", "--every 1h30m -n 2"},
		{"delay", "--delay 30s"},
		{"at", "--at 2027-01-01T00:00:00Z"},
		{"at-past", "--at 2020-01-01T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"schedule", "preview"}
			for _, arg := range strings.Fields(tt.args) {
				if strings.Contains(arg, "_*") {
					arg = strings.ReplaceAll(arg, "_", " ")
				}
				args = append(args, arg)
			}
			got := ran(t.Context(), nil, "", args...)
			if got.code != exitOK || got.stderr != "" {
				t.Fatalf("exit code %d, stderr %q; want 0 and nothing", got.code, got.stderr)
			}
			golden(t, "preview-"+tt.name, got.stdout)
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	none := func(string) string { return "" }
	code := realMain(t.Context(), []string{"version", "-o", "json"}, strings.NewReader(""), &stdout, &stderr, none)
	var got map[string]string
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || code != exitOK {
		t.Fatalf("exit code %d, stdout %s: %v", code, stdout.String(), err)
	}
	if got["version"] == "" || !strings.HasPrefix(got["go"], "go1.") || got["tzdata"] != tzdata.Version {
		t.Errorf("version is %v; want at least a version, Go's, and that of the time zones", got)
	}
}

func TestVersionOfServer(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"version":"v1.2.3","commit":"abc","built":"2026-11-01T00:00:00Z","go":"go1.26.8","tzdata":"2025b"}`))
	got := ran(t.Context(), map[string]string{"FIRJOB_TOKEN": aToken}, "", "version", "--server", api.URL)
	if want := "v1.2.3, commit abc of 2026-11-01T00:00:00Z, go1.26.8, time zones 2025b"; got.code != exitOK || !strings.Contains(got.stdout, want) {
		t.Errorf("exit code %d, stdout %q; want 0 and %q", got.code, got.stdout, want)
	}
	if diff := cmp.Diff([]asked{{Method: "GET", URI: "/version"}}, api.requests()); diff != "" {
		t.Errorf("requests differ (-want +got):\n%s", diff)
	}
}

// Each command of the API's client has an example in its help.
func TestHelp(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(console.Process), new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		if leaf.ClosestGroup() == nil || leaf.ClosestGroup().Key != "Use it:" {
			continue
		}
		t.Run(leaf.Path(), func(t *testing.T) {
			t.Parallel()
			got := ran(t.Context(), nil, "", append(commandOf(leaf), "--help")...)
			if got.code != exitOK || got.stderr != "" {
				t.Errorf("exit code %d, stderr %q; want 0 and nothing", got.code, got.stderr)
			}
			if !strings.Contains(got.stdout, "    firjob "+strings.Join(commandOf(leaf), " ")) {
				t.Errorf("help has no example:\n%s", got.stdout)
			}
		})
	}
}

// The help of each command names the variable of every flag that has one.
func TestHelpNamesTheVariables(t *testing.T) {
	t.Parallel()
	parser, err := newParser(new(console.Process), new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		all := leaf.AllFlags(true) // writes to the nodes that the leaves share
		t.Run(leaf.Path(), func(t *testing.T) {
			t.Parallel()
			help := ran(t.Context(), nil, "", append(commandOf(leaf), "--help")...).stdout
			if strings.Contains(help, ",...,...") {
				t.Errorf("a placeholder says twice that values may follow:\n%s", help)
			}
			for _, flags := range all {
				for _, flag := range flags {
					if len(flag.Envs) > 0 && !strings.Contains(help, "$"+flag.Envs[0]) {
						t.Errorf("--%s: the help does not name %s:\n%s", flag.Name, flag.Envs[0], help)
					}
				}
			}
		})
	}
	golden(t, "help-worker", ran(t.Context(), nil, "", "worker", "--help").stdout)
}

// commandOf returns the words that select a command.
func commandOf(node *kong.Node) []string {
	if node.Parent == nil {
		return nil
	}
	return append(commandOf(node.Parent), node.Name)
}

func TestHelpOfTheWhole(t *testing.T) {
	t.Parallel()
	got := ran(t.Context(), nil, "", "--help")
	if got.code != exitOK || !strings.Contains(got.stdout, "schedule preview") {
		t.Errorf("exit code %d, stdout:\n%s\nwant 0 and the commands", got.code, got.stdout)
	}
	if bare := ran(t.Context(), nil, ""); bare.code != exitUsage || bare.stdout != got.stdout {
		t.Errorf("without arguments: exit code %d; want 2 and the help", bare.code)
	}
}

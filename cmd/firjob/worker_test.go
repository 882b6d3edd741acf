package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

func TestLabelsOfTheWorker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, variable string
		args           []string
		want           map[string]string
		fault          string
	}{
		{name: "none"},
		{name: "flags", args: []string{"--label", "zone=eu-1", "--label", "gpu=a100"}, want: map[string]string{"zone": "eu-1", "gpu": "a100"}},
		{name: "variable", variable: "zone=eu-1,gpu=a=b", want: map[string]string{"zone": "eu-1", "gpu": "a=b"}},
		{name: "a flag goes first", variable: "zone=eu-1", args: []string{"--label=zone=us-2"}, want: map[string]string{"zone": "us-2"}},
		{name: "no value", variable: "zone", fault: `expected "<key>=<value>" but got "zone"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var line commandLine
			p := &console.Process{Env: func(name string) string {
				if name == "FIRJOB_LABELS" {
					return test.variable
				}
				return ""
			}}
			parser, err := newParser(p, &line)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parser.Parse(append([]string{"worker", "--app", "demo"}, test.args...))
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Fatalf("error %v, want %q", err, test.fault)
				}
				return
			}
			if diff := cmp.Diff(test.want, line.Worker.Labels); err != nil || diff != "" {
				t.Errorf("error %v, labels (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestFaultyLabelsAreNamed(t *testing.T) {
	t.Parallel()
	got := ran(t.Context(), map[string]string{"FIRJOB_LABELS": "zo ne=1"}, "", "worker", "--app", "demo", "--app-secret", strings.Repeat("x", 32), "--spool-dir", t.TempDir())
	if got.code != exitUsage || !strings.Contains(got.stderr, `Labels: "zo ne" is not the name of a label`) {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
}

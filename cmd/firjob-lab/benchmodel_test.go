package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const aBenchmark = `{"bench": "throughput", "executions": 200000, "seconds": 10,
	"cpu_seconds": {"postgres": 10, "redis": 2, "servers": 5, "workers": 3}, "rss_mb": {"servers": 80, "workers": 90},
	"settings": {"servers": 1, "workers": 1}}`

func TestModelOfAMeasurement(t *testing.T) {
	t.Parallel()
	got := ran(t.Context(), aBenchmark, "bench", "model", "--rate", "2500", "--jobs", "10k", "--retention", "36h", "--payload", "1.5KB",
		"--result", "200B", "--handler-time", "2s", "--handler-cpu", "5ms", "--spare", "0", "--input", "-")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("exit code %d, stderr %q; want 0 and nothing", got.code, got.stderr)
	}
	golden(t, "bench-model", got.stdout)
}

func TestModelAsJSON(t *testing.T) {
	t.Parallel()
	got := ran(t.Context(), "", "bench", "model", "--rate", "1k", "-o", "json", "--input", tempFile(t, aBenchmark))
	var plan struct {
		Load  struct{ Jobs float64 }
		Lines []struct {
			Part, Name string
			Value      float64
		}
		Topology struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(got.stdout), &plan); err != nil || got.code != exitOK {
		t.Fatalf("exit code %d, stdout %s: %v", got.code, got.stdout, err)
	}
	if plan.Load.Jobs != 1000 || len(plan.Lines) < 20 || plan.Lines[0].Part == "" || plan.Topology.Kind == "" {
		t.Errorf("got %+v; want as many jobs as the rate, all lines, and a topology", plan)
	}
}

func TestModelRefuses(t *testing.T) {
	t.Parallel()
	lossy := strings.Replace(aBenchmark, `"seconds"`, `"lost": 3, "seconds"`, 1)
	tests := []struct{ name, stdin, args, want string }{
		{"no rate", "", "", "--rate"},
		{"a rate of nothing", "", "--rate 0", "rate is 0"},
		{"a rate with another prefix", "", "--rate 1m", `"1m" is not a number such as`},
		{"a size without a unit", "", "--rate 1k --payload 1000", `"1000" is not a size such as`},
		{"a span without a unit", "", "--rate 1k --retention 30", `"30" is not a duration such as`},
		{"a short retention", "", "--rate 1k --retention 1h", "retention is 1h0m0s"},
		{"too many jobs", "", "--rate 1k --jobs 3G", "jobs is 3000000000"},
		{"no jobs", "", "--rate 1k --jobs 0", "jobs is 0"},
		{"no measurement", "", "--rate 1k --input -", "standard input does not hold what"},
		{"one that did not hold", lossy, "--rate 1k --input -", "3 lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ran(t.Context(), tt.stdin, append([]string{"bench", "model"}, strings.Fields(tt.args)...)...)
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want 2, nothing, and %q", got.code, got.stdout, got.stderr, tt.want)
			}
		})
	}
	got := ran(t.Context(), "", "bench", "model", "--rate", "1k", "--input", "/nowhere/bench.json")
	if got.code != exitFailure || !strings.Contains(got.stderr, "read the measurement") {
		t.Errorf("of a file that is not there: exit code %d, stderr %q; want 1 and what was tried", got.code, got.stderr)
	}
}

var modelOutput = regexp.MustCompile("(?s)```text\n\\$ firjob (bench model [^\n]*)\n(.*?)```")

// The worked sizes of docs/scaling.md are what the command says. -update writes
// them anew.
func TestScalingDocumentShowsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	const path = "../../docs/scaling.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	now := modelOutput.ReplaceAllStringFunc(string(text), func(block string) string {
		shown++
		command := modelOutput.FindStringSubmatch(block)[1]
		got := ran(t.Context(), "", strings.Fields(command)...)
		if got.code != exitOK {
			t.Errorf("firjob %s: exit code %d, stderr %q", command, got.code, got.stderr)
		}
		return "```text\n$ firjob " + command + "\n" + got.stdout + "```"
	})
	if shown != 3 {
		t.Errorf("%s shows %d runs of firjob bench model, want 3", path, shown)
	}
	if *update {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if now != string(text) {
		t.Errorf("%s shows other sizes than the model: run the test with -update", path)
	}
}

package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what tests compare with anew")

// outcome is what a run of the program left.
type outcome struct {
	code           int
	stdout, stderr string
}

func ran(ctx context.Context, stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	p := &process{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, now: time.Now}
	code := p.run(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("output differs from %s (-want +got):\n%s", path, diff)
	}
}

func tempFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelp(t *testing.T) {
	t.Parallel()
	got := ran(t.Context(), "", "--help")
	if got.code != exitOK || !strings.Contains(got.stdout, "bench throughput") || strings.Contains(got.stdout, "worker") {
		t.Errorf("got %+v; want the benchmarks and not the processes under test", got)
	}
}

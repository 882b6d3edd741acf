package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

func spoolItem(n, size int) *item {
	line, _, err := encodeResult(firjob.Result{
		ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: int64(n + 1), Outcome: firjob.OutcomeFailed,
		Error: string(bytes.Repeat([]byte("<"), size)),
	})
	if err != nil {
		panic(err)
	}
	return &item{ref: firjob.AttemptRef{ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: int64(n + 1)}, line: line}
}

// openSmall opens a spool whose segments take a few results only.
func openSmall(t rapid.TB, dir string) (*spool, []*item) {
	t.Helper()
	s, left, err := openSpool(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 1000
	return s, left
}

// Whatever is written and acknowledged in whatever order: opening the spool
// again finds what is not acknowledged, all of it, and of the rest only what
// shares a segment with that; and the folder stays small.
func TestSpoolKeepsWhatIsOutstanding(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		s, left := openSmall(t, dir)
		if len(left) > 0 {
			t.Fatalf("a new spool holds %d items", len(left))
		}
		var outstanding []*item
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var items []*item
				for range rapid.IntRange(1, 5).Draw(t, "items") {
					items = append(items, spoolItem(n, rapid.SampledFrom([]int{0, 100, 500}).Draw(t, "size")))
					n++
				}
				if err := s.append(items); err != nil {
					t.Fatal(err)
				}
				outstanding = append(outstanding, items...)
			},
			"done": func(t *rapid.T) {
				if len(outstanding) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(outstanding)-1).Draw(t, "which")
				if err := s.done(outstanding[i : i+1]); err != nil {
					t.Fatal(err)
				}
				outstanding = slices.Delete(outstanding, i, i+1)
			},
			"reopen": func(t *rapid.T) {
				if err := s.close(); err != nil {
					t.Fatal(err)
				}
				var left []*item
				s, left = openSmall(t, dir)
				found := make(map[firjob.AttemptRef]bool)
				for _, it := range left {
					found[it.ref] = true
				}
				for _, it := range outstanding {
					if !found[it.ref] {
						t.Fatalf("%v is lost", it.ref)
					}
				}
				outstanding = left
			},
			"": func(t *rapid.T) {
				files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
				if len(files) > len(outstanding)+1 {
					t.Fatalf("%d files for %d results", len(files), len(outstanding))
				}
			},
		})
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSpoolUnderLoadStaysSmall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := openSmall(t, dir)
	defer s.close()
	var previous []*item // something is always outstanding
	for n := range 200 {
		items := []*item{spoolItem(n, 300)}
		if err := s.append(items); err != nil {
			t.Fatal(err)
		}
		if err := s.done(previous); err != nil {
			t.Fatal(err)
		}
		previous = items
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) > 2 {
		t.Errorf("%d files after 200 results of 500 bytes: %v", len(files), files)
	}
}

func TestSpoolToleratesTornLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := append(spoolItem(1, 0).line, '\n')
	for name, text := range map[string][]byte{
		"0000000001.jsonl": append(slices.Clone(good), []byte(`{"id":"018b`)...),
		"0000000002.jsonl": good[:len(good)-1], // complete but for its end: may be cut inside a number
		"0000000003.jsonl": nil,
		"0000000004.jsonl": append([]byte("\x00\x00\n"), append(spoolItem(4, 0).line, '\n')...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, left, err := openSpool(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if len(left) != 2 || left[0].ref.Token != 2 || left[1].ref.Token != 5 {
		t.Errorf("found %+v", left)
	}
	if err := s.done(left); err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")); len(files) != 1 || filepath.Base(files[0]) != "0000000005.jsonl" {
		t.Errorf("left over: %v", files)
	}
}

// A result that is read back is as it was, and its own JSON is in memory once.
func TestASpooledResultIsReadBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := firjob.Result{ID: firjob.Fire(7, time.UnixMilli(1)), Token: 1, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"token":1}`)}
	line, _, err := encodeResult(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0000000001.jsonl"), append(line, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	s, left, err := openSpool(dir, slog.New(slog.DiscardHandler))
	if err != nil || len(left) != 1 {
		t.Fatalf("found %d items, %v", len(left), err)
	}
	defer s.close()
	got := left[0]
	if diff := cmp.Diff(want, got.result); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at := bytes.Index(got.line, got.result.Result); &got.line[at] != &got.result.Result[0] {
		t.Error("the result's own JSON is in memory twice")
	}
}

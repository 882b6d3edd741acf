package judge_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/scripts/peers/judge"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// at is a moment, in seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// ran is a handler of the key that starts at a moment and ends at once.
func ran(key, exec string, attempt int, start float64) []judge.Line {
	return []judge.Line{
		{At: at(start), Event: judge.Start, Key: key, Exec: exec, Attempt: attempt},
		{At: at(start), Event: judge.End, Key: key, Exec: exec, Attempt: attempt},
	}
}

// named is ran by a system that says when the execution was due.
func named(key, exec string, start, due float64) []judge.Line {
	lines := ran(key, exec, 1, start)
	lines[0].Due = at(due)
	return lines
}

func join(parts ...[]judge.Line) (all []judge.Line) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// minutely are targets of one key at noon and the minutes after it.
func minutely(n int) (list []judge.Target) {
	for i := range n {
		list = append(list, judge.Target{Key: "tick", Due: at(60 * float64(i)), Window: time.Minute})
	}
	return list
}

func TestJudge(t *testing.T) {
	t.Parallel()
	once := []judge.Target{{Key: "task", Due: at(1)}}
	start := func(attempt int, seconds float64) judge.Line {
		return judge.Line{At: at(seconds), Event: judge.Start, Key: "task", Exec: "a", Attempt: attempt}
	}
	end := func(seconds float64) judge.Line {
		return judge.Line{At: at(seconds), Event: judge.End, Key: "task", Exec: "a"}
	}
	tests := map[string]struct {
		targets []judge.Target
		lines   []judge.Line
		want    judge.Verdict
	}{
		"nothing ran": {
			minutely(2), nil,
			judge.Verdict{Expected: 2, Missed: 2},
		},
		"each once": {
			minutely(2), join(ran("tick", "a", 1, 0.5), ran("tick", "b", 1, 60.25)),
			judge.Verdict{Expected: 2, WorstLate: 500 * time.Millisecond},
		},
		"two in one window": {
			minutely(2), join(ran("tick", "a", 1, 0), ran("tick", "b", 1, 1), ran("tick", "c", 1, 60)),
			judge.Verdict{Expected: 2, Doubled: 1},
		},
		"a late one fills its gap and is no double": {
			minutely(3), join(ran("tick", "a", 1, 0), ran("tick", "b", 1, 120), ran("tick", "c", 1, 121)),
			judge.Verdict{Expected: 3, WorstLate: 61 * time.Second},
		},
		"a double fills no gap to come": {
			minutely(2), join(ran("tick", "a", 1, 0), ran("tick", "b", 1, 1)),
			judge.Verdict{Expected: 2, Missed: 1, Doubled: 1},
		},
		"one id for every fire": {
			minutely(2), join(ran("tick", "tick", 1, 0), ran("tick", "tick", 1, 60)),
			judge.Verdict{Expected: 2},
		},
		"the system names the instant": {
			minutely(2), join(named("tick", "a", 90, 0), named("tick", "b", 60, 60)),
			judge.Verdict{Expected: 2, WorstLate: 90 * time.Second},
		},
		"the same instant named twice": {
			minutely(2), join(named("tick", "a", 0, 0), named("tick", "b", 70, 0), named("tick", "c", 60, 60)),
			judge.Verdict{Expected: 2, Doubled: 1},
		},
		"outside the span": {
			minutely(1), join(ran("tick", "a", 1, -1), ran("tick", "b", 1, 0), ran("tick", "c", 1, 60)),
			judge.Verdict{Expected: 1},
		},
		"another key": {
			minutely(1), ran("tock", "a", 1, 0),
			judge.Verdict{Expected: 1, Missed: 1},
		},
		"early": {
			once, ran("task", "a", 1, 0.5),
			judge.Verdict{Expected: 1, Early: 1},
		},
		"run again after a lost attempt": {
			once, []judge.Line{start(1, 1), start(2, 11), end(12)},
			judge.Verdict{Expected: 1, Rerun: 1, RerunFrom: 9 * time.Second, RerunTo: 9 * time.Second},
		},
		"both attempts ran to their end": {
			once, []judge.Line{start(1, 1), start(2, 11), end(12), end(13)},
			judge.Verdict{Expected: 1, Doubled: 1, Rerun: 1, RerunFrom: 9 * time.Second, RerunTo: 9 * time.Second},
		},
		"never run to its end": {
			once, []judge.Line{start(1, 1)},
			judge.Verdict{Expected: 1, Stuck: 1},
		},
		"aborted, then done": {
			once, []judge.Line{start(1, 1), {At: at(2), Event: judge.Abort, Key: "task", Exec: "a", Attempt: 1}, start(2, 3), end(4)},
			judge.Verdict{Expected: 1, Rerun: 1, RerunFrom: time.Second, RerunTo: time.Second},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge.Judge(judge.Case{Targets: tt.targets, Lines: tt.lines, Fault: at(2)})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinesOfTwoWriters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lines")
	if lines, err := judge.Read(path); err != nil || len(lines) != 0 {
		t.Fatalf("a file that is not there: %d lines, %v; want none", len(lines), err)
	}
	for _, key := range []string{"a", "b"} {
		w, err := judge.OpenWriter(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(judge.Line{Event: judge.Start, Key: key, Exec: "1", Attempt: 1}); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := judge.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, l := range lines {
		keys = append(keys, l.Key)
		if l.At.IsZero() || l.PID == 0 {
			t.Errorf("line %+v has no stamp", l)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

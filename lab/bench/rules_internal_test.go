package bench

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/checker"
	"github.com/firjob/firjob/lab/labdb"
)

func TestFiresBeforeCountsOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.UnixMilli(rapid.Int64Range(0, 1000).Draw(t, "first"))
		interval := time.Duration(rapid.Int64Range(1, 200).Draw(t, "interval")) * time.Millisecond
		end := time.UnixMilli(rapid.Int64Range(0, 2000).Draw(t, "end"))
		var want int64
		for at := first; at.Before(end); at = at.Add(interval) {
			want++
		}
		if got := firesBefore(first, end, interval); got != want {
			t.Errorf("firesBefore(%v, %v, %v) = %d, want %d", first, end, interval, got, want)
		}
	})
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	list := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.2: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(list, q); got != want {
			t.Errorf("quantile %v of %v = %v, want %v", q, list, got, want)
		}
	}
	if got := middle([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the middle of four is %v, want 2.5", got)
	}
	if middle(nil) != 0 || quantile(nil, 0.5) != 0 {
		t.Error("of nothing there is a figure")
	}
}

// Of several runs the middle counts, and of what must not be the worst.
func TestSumUp(t *testing.T) {
	t.Parallel()
	r := &Report{Runs: []Run{
		{ExecutionsPerSecond: 10, Lost: 0, Figures: map[string]float64{"x": 1}, LatenessMS: map[string]float64{"p99": 7}},
		{ExecutionsPerSecond: 30, Lost: 2, Figures: map[string]float64{"x": 5}, LatenessMS: map[string]float64{"p99": 8}},
		{ExecutionsPerSecond: 20, Early: 1, Figures: map[string]float64{"x": 3}, LatenessMS: map[string]float64{"p99": 9}},
	}}
	r.sumUp()
	if r.ExecutionsPerSecond != 20 || r.Figures["x"] != 3 || r.LatenessMS["p99"] != 8 || r.Lost != 2 || r.Early != 1 || r.Holds() {
		t.Errorf("the sum is %+v", r.Run)
	}
	want := map[string]Range{"executions_per_second": {10, 30}, "cpu_us_per_execution": {}, "x": {1, 5}, "lateness_ms.p99": {7, 9}}
	if diff := cmp.Diff(want, r.Spread); diff != "" {
		t.Errorf("spread (-want +got):\n%s", diff)
	}
}

// One that was not due does not hide one that is missing.
func TestStraysHideNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ strays, recorded, succeeded, lost, doubled int64 }{
		{0, 10, 10, 0, 0}, {1, 10, 10, 1, 1}, {1, 11, 11, 0, 1}, {0, 9, 9, 1, 0}, {0, 10, 8, 2, 0},
	} {
		a := labdb.Audit{Recorded: tt.recorded, Succeeded: tt.succeeded}
		run := runOf(a, 10, span{until: time.Now()})
		run.setAside(tt.strays, a, 10)
		if run.Lost != tt.lost || run.Doubled != tt.doubled {
			t.Errorf("%+v: lost %d, doubled %d", tt, run.Lost, run.Doubled)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	s, ok := parseStat("42 (a (b) c) S 7 1 1 0 -1 0 1 2 3 4 150 50 30 20 20 0 1 0 5 1000 256 18446744073709551615")
	if !ok || s.pid != 42 || s.parent != 7 || s.cpuSeconds != 2 || s.reapedSeconds != 0.5 || s.rssMB <= 0 {
		t.Errorf("parsed %+v, %v", s, ok)
	}
	if _, ok := parseStat("42 (short) S 7"); ok {
		t.Error("a line without its end was taken")
	}
}

func TestJudgeAKill(t *testing.T) {
	t.Parallel()
	killed := time.UnixMilli(1_000_000)
	after := func(ms int) time.Time { return killed.Add(time.Duration(ms) * time.Millisecond) }
	event := func(kind checker.Kind, pid int, ms int, due int, token int64) checker.Event {
		e := checker.Event{Kind: kind, PID: pid, Wall: after(ms), Token: token, Execution: firjob.Fire(1, after(due))}
		if kind == checker.KindEnd {
			e.Phase = checker.PhaseOK
		}
		return e
	}
	const dead, living = 7, 8
	tests := map[string]struct {
		events      []checker.Event
		interrupted int
		recovery    float64
	}{
		"nothing runs":        {},
		"ended before":        {events: []checker.Event{event("start", dead, -20, -20, 1), event("end", dead, -10, -20, 1)}},
		"interrupted":         {events: []checker.Event{event("start", dead, -20, -20, 1), event("start", living, 3000, -20, 2), event("end", living, 3010, -20, 2)}, interrupted: 1, recovery: 3000},
		"went on elsewhere":   {events: []checker.Event{event("start", living, -20, -20, 1), event("end", living, 500, -20, 1)}},
		"due and not begun":   {events: []checker.Event{event("start", living, 1500, -5, 1), event("end", living, 1510, -5, 1)}, recovery: 1500},
		"due later":           {events: []checker.Event{event("start", living, 2500, 2000, 1), event("end", living, 2510, 2000, 1)}, recovery: 500},
		"due when it is back": {events: []checker.Event{event("start", living, 9500, 6000, 1), event("end", living, 9510, 6000, 1)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Fault{at: killed, pid: dead}
			f.judge(livesOf(tt.events), 5*time.Second)
			if f.Interrupted != tt.interrupted || math.Abs(f.RecoveryMS-tt.recovery) > 0.01 {
				t.Errorf("interrupted %d, recovered in %v ms; want %d, %v", f.Interrupted, f.RecoveryMS, tt.interrupted, tt.recovery)
			}
		})
	}
}

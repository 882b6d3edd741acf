package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// waiting is a flight of an attempt that was scheduled at noon.
func waiting(attempt int, tried ...refusal) *flight {
	f := &flight{tried: tried}
	f.App = "a"
	f.Trigger.ID, f.Trigger.Attempt, f.Trigger.ScheduledAt = firjob.Fire(1, noon), attempt, noon
	return f
}

// The pause between tries grows with the time that an execution has waited, for
// retries, too, and up to a bound that depends on why nobody takes it.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	unknown := refusal{unknown: true}
	for name, c := range map[string]struct {
		flight func() *flight
		want   time.Duration // in the end
	}{
		"nobody is alive":               {func() *flight { return waiting(1) }, maxGiveBack},
		"a retry":                       {func() *flight { return waiting(3) }, maxGiveBack},
		"the handler is unknown":        {func() *flight { return waiting(1, unknown, unknown) }, maxUnknown},
		"a retry of an unknown handler": {func() *flight { return waiting(2, unknown) }, maxUnknown},
		"one knows it and is full":      {func() *flight { return waiting(1, unknown, refusal{full: true}) }, maxGiveBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w waits
			now, last, tries := noon, time.Duration(0), 0
			for ; now.Before(noon.Add(10 * time.Minute)); tries++ {
				d := w.pause(c.flight(), 1, now)
				if d < last || d < minGiveBack {
					t.Fatalf("try %d: a pause of %v after one of %v", tries, d, last)
				}
				now, last = now.Add(d), d
			}
			if most := int(10*time.Minute/c.want) + 30; last != c.want || tries > most {
				t.Errorf("%d tries in ten minutes, the last pause is %v; want at most %d and %v", tries, last, most, c.want)
			}
			if d := w.pause(c.flight(), 2, now); d != minGiveBack {
				t.Errorf("after a change of the executors the pause is %v, want %v", d, minGiveBack)
			}
		})
	}
}

// What does not wait any more is forgotten.
func TestWaitsAreForgotten(t *testing.T) {
	t.Parallel()
	var w waits
	for i := range 1000 {
		f := waiting(1)
		f.Trigger.ID = firjob.Fire(firjob.JobID(i+1), noon)
		w.pause(f, 1, noon.Add(time.Duration(i)*time.Second))
	}
	if most := 2*int(waitMemory/time.Second) + 1; len(w.open) > most {
		t.Errorf("%d waits are kept, want at most %d", len(w.open), most)
	}
}

// The executors of an app are others when one comes, restarts or changes its state,
// not when one has more to do.
func TestFleetsDiffer(t *testing.T) {
	t.Parallel()
	one := firjob.Executor{Address: "h:1", Incarnation: "i", State: firjob.ExecutorActive, Running: 1}
	busy, restarted, cordoned := one, one, one
	busy.Running, restarted.Incarnation, cordoned.State = 9, "j", firjob.ExecutorCordoned
	if fleetOf([]firjob.Executor{one}) != fleetOf([]firjob.Executor{busy}) {
		t.Error("a busy executor is taken for another")
	}
	seen := map[uint64]string{}
	for _, list := range [][]firjob.Executor{nil, {one}, {restarted}, {cordoned}, {one, restarted}} {
		id, text := fleetOf(list), fmt.Sprint(list)
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are taken for the same", text, other)
		}
		seen[id] = text
	}
}

package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Executors come and go under new names. The log of what was sent keeps those to
// which something was sent lately.
func TestSentLogForgetsExecutors(t *testing.T) {
	t.Parallel()
	l, now := newSentLog(), noon
	for i := range 100 {
		now = now.Add(time.Second)
		l.add(firjob.ExecutorKey{App: "a", Address: fmt.Sprint(i)}, now, []*flight{{}})
	}
	if most := 2*int(sentMemory/time.Second) + 2; len(l.to) > most {
		t.Errorf("%d executors are kept, want at most %d", len(l.to), most)
	}
	for i := range 5 {
		if got := l.take(firjob.ExecutorKey{App: "a", Address: fmt.Sprint(95 + i)}, now); len(got) != 1 {
			t.Errorf("executor %d has %d attempts, want the one just sent", 95+i, len(got))
		}
	}
}

// Rings come and go with apps and labels. Those without a flight are removed once
// there are many; one that waits for turns, or whose flights do, stays as it is.
func TestTurnsForgetRings(t *testing.T) {
	t.Parallel()
	all := make(turns)
	asked, waiting := ports.Ring{App: "asked"}, ports.Ring{App: "waiting"}
	all.expect(asked, 1)
	all.leave(asked)
	all.expect(waiting, 2)
	all.add(waiting, 10, 2)
	for i := range 10 * manyRings {
		ring := ports.Ring{App: fmt.Sprint(i)}
		all.add(ring, 1, all.expect(ring, 1))
		all.take(ring)
	}
	if len(all) > manyRings {
		t.Errorf("%d rings are kept, want at most %d", len(all), manyRings)
	}
	all.add(asked, 5, 1)
	for i, got := range []uint64{all.take(asked), all.take(waiting), all.take(waiting)} {
		if want := []uint64{5, 10, 11}[i]; got != want {
			t.Errorf("turn %d is %d, want %d", i, got, want)
		}
	}
}

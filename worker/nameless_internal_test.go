package worker

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

// named returns whether a beat would name the attempt of number n.
func named(tab *table, n int, after time.Duration) bool {
	return slices.Contains(tab.census(time.Now(), after).holding, testAttempt(n, time.Second).ref())
}

// youngAttempt is one that was sent now with the given lease.
func youngAttempt(n int, lease time.Duration) *attempt {
	a := testAttempt(n, lease)
	a.taken, a.lease = time.Now(), lease
	return a
}

func TestYoungAttemptsNeedNoName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(8, 8, neverJammed)
		exclusive := youngAttempt(2, 10*time.Second)
		exclusive.exclusive = true
		late := youngAttempt(4, 10*time.Second) // it lay in a socket's buffer
		late.taken = late.taken.Add(-time.Second)
		tab.accept([]*attempt{youngAttempt(1, 10*time.Second), exclusive, youngAttempt(3, 3*time.Second), late}, time.Now())
		want := func(when string, expected ...bool) {
			t.Helper()
			for i, yes := range expected {
				if got := named(tab, i+1, time.Second); got != yes {
					t.Errorf("%s: attempt %d is named: %v, want %v", when, i+1, got, yes)
				}
			}
		}
		want("at once", false, true, false, true)
		time.Sleep(375 * time.Millisecond) // an eighth of 3 s
		want("after 375 ms", false, true, true, true)
		time.Sleep(625 * time.Millisecond)
		want("after 1 s", true, true, true, true)
		for n := 1; n <= 4; n++ {
			if !named(tab, n, 0) {
				t.Errorf("a server that asks for all is not told of attempt %d", n)
			}
		}
	})
}

// A worker that leaves names all that it has.
func TestADrainingWorkerNamesAll(t *testing.T) {
	t.Parallel()
	tab := newTable(8, 8, neverJammed)
	tab.accept([]*attempt{youngAttempt(1, 10*time.Second)}, time.Now())
	tab.drain()
	if !named(tab, 1, time.Second) {
		t.Error("an attempt is not named while the worker drains")
	}
}

// Whatever lease an attempt comes with, three beats fall between the instant from
// which it is named and its end, or its beats begin before an eighth of it is over.
func TestAttemptsAreNamedInTime(t *testing.T) {
	t.Parallel()
	for lease := 3 * time.Second; lease < time.Minute; lease += 250 * time.Millisecond {
		a := &attempt{lease: lease, taken: time.Unix(0, 0)}
		for _, after := range []time.Duration{firjob.MaxNameAfter, time.Hour} {
			named := a.taken.Add(min(after, lease/8))
			if !a.nameless(named.Add(-1), after) || a.nameless(named, after) {
				t.Errorf("an attempt with a lease of %v is not named from %v on", lease, named.Sub(a.taken))
			}
			if left := a.taken.Add(fenced(lease)).Sub(named); lease >= 5*firjob.BeatInterval && left < 3*firjob.BeatInterval {
				t.Errorf("an attempt with a lease of %v is first named %v before it is stopped", lease, left)
			}
		}
	}
}

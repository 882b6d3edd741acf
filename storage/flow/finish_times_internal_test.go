package flow

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever an executor says of times, what is kept lies between what the store
// knows, in order, and a time that was possible is kept as it is.
func TestHeldTimesAreInOrder(t *testing.T) {
	t.Parallel()
	epoch := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string, low, high int64) time.Time {
			return epoch.Add(time.Duration(rapid.Int64Range(low, high).Draw(t, label)) * time.Millisecond)
		}
		remote := func(label string) time.Time {
			if rapid.Bool().Draw(t, label+" is known") {
				return at(label, -20_000, 80_000)
			}
			return time.Time{}
		}
		claimed, received := at("claimed", 0, 30_000), at("received", 30_000, 60_000)
		started, finished := remote("started"), remote("finished")
		var granted time.Time
		if rapid.Bool().Draw(t, "exclusive") {
			granted = claimed.Add(received.Sub(claimed) / 2)
		}
		sent := claimed
		if !granted.IsZero() {
			sent = granted
		}
		gotStart, gotEnd := heldTimes(started, finished, granted, claimed, received)
		if gotEnd.Before(sent) || gotEnd.After(received) {
			t.Fatalf("ended %v, want it within %v and %v", gotEnd, sent, received)
		}
		if !gotStart.IsZero() && (gotStart.Before(sent) || gotStart.After(gotEnd)) {
			t.Fatalf("started %v, want it within %v and %v", gotStart, sent, gotEnd)
		}
		if gotStart.IsZero() && !granted.IsZero() {
			t.Fatal("the granted start is forgotten")
		}
		possible := !started.Before(sent) && !finished.Before(started) && !finished.After(received)
		if possible && (!gotStart.Equal(started) || !gotEnd.Equal(finished)) {
			t.Fatalf("kept %v to %v of the possible %v to %v", gotStart, gotEnd, started, finished)
		}
	})
}

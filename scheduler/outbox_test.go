package scheduler

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// ranked returns flights of the given priorities, scheduled one second after
// another, whose tokens are their places in the list.
func (l *line) ranked(priorities ...int) []*flight {
	list := l.flights(len(priorities))
	for i, f := range list {
		f.Priority, f.Trigger.ScheduledAt = priorities[i], noon.Add(time.Duration(i)*time.Second)
	}
	return list
}

// Within one request the more urgent go first: a step of priority is worth ten
// seconds.
func TestPlacedByPriority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		var tokens []int64
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			for _, trigger := range triggers {
				tokens = append(tokens, trigger.Token)
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		l.release(t.Context(), l.ranked(0, 0, 1, -1, 0))
		l.posts.Wait()
		if diff := cmp.Diff([]int64{3, 1, 2, 5, 4}, tokens); diff != "" {
			t.Errorf("sent in the order (-want +got):\n%s", diff)
		}
	})
}

// What waits for an executor leaves in the order of ranks, whatever the order in
// which it came; equals in the order in which they came.
func TestOutboxIsInOrder(t *testing.T) {
	t.Parallel()
	l := newLine(t, "a:1")
	rapid.Check(t, func(t *rapid.T) {
		flights := l.ranked(rapid.SliceOfN(rapid.IntRange(-2, 2), 0, 40).Draw(t, "priorities")...)
		came := rapid.Permutation(flights).Draw(t, "came")
		box := &outbox{}
		for _, f := range came {
			box.put(f)
		}
		var left []*flight
		for len(box.waiting) > 0 {
			left = append(left, box.take()...)
		}
		want := slices.Clone(came)
		slices.SortStableFunc(want, byRank)
		if !slices.Equal(left, want) {
			t.Fatalf("left %v, want %v", tokensOf(left), tokensOf(want))
		}
	})
}

func tokensOf(flights []*flight) []int64 {
	list := make([]int64, len(flights))
	for i, f := range flights {
		list[i] = f.Trigger.Token
	}
	return list
}

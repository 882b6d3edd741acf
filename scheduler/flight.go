package scheduler

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// flight is an attempt that this server has claimed, from the claim until an
// executor has answered for it. One goroutine at a time owns it: the hold, then
// an outbox.
type flight struct {
	ports.Claimed
	claimedAt time.Time // local; before the claim was asked for
	leaseEnd  time.Time // local; counted from claimedAt
	tried     []refusal
	pinned    *firjob.ExecutorKey // the one who may have it: the outcome of a send is unknown
	doubted   time.Time           // store's clock: when the store was last told why the outcome is unknown
	resendAt  time.Time           // store's clock: when a flight that was put back leaves the hold again
	known     routing
}

// refusal is an executor's definite answer that it does not take a flight.
type refusal struct {
	by      firjob.ExecutorKey
	full    bool // for want of room: later it might
	unknown bool // it has no such handler
}

// routing is what was found out once about a flight for its route.
type routing struct {
	ring             ports.Ring // of round robin; no app: not found out yet
	turn             uint64     // of round robin
	hash             uint64     // of consistent hashing
	hasTurn, hasHash bool
	chosen           string // address, picked by what is remembered of the job in Redis
}

// ref names the attempt.
func (f *flight) ref() firjob.AttemptRef {
	return firjob.AttemptRef{ID: f.Trigger.ID, Token: f.Trigger.Token}
}

// at is when the flight is to leave the hold.
func (f *flight) at() time.Time {
	if f.resendAt.After(f.DueAt) {
		return f.resendAt
	}
	return f.DueAt
}

// refused reports whether an executor does not take the flight, now or ever.
func (f *flight) refused(by firjob.ExecutorKey) (now, ever bool) {
	for _, r := range f.tried {
		if r.by == by {
			now, ever = true, ever || !r.full
		}
	}
	return now, ever
}

// unknownToAll reports whether every executor that was asked lacks the handler.
func (f *flight) unknownToAll() bool {
	return len(f.tried) > 0 && !slices.ContainsFunc(f.tried, func(r refusal) bool { return !r.unknown })
}

func (f *flight) selector() map[string]string {
	if f.Dispatch == nil {
		return nil
	}
	return f.Dispatch.Selector
}

func (f *flight) retryOn() firjob.RetryOn {
	if f.Dispatch == nil || f.Last == "" {
		return firjob.RetryAny
	}
	return f.Dispatch.RetryOn
}

// ring returns the executors among which the flight takes its turn.
func (f *flight) ring() ports.Ring {
	if f.known.ring.App == "" {
		f.known.ring = ports.Ring{App: f.App, Selector: ports.SelectorText(f.selector())}
	}
	return f.known.ring
}

// byRank orders flights by the instant that they were meant for, brought forward
// by their priority.
func byRank(a, b *flight) int { return cmp.Compare(a.rank(), b.rank()) }

func (f *flight) rank() int64 { return firjob.Rank(f.Trigger.ScheduledAt, f.Priority) }

// inOrder puts flights in the order of their ranks. Mostly they are: what is due
// at one instant with one priority has one rank.
func inOrder(flights []*flight) {
	for i, before := 0, int64(math.MinInt64); i < len(flights); i++ {
		rank := flights[i].rank()
		if rank < before {
			slices.SortStableFunc(flights, byRank)
			return
		}
		before = rank
	}
}

package scheduler

import (
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// flight is an attempt that this replica has claimed, from the claim until an
// executor has answered for it. One goroutine at a time owns it: the hold, then
// an outbox.
type flight struct {
	firjob.Claimed
	claimedAt time.Time // local; before the claim was asked for
	leaseEnd  time.Time // local; counted from claimedAt
	tried     []firjob.ExecutorKey
	pinned    *firjob.ExecutorKey // the one who may have it: the outcome of a send is unknown
	resendAt  time.Time           // store's clock: when a pinned flight is sent again
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

func (f *flight) hasTried(key firjob.ExecutorKey) bool { return slices.Contains(f.tried, key) }

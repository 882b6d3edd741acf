package worker

import (
	"context"
	"time"

	"github.com/firjob/firjob"
)

// renew notes that the server has answered a beat which was sent at start, and
// holds what the beat named for lease from some moment after start. Whatever was
// accepted since has no more than the lease that it came with.
func (t *table) renew(named []firjob.AttemptRef, start time.Time, lease time.Duration) {
	t.extend(named, start.Add(fenced(lease)), true)
}

// renewShared is renew for an answer that is not confirmed by the store: good
// enough for all but exclusive attempts.
func (t *table) renewShared(named []firjob.AttemptRef, start time.Time, lease time.Duration) {
	t.extend(named, start.Add(fenced(lease)), false)
}

func (t *table) extend(named []firjob.AttemptRef, until time.Time, exclusive bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range named {
		if a := t.held[ref]; a != nil && until.After(a.fence) && (exclusive || !a.exclusive) {
			a.fence = until
		}
	}
}

// watch ends attempts whose lease is lost, until ctx ends. It sleeps while
// nothing waits or runs, and otherwise until the earliest lease would be lost if
// no beat renewed it.
func (t *table) watch(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		if next := t.expire(now); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(next.Sub(now))
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-t.wake:
		}
	}
}

// expire ends the attempts whose lease is lost by now, and returns when to look
// again; zero means not before something is accepted.
func (t *table) expire(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look = time.Time{}
	if t.pending == 0 {
		return t.look
	}
	for ref, a := range t.held {
		switch {
		case a.over:
		case !now.Before(a.fence):
			t.stop(ref, ErrLeaseLost)
		case t.look.IsZero() || a.fence.Before(t.look):
			t.look = a.fence
		}
	}
	return t.look
}

// rouse makes watch look at fence, unless it will do so earlier anyway.
func (t *table) rouse(fence time.Time) {
	if !t.look.IsZero() && !fence.Before(t.look) {
		return
	}
	t.look = fence
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

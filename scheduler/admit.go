package scheduler

import (
	"context"
	"time"

	"github.com/firjob/firjob/internal/ports"
)

// Cadence of the admission.
const (
	admitIdle  = time.Second           // nobody is known to wait for time to pass
	admitPause = 50 * time.Millisecond // the least between two looks
)

// admission lets those in that wait for what time alone brings: tokens of a
// limited app, or the moment at which a replaced execution has had its time. Who
// waits for another one's end is let in by that end, and not by this.
//
// Each replica does it. The store lets one at a time see to each job and app, so
// the death of a replica costs a second at the most.
type admission struct {
	store    Store
	follow   func(context.Context, ports.Followed)
	troubles *troubles
	waits    chan struct{} // somebody began to wait
}

func newAdmission(store Store, follow func(context.Context, ports.Followed), troubles *troubles) *admission {
	return &admission{store: store, follow: follow, troubles: troubles, waits: make(chan struct{}, 1)}
}

// nudge tells that somebody waits whom the next pass may let in.
func (a *admission) nudge() {
	select {
	case a.waits <- struct{}{}:
	default:
	}
}

// run lets in until ctx ends.
func (a *admission) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := a.pass(ctx)
		if !sleep(ctx, admitPause) {
			return
		}
		timer := time.NewTimer(pause - admitPause)
		select {
		case <-timer.C:
		case <-a.waits:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// pass lets in once and returns after how long the next pass is worth while.
func (a *admission) pass(ctx context.Context) time.Duration {
	followed, next, err := a.store.Admit(ctx)
	a.follow(ctx, followed)
	if !a.troubles.report(ctx, "let in who waits for a place", err) {
		return admitIdle
	}
	return min(max(next, admitPause), jitter(admitIdle))
}

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

// admission lets in executions that wait for time to pass: for tokens of a limited
// app, or for the moment at which a replaced execution has had its time. An execution
// that waits for the end of another is let in by that end, not here.
//
// Each server does it. The store lets one server at a time look at a job or an app, so
// the death of a server costs a second at most.
type admission struct {
	store    Store
	follow   func(context.Context, ports.Followed)
	troubles *troubles
	waits    wake // an execution began to wait
}

func newAdmission(store Store, follow func(context.Context, ports.Followed), troubles *troubles) *admission {
	return &admission{store: store, follow: follow, troubles: troubles, waits: newWake()}
}

// nudge says that an execution waits which the next pass may let in.
func (a *admission) nudge() { a.waits.up() }

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

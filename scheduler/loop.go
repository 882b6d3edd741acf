package scheduler

import (
	"context"
	"math/rand/v2"
	"time"
)

// every calls pass now and then each interval, spread by up to a tenth so that
// replicas do not march in step, until ctx ends. A pass reports its own
// troubles.
func every(ctx context.Context, interval time.Duration, pass func(context.Context)) {
	for ctx.Err() == nil {
		pass(ctx)
		if !sleep(ctx, jitter(interval)) {
			return
		}
	}
}

// jitter returns d, a tenth shorter or longer at the most.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1))
}

// sleep waits for d and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

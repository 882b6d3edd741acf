package scheduler

import (
	"context"
	"math/rand/v2"
	"time"
)

// every calls pass, rests for the interval, a tenth shorter or longer, and so on until
// ctx ends. A pass reports its own troubles. The loops of a process wake together, at
// its steps, so that an interval counts in these.
func every(ctx context.Context, interval time.Duration, pass func(context.Context)) {
	loop(ctx, pass, func(time.Time) time.Duration {
		now := time.Now()
		return untilStep(now, now.Add(jitter(interval)))
	})
}

// paced calls pass at one step after another, however long it takes up to that.
func paced(ctx context.Context, pass func(context.Context)) {
	loop(ctx, pass, func(began time.Time) time.Duration { return untilStep(time.Now(), began.Add(step)) })
}

// alone calls pass now and then each interval, apart from the steps: it must not wait
// for a core.
func alone(ctx context.Context, interval time.Duration, pass func(context.Context)) {
	loop(ctx, pass, func(time.Time) time.Duration { return jitter(interval) })
}

// loop calls pass until ctx ends. rest says how long to wait after one that began so.
func loop(ctx context.Context, pass func(context.Context), rest func(began time.Time) time.Duration) {
	for ctx.Err() == nil {
		began := time.Now()
		pass(ctx)
		if !sleep(ctx, rest(began)) {
			return
		}
	}
}

// step is the time between the instants at which loops wake, and phase this
// process's own place in it, so that servers do not march in step. Most of what an
// idle process costs is waking up, for which loops that wake together pay once: 1.0
// to 1.15 % of a core, where it was 1.45 to 1.5.
const step = 250 * time.Millisecond

var phase = rand.N(step)

// untilStep returns the time from now to the step that is nearest to t, or to the
// next one if that is over.
func untilStep(now, t time.Time) time.Duration {
	into := time.Duration(now.UnixNano()) - phase
	d := (into + t.Sub(now)).Round(step) - into
	if d <= 0 {
		d = (into + step).Truncate(step) - into
	}
	return d
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

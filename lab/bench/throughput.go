package bench

import (
	"context"
	"time"

	"github.com/firjob/firjob"
)

// The handlers of firjob worker that benchmarks use.
const (
	noop     = "noop"
	lateness = "lateness" // returns by how many microseconds it started late
	sleep    = "sleep"
)

// Steady is a load of which as much is due at any time.
type Steady struct {
	Rate     int           // executions due each second
	Interval time.Duration // of each job
}

func (c Steady) validate() error {
	return must(
		condition{c.Rate > 0, "rate", c.Rate, "must be 1 or more"},
		condition{c.Interval >= time.Millisecond, "interval", c.Interval.String(), "must be 1ms or more"},
	)
}

func (c Steady) settings() map[string]any {
	return map[string]any{"rate": c.Rate, "interval": firjob.Duration(c.Interval)}
}

// Throughput measures executions a second the whole way: plan, announce, claim,
// commit, send, handler, callback, commit.
func Throughput(ctx context.Context, o Options, c Steady) (*Report, error) {
	return o.steady(ctx, "throughput", noop, c)
}

// Lateness measures how long after their instant handlers start, by the
// executor's own clock.
func Lateness(ctx context.Context, o Options, c Steady) (*Report, error) {
	return o.steady(ctx, "lateness", lateness, c)
}

func (o Options) steady(ctx context.Context, name, handler string, c Steady) (*Report, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return o.repeat(ctx, name, c.settings(), func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.steady(ctx,
				&load{name: "bench", handler: handler, interval: c.Interval, lasts: o.lasting(o.Warmup + o.Duration)},
				jobsFor(c.Rate, c.Interval))
			return err
		})
		return run, err
	})
}

// lasting is how long a load lasts whose end does not show within its first d:
// fires are planned a horizon ahead.
func (o Options) lasting(d time.Duration) time.Duration {
	return d + o.Horizon + time.Second
}

// steady loads the cluster with n jobs and measures the span after the warm-up.
func (s *stage) steady(ctx context.Context, l *load, n int) (Run, error) {
	if err := s.warmUp(ctx, l, n); err != nil {
		return Run{}, err
	}
	m, err := s.watch(ctx, s.o.Duration)
	if err != nil {
		return Run{}, err
	}
	return s.measured(ctx, l, m)
}

// warmUp loads the cluster with n jobs and lets the warm-up pass, which begins with
// the load.
func (s *stage) warmUp(ctx context.Context, l *load, n int) error {
	if err := s.raise(ctx, l, n, time.Time{}); err != nil {
		return err
	}
	return s.o.wait(ctx, time.Until(l.whole)+s.o.Warmup, "waiting for the load and warming up")
}

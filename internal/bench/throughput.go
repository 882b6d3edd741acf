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
			run, err = s.steady(ctx, &load{name: "bench", handler: handler, interval: c.Interval}, jobsFor(c.Rate, c.Interval))
			return err
		})
		return run, err
	})
}

// steady loads the cluster with n jobs and measures the span after the warm-up.
func (s *stage) steady(ctx context.Context, l *load, n int) (Run, error) {
	if err := s.grow(ctx, l, n); err != nil {
		return Run{}, err
	}
	if err := s.o.wait(ctx, s.o.Warmup, "warming up"); err != nil {
		return Run{}, err
	}
	m, err := s.watch(ctx, s.o.Duration)
	if err != nil {
		return Run{}, err
	}
	return s.measured(ctx, l, m)
}

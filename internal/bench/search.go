package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// Search looks for the highest rate that a cluster keeps up with.
type Search struct {
	Interval    time.Duration // of each job
	From        int           // the first rate that is tried
	Precision   float64       // it ends when the lowest that failed is within this share of the highest that held
	MaxLateness time.Duration // p99 at which a rate is kept up with at most
}

// keptShare is the share of the offered executions that must end within the span:
// a cluster that falls behind by 1 % falls behind for ever.
const keptShare = 0.99

// Step is one rate that a search has tried.
type Step struct {
	Offered             float64 `json:"offered_per_second"`
	ExecutionsPerSecond float64 `json:"executions_per_second"`
	LatenessP99MS       float64 `json:"lateness_p99_ms"`
	CPUPerExecution     float64 `json:"cpu_us_per_execution"`
	Kept                bool    `json:"kept_up"`
}

func (c Search) validate() error {
	return must(
		condition{c.From > 0, "from", c.From, "must be 1 or more"},
		condition{c.Interval >= time.Millisecond, "interval", c.Interval.String(), "must be 1ms or more"},
		condition{c.Precision >= 0.01 && c.Precision <= 1, "precision", c.Precision, "must be 0.01 to 1"},
		condition{c.MaxLateness > 0, "max-lateness", c.MaxLateness.String(), "must be above 0s"},
	)
}

// MaxThroughput measures the highest rate that is kept up with: 99 % of what is
// due within the span ends within it, and the p99 of the lateness is bounded.
func MaxThroughput(ctx context.Context, o Options, c Search) (*Report, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	settings := map[string]any{"rate": "max", "interval": firjob.Duration(c.Interval), "from": c.From,
		"precision": c.Precision, "max_lateness": firjob.Duration(c.MaxLateness)}
	return o.repeat(ctx, "throughput", settings, func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.search(ctx, c)
			return err
		})
		return run, err
	})
}

// search doubles the rate until it is too much and then halves the distance
// between what held and what did not.
func (s *stage) search(ctx context.Context, c Search) (best Run, err error) {
	l := &load{name: "bench", handler: noop, interval: c.Interval}
	held, failed := 0, 0 // jobs
	var steps []Step
	for n := jobsFor(c.From, c.Interval); ; n = between(held, failed) {
		run, err := s.try(ctx, l, n)
		if err != nil {
			return best, err
		}
		kept := run.ExecutionsPerSecond >= keptShare*run.Offered && run.LatenessMS["p99"] <= float64(c.MaxLateness)/1e6
		steps = append(steps, Step{run.Offered, run.ExecutionsPerSecond, run.LatenessMS["p99"], run.CPUPerExecution, kept})
		s.o.say("offered %.0f/s: %.0f/s, p99 %.1f ms: %s", run.Offered, run.ExecutionsPerSecond, run.LatenessMS["p99"], verdict(kept))
		worst := best
		if kept {
			held, best = n, run
		} else {
			failed = n
		}
		best.carry(worst, run)
		if failed > 0 && (held == 0 && failed == 1 || failed-held <= 1 || held > 0 && float64(failed-held) <= c.Precision*float64(held)) {
			break
		}
	}
	best.Steps = steps
	if held == 0 {
		return best, fmt.Errorf("not even %.1f executions/s are kept up with", steps[len(steps)-1].Offered)
	}
	return best, nil
}

// carry keeps the worst counts of all steps: nothing may be lost beyond the limit
// either.
func (r *Run) carry(others ...Run) {
	for _, o := range others {
		r.Early, r.Lost = max(r.Early, o.Early), max(r.Lost, o.Lost)
		r.Doubled, r.Repeated = max(r.Doubled, o.Doubled), max(r.Repeated, o.Repeated)
	}
}

func verdict(kept bool) string {
	if kept {
		return "kept up with"
	}
	return "too much"
}

// between is the next number of jobs to try.
func between(held, failed int) int {
	if failed == 0 {
		return 2 * held
	}
	return (held + failed) / 2
}

// try measures n jobs, after what an earlier try has left is worked off.
func (s *stage) try(ctx context.Context, l *load, n int) (Run, error) {
	if n < len(l.jobs) {
		if err := s.shrink(ctx, l, n); err != nil {
			return Run{}, err
		}
		// What was planned of jobs that are gone is recorded up to the horizon.
		if err := s.o.wait(ctx, s.o.Horizon+s.o.ScanInterval, "letting planned fires pass"); err != nil {
			return Run{}, err
		}
	}
	if err := s.drained(ctx); err != nil {
		return Run{}, err
	}
	return s.steady(ctx, l, n)
}

// drained waits until nothing is overdue.
func (s *stage) drained(ctx context.Context) error {
	deadline := time.Now().Add(settle)
	told := s.o.ticker()
	for {
		late, err := s.db.Overdue(ctx, time.Second, 1)
		if err != nil || len(late) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("executions are still overdue %v after a rate that was too high", settle)
		}
		told.say("working off what is overdue")
		if !passed(ctx, 250*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

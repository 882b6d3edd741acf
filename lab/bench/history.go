package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// History is a load beside executions of the past.
type History struct {
	Steady
	Executions int // of the past
	Days       int // over which they are spread
}

// owners is how many jobs the executions of the past belong to.
const owners = 1000

// MeasureHistory measures what a load costs beside executions of the past, against
// the same load without any, and what a day's leaving does to it.
func MeasureHistory(ctx context.Context, o Options, c History) (*Report, error) {
	err := errors.Join(c.validate(), must(
		condition{c.Executions >= c.Days, "executions", c.Executions, "must be as many as --days at least"},
		condition{c.Days > 0 && c.Days <= 3650, "days", c.Days, "must be 1 to 3650"},
	))
	if err != nil {
		return nil, err
	}
	// Servers keep what is there: the benchmark drops a day itself.
	o.ServerEnv = append([]string{fmt.Sprintf("FIRJOB_RETENTION=%dh", 24*(c.Days+2))}, o.ServerEnv...)
	settings := c.settings()
	settings["executions"], settings["days"] = c.Executions, c.Days
	return o.repeat(ctx, "history", settings, func(ctx context.Context) (run Run, err error) {
		var empty Run
		o.say("first without any history")
		err = o.onStage(ctx, func(s *stage) error {
			empty, err = s.steady(ctx, c.load(), jobsFor(c.Rate, c.Interval))
			return err
		})
		if err != nil {
			return run, err
		}
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.besideHistory(ctx, c)
			return err
		})
		run.compare(empty)
		run.carry(empty)
		return run, err
	})
}

func (c History) load() *load { return &load{name: "bench", handler: noop, interval: c.Interval} }

// compare adds what the same load cost without history.
func (r *Run) compare(empty Run) {
	if r.Figures == nil {
		r.Figures = make(map[string]float64)
	}
	r.Figures["empty_cpu_us_per_execution"] = empty.CPUPerExecution
	r.Figures["empty_lateness_p99_ms"] = empty.LatenessMS["p99"]
	if empty.CPUPerExecution > 0 {
		r.Figures["cpu_ratio"] = r.CPUPerExecution / empty.CPUPerExecution
	}
}

func (s *stage) besideHistory(ctx context.Context, c History) (run Run, err error) {
	oldest, err := s.writeHistory(ctx, c)
	if err != nil {
		return run, err
	}
	l := c.load()
	if run, err = s.steady(ctx, l, jobsFor(c.Rate, c.Interval)); err != nil {
		return run, err
	}
	return run, s.dropDay(ctx, l, oldest, &run)
}

// writeHistory stores the executions of the past and returns the oldest day.
func (s *stage) writeHistory(ctx context.Context, c History) (oldest time.Time, err error) {
	jobs, err := s.createMany(ctx, min(owners, c.Executions/c.Days),
		func(i int) newJob { return manualJob(fmt.Sprintf("past-%d", i)) })
	if err != nil {
		return oldest, err
	}
	s.o.say("storing %d executions of %d days", c.Executions, c.Days)
	told := s.o.ticker()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for d := range c.Days {
		// The first days take what cannot be divided.
		n := c.Executions/c.Days + boolToInt(d < c.Executions%c.Days)
		oldest = today.AddDate(0, 0, -1-d)
		if err := s.db.SeedHistory(ctx, oldest, n, jobs[0].ID, jobs[len(jobs)-1].ID); err != nil {
			return oldest, err
		}
		if err := s.db.SettleHistory(ctx, oldest); err != nil {
			return oldest, err
		}
		told.say("%d of %d days", d+1, c.Days)
	}
	if err := s.db.Checkpoint(ctx); err != nil {
		s.o.say("what was stored may still be written out during the load: %v", err)
	}
	return oldest, nil
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// aroundDrop is how long before and after the drop is looked at.
const aroundDrop = 2 * time.Second

// dropDay drops the oldest day while the load goes on.
func (s *stage) dropDay(ctx context.Context, l *load, oldest time.Time, run *Run) error {
	s.o.say("dropping the oldest day under load")
	m := span{from: time.Now().Truncate(time.Millisecond), before: s.usage()}
	if !passed(ctx, aroundDrop) {
		return context.Cause(ctx)
	}
	tries, took, err := s.dropOldest(ctx, oldest)
	if err != nil {
		return err
	}
	if !passed(ctx, aroundDrop) {
		return context.Cause(ctx)
	}
	m.until, m.after = time.Now().Truncate(time.Millisecond), s.usage()
	after, err := s.measured(ctx, l, m)
	if err != nil {
		return err
	}
	run.carry(after)
	stall, latest, err := s.db.Stall(ctx, m.from, m.until)
	run.Figures = map[string]float64{"drop_ms": inMS(took), "drop_tries": float64(tries),
		"drop_stall_ms": inMS(stall), "drop_lateness_max_ms": inMS(latest)}
	return err
}

// dropOldest tries until it gets the lock, as servers do from hour to hour, and
// returns how long the try that got it took.
func (s *stage) dropOldest(ctx context.Context, oldest time.Time) (tries int, took time.Duration, err error) {
	deadline := time.Now().Add(settle)
	for {
		tries++
		began := time.Now()
		name, err := s.db.DropOldest(ctx, oldest.AddDate(0, 0, 1))
		switch {
		case err == nil && name == "":
			return tries, 0, errors.New("the oldest day has gone already")
		case err == nil:
			return tries, time.Since(began), nil
		case firjob.CodeOf(err) != firjob.CodeUnavailable || time.Now().After(deadline):
			return tries, 0, err
		}
		if !passed(ctx, 200*time.Millisecond) {
			return tries, 0, context.Cause(ctx)
		}
	}
}

func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/lab/labdb"
)

// Definitions is a load beside jobs that are stored and seldom fire.
type Definitions struct {
	Jobs int // stored in all
	Base int // stored in the cluster that it is compared with
	Rate int // executions due each second
	Asks int // of each page of the API
}

// plannedAtMost bounds how many jobs are planned to time the planning alone.
const plannedAtMost = 5000

// seedChunk is how many jobs one statement stores.
const seedChunk = 100_000

// MeasureDefinitions measures what a due job costs among many that are not due,
// against the same among few, and how long pages of the API take.
func MeasureDefinitions(ctx context.Context, o Options, c Definitions) (*Report, error) {
	err := must(
		condition{c.Base >= 20, "base", c.Base, "must be 20 or more"},
		condition{c.Jobs >= c.Base, "jobs", c.Jobs, "must be as many as --base at least"},
		condition{c.Rate > 0 && c.Rate <= 1_000_000, "rate", c.Rate, "must be 1 to 1000000"},
		condition{c.Asks > 0, "asks", c.Asks, "must be 1 or more"},
	)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{"jobs": c.Jobs, "base": c.Base, "rate": c.Rate, "asks": c.Asks}
	return o.repeat(ctx, "definitions", settings, func(ctx context.Context) (run Run, err error) {
		var base Run
		for _, part := range []struct {
			jobs int
			run  *Run
		}{{c.Base, &base}, {c.Jobs, &run}} {
			o.say("with %d jobs", part.jobs)
			err := o.onStage(ctx, func(s *stage) error {
				*part.run, err = s.amongJobs(ctx, c, part.jobs)
				return err
			})
			if err != nil {
				return run, err
			}
		}
		run.against(base)
		run.carry(base)
		return run, nil
	})
}

// against adds the figures of the base, and the ratios to them.
func (r *Run) against(base Run) {
	figures := maps.Clone(r.Figures)
	for name, value := range base.Figures {
		figures["base_"+name] = value
		if value > 0 {
			figures["ratio_"+name] = r.Figures[name] / value
		}
	}
	r.Figures = figures
}

// amongJobs measures a cluster with n jobs.
func (s *stage) amongJobs(ctx context.Context, c Definitions, n int) (run Run, err error) {
	if err := s.seed(ctx, n); err != nil {
		return run, err
	}
	figures, err := s.pages(ctx, n, c.Asks)
	if err != nil {
		return run, err
	}
	due, err := s.schedule(ctx, c, n)
	if err != nil {
		return run, err
	}
	if err := s.o.wait(ctx, time.Until(due.Start)+s.o.Warmup, "warming up"); err != nil {
		return run, err
	}
	m, err := s.watch(ctx, s.o.Duration)
	if err != nil {
		return run, err
	}
	expected := expectedOf(due, m)
	a, err := s.settled(ctx, labdb.AuditScope{From: m.from, Until: m.until}, expected)
	if err != nil {
		return run, err
	}
	run = runOf(a, expected, m)
	run.Figures = figures
	if expected > 0 {
		figures["cpu_us_per_due_job"] = (run.CPUSeconds[ofPostgres] +
			run.CPUSeconds[ofServers]) * 1e6 / float64(expected)
	}
	return run, s.timePlanning(ctx, min(plannedAtMost, n/2), figures)
}

// seed stores n jobs, of which none fires before the day after tomorrow.
func (s *stage) seed(ctx context.Context, n int) error {
	body := job("seed", noop, eachMinute())
	body.Enabled = false
	var template firjob.Job
	if err := s.api.call(ctx, "POST", "/api/v1/jobs", body, &template); err != nil {
		return err
	}
	s.o.say("storing %d jobs", n)
	told := s.o.ticker()
	start := time.Now().Add(48 * time.Hour)
	for i := 0; i < n; i += seedChunk {
		if err := s.db.SeedJobs(ctx, template.ID, i, min(n, i+seedChunk), start); err != nil {
			return err
		}
		told.say("%d of %d", i, n)
	}
	return s.db.SettleJobs(ctx)
}

// schedule makes some of the jobs due at the rate, from a moment from now on until
// after the measurement: each once where there are enough, else in turn. Others
// become due in an hour, to time the planning with.
func (s *stage) schedule(ctx context.Context, c Definitions, n int) (labdb.Firing, error) {
	lag := time.Second + 2*s.o.ScanInterval + time.Duration(n/50_000)*time.Second // in which they are written
	planned := labdb.Firing{Count: min(plannedAtMost, n/2), Start: time.Now().Add(time.Hour), Step: time.Millisecond,
		Interval: 24 * time.Hour}
	if err := s.db.Reschedule(ctx, planned, 1, 2); err != nil {
		return labdb.Firing{}, err
	}
	span := s.o.Warmup + s.o.Duration + s.o.Horizon + 2*time.Second
	due := labdb.Firing{Count: int(float64(c.Rate) * span.Seconds()),
		Start: time.Now().Add(lag).Truncate(time.Millisecond),
		Step:  (time.Second / time.Duration(c.Rate)).Truncate(time.Microsecond), Interval: 24 * time.Hour}
	if most := n / 2; due.Count > most {
		due.Count = most
		due.Interval = (time.Duration(most) * due.Step).Truncate(time.Millisecond)
	}
	s.o.say("making %d jobs due, %d each second", due.Count, c.Rate)
	if err := s.db.Reschedule(ctx, due, 0, 2); err != nil {
		return due, err
	}
	if time.Until(due.Start) < s.o.ScanInterval {
		return due, fmt.Errorf("writing the schedules took %v, until the first was due: this machine is too busy", lag)
	}
	return due, nil
}

// expectedOf counts the fires of a span by arithmetic alone.
func expectedOf(f labdb.Firing, m span) (n int64) {
	for k := range f.Count {
		first := f.At(k).Truncate(time.Millisecond) // as fires are
		n += firesBefore(first, m.until, f.Interval) - firesBefore(first, m.from, f.Interval)
	}
	return n
}

// timePlanning plans jobs with nothing else going on.
func (s *stage) timePlanning(ctx context.Context, n int, figures map[string]float64) error {
	for _, p := range slices.Concat(s.Workers, s.Servers) {
		if err := p.Stop(ctx); err != nil {
			return err
		}
	}
	if _, _, err := s.db.PlanDue(ctx, -time.Hour, 1, oneFire); err != nil { // connects
		return err
	}
	s.o.say("planning %d jobs", n)
	before, began, planned := s.usage(), time.Now(), 0
	for {
		_, taken, err := s.db.PlanDue(ctx, 2*time.Hour, firjob.MaxBatch, oneFire)
		if err != nil {
			return err
		}
		if planned += taken; taken < firjob.MaxBatch {
			break
		}
	}
	if planned < n {
		return fmt.Errorf("%d jobs were due within the hour, %d were planned", n, planned)
	}
	figures["plan_wall_us_per_job"] = float64(time.Since(began).Microseconds()) / float64(planned)
	if cpu, known := s.usage().cpuSince(before)[ofPostgres]; known {
		figures["plan_postgres_cpu_us_per_job"] = cpu * 1e6 / float64(planned)
	}
	return nil
}

// oneFire plans the next fire of a job, and the one after it tomorrow.
func oneFire(_ time.Time, job firjob.Job, _ time.Time) (ports.Plan, error) {
	return ports.Plan{Fires: []time.Time{*job.NextFireAt}, Next: job.NextFireAt.Add(24 * time.Hour)}, nil
}

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/lab/labdb"
)

// Idle is a cluster that has jobs and nothing to do.
type Idle struct {
	Jobs int // paused ones
}

// MeasureIdle measures what a cluster costs that has nothing to do.
func MeasureIdle(ctx context.Context, o Options, c Idle) (*Report, error) {
	if err := must(condition{c.Jobs >= 0, "jobs", c.Jobs, "must be 0 or more"}); err != nil {
		return nil, err
	}
	if o.countsStatements(ctx) {
		o.Postgres = withSetting(o.Postgres, "shared_preload_libraries", "pg_stat_statements")
	}
	return o.repeat(ctx, "idle", map[string]any{"jobs": c.Jobs}, func(ctx context.Context) (run Run, err error) {
		err = o.onStage(ctx, func(s *stage) error {
			run, err = s.idle(ctx, c)
			return err
		})
		return run, err
	})
}

// countsStatements reports whether the private Postgres can count statements: the
// module is part of Postgres, but not of each of its packages.
func (o Options) countsStatements(ctx context.Context) bool {
	if o.DatabaseURL != "" {
		return false
	}
	binaries, err := localstack.FindPostgres(ctx)
	return err == nil && binaries.HasModule("pg_stat_statements")
}

func withSetting(settings map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for name, value := range settings {
		all[name] = value
	}
	return all
}

func (s *stage) idle(ctx context.Context, c Idle) (run Run, err error) {
	began := time.Now().Add(-time.Second)
	if err := s.makePaused(ctx, c.Jobs); err != nil {
		return run, err
	}
	if err := s.o.wait(ctx, s.o.Warmup, "letting it rest"); err != nil {
		return run, err
	}
	before, err := s.db.Activity(ctx)
	if err != nil {
		return run, err
	}
	m, err := s.watch(ctx, s.o.Duration)
	if err != nil {
		return run, err
	}
	after, err := s.db.Activity(ctx)
	if err != nil {
		return run, err
	}
	a, err := s.db.Audit(ctx, labdb.AuditScope{From: began, Until: time.Now().Add(s.o.Horizon)})
	if err != nil {
		return run, err
	}
	run = runOf(a, 0, m)
	run.Figures = s.idleFigures(run, before, after)
	return run, nil
}

func (s *stage) idleFigures(run Run, before, after labdb.Activity) map[string]float64 {
	figures := map[string]float64{
		"transactions_per_second": float64(after.Transactions-before.Transactions) / run.Seconds}
	if after.Statements >= 0 {
		figures["statements_per_second"] = float64(after.Statements-before.Statements) / run.Seconds
	}
	for group, n := range map[string]int{ofServers: s.o.Servers, ofWorkers: s.o.Workers, ofPostgres: 1, ofRedis: 1} {
		if cpu, known := run.CPUSeconds[group]; known {
			figures["cpu_percent_of_a_core_per_"+singular(group)] = 100 * cpu / run.Seconds / float64(n)
			figures["rss_mb_per_"+singular(group)] = run.RSSMB[group] / float64(n)
		}
	}
	return figures
}

func singular(group string) string {
	switch group {
	case ofServers:
		return "server"
	case ofWorkers:
		return "worker"
	}
	return group
}

func (s *stage) makePaused(ctx context.Context, n int) error {
	s.o.say("making %d paused jobs", n)
	_, err := s.createMany(ctx, n, func(i int) newJob {
		body := job(fmt.Sprintf("paused-%d", i), noop, eachMinute())
		body.Enabled = false
		return body
	})
	return err
}

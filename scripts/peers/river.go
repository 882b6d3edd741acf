package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// River's limits of a running job. Its manual wants the second above the first,
// and both above what jobs take; its defaults are a minute and an hour.
const (
	riverJobTimeout  = 20 * time.Second
	riverRescueAfter = 30 * time.Second
)

func riverContender() contender {
	return contender{
		Name:     "River",
		Module:   "github.com/riverqueue/river",
		Postgres: true,
		Settings: []string{
			"riverpgxv5; several clients that may lead, each with all periodic jobs; workers with " +
				"LeaderElectionDisabled",
			"JobTimeout 20s and RescueStuckJobsAfter 30s in place of 1m and 1h, else a re-run would begin " +
				"after an hour",
		},
		Promise: "Promises at-least-once for a job that is in Postgres. Periodic jobs of the open edition are in the " +
			"leader's " +
			"memory, and what is due while none leads is not promised; durable ones are in its paid edition.",
		make: func(s size) system { return &riverSystem{size: s} },
	}
}

// riverSystem is leading and working clients over one Postgres.
type riverSystem struct {
	size   size
	sched  []*proc
	work   []*proc
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx] // inserts only
}

func (s *riverSystem) start(ctx context.Context, r *rig, ticks []tick) (err error) {
	if s.pool, err = pgxpool.New(ctx, r.databaseURL()); err != nil {
		return err
	}
	driver := riverpgxv5.New(s.pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	if s.client, err = river.NewClient(driver, &river.Config{}); err != nil {
		return err
	}
	if s.work, err = r.processes("worker", "river-worker", s.size.workers, role{Tuned: s.size.tuned}); err != nil {
		return err
	}
	s.sched, err = r.processes("scheduler", "river-scheduler", s.size.schedulers,
		role{Ticks: ticks, Tuned: s.size.tuned})
	return err
}

func (s *riverSystem) stop(ctx context.Context) error {
	var errs []error
	for _, p := range append(s.sched, s.work...) {
		errs = append(errs, p.stop(ctx))
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return errors.Join(errs...)
}

func (s *riverSystem) submit(ctx context.Context, list []task) (ids []string, err error) {
	params := make([]river.InsertManyParams, len(list))
	for i, t := range list {
		params[i] = river.InsertManyParams{Args: riverWork{workOf(t)},
			InsertOpts: &river.InsertOpts{ScheduledAt: t.Due}}
	}
	inserted, err := s.client.InsertMany(ctx, params)
	for _, row := range inserted {
		ids = append(ids, strconv.FormatInt(row.Job.ID, 10))
	}
	return ids, err
}

func (s *riverSystem) done(ctx context.Context, id string) (bool, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return false, err
	}
	job, err := s.client.JobGet(ctx, number)
	if errors.Is(err, river.ErrNotFound) {
		return false, nil
	}
	return err == nil && job.State == rivertype.JobStateCompleted, err
}

func (s *riverSystem) open(ctx context.Context) (int, error) {
	list, err := s.client.JobList(ctx, river.NewJobListParams().First(10_000).States(
		rivertype.JobStateAvailable, rivertype.JobStateRunning, rivertype.JobStateRetryable,
		rivertype.JobStateScheduled))
	if err != nil {
		return 0, err
	}
	return len(list.Jobs), nil
}

func (s *riverSystem) schedulers() []member { return members(s.sched) }

func (s *riverSystem) workers() []member { return members(s.work) }

// leader is the scheduler whose name the id of the leading client begins with.
func (s *riverSystem) leader(ctx context.Context) (member, error) {
	var id string
	err := s.pool.QueryRow(ctx, "SELECT leader_id FROM river_leader WHERE expires_at > now()").Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range s.sched {
		if strings.HasPrefix(id, p.name+"@") {
			return p, nil
		}
	}
	return nil, nil
}

func (s *riverSystem) answering() []member { return nil }

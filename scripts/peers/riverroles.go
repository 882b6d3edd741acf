package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/robfig/cron/v3"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// riverWork is a task as River takes it.
type riverWork struct {
	work
}

// Kind names the kind of job to River.
func (riverWork) Kind() string { return "work" }

// riverHandler runs tasks.
type riverHandler struct {
	river.WorkerDefaults[riverWork]
	handle func(ctx context.Context, job *river.Job[riverWork]) error
}

// Work runs one.
func (h *riverHandler) Work(ctx context.Context, job *river.Job[riverWork]) error {
	return h.handle(ctx, job)
}

// riverScheduler is a client that may lead, and then inserts what the ticks say,
// until ctx ends. A client has to work a queue; this one's is always empty.
func riverScheduler(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	config := &river.Config{Queues: map[string]river.QueueConfig{"schedulers": {MaxWorkers: 1}}}
	for _, t := range part.Ticks {
		schedule, err := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(
			"TZ=UTC " + t.cronSeconds())
		if err != nil {
			return err
		}
		args := func() (river.JobArgs, *river.InsertOpts) { return riverWork{work{Key: t.Key}}, nil }
		config.PeriodicJobs = append(config.PeriodicJobs, river.NewPeriodicJob(schedule, args, nil))
	}
	return runRiver(ctx, part, config)
}

// riverWorker works the default queue until ctx ends, and never leads.
func riverWorker(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	config := &river.Config{
		Queues:                 map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}},
		LeaderElectionDisabled: true,
	}
	if part.Tuned {
		config.Queues[river.QueueDefault] = river.QueueConfig{MaxWorkers: 2_000}
		config.FetchCooldown, config.FetchPollInterval = 2*time.Millisecond, 20*time.Millisecond
	}
	return runRiver(ctx, part, config)
}

func runRiver(ctx context.Context, part role, config *river.Config) error {
	handle, err := riverHandling(ctx, part)
	if err != nil {
		return err
	}
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, &riverHandler{handle: handle})
	// unique to each start, as River asks
	config.ID = fmt.Sprintf("%s@%d-%d", part.Name, os.Getpid(), time.Now().UnixNano())
	config.JobTimeout, config.RescueStuckJobsAfter = riverJobTimeout, riverRescueAfter
	pool, err := pgxpool.New(ctx, part.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-client.Stopped()
	return nil
}

func riverHandling(ctx context.Context, part role) (func(context.Context, *river.Job[riverWork]) error, error) {
	if part.Count != "" {
		n := counting(ctx, part.Count)
		return func(context.Context, *river.Job[riverWork]) error { n.Add(1); return nil }, nil
	}
	out, err := judge.OpenWriter(os.Getenv(linesEnv))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, job *river.Job[riverWork]) error {
		l := judge.Line{Exec: strconv.FormatInt(job.ID, 10), Attempt: job.Attempt}
		if job.Attempt == 1 { // a retry is scheduled anew
			l.Due = job.ScheduledAt
		}
		return perform(ctx, out, l, job.Args.work)
	}, nil
}

// riverProducer inserts tasks, many at once, until ctx ends.
func riverProducer(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, part.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		return err
	}
	many := make([]river.InsertManyParams, 1000)
	for i := range many {
		many[i] = river.InsertManyParams{Args: riverWork{work{Key: "k"}}}
	}
	for ctx.Err() == nil {
		// The sequence and the count say how many wait, without reading the rows.
		waiting, err := riverWaiting(ctx, pool, part.Count)
		if err == nil && waiting > backlog {
			passed(ctx, 5*time.Millisecond)
			continue
		}
		if err == nil {
			_, err = client.InsertManyFast(ctx, many)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// riverWaiting is how many jobs were inserted and not yet worked.
func riverWaiting(ctx context.Context, pool *pgxpool.Pool, count string) (int64, error) {
	var inserted int64
	if err := pool.QueryRow(ctx, "SELECT last_value FROM river_job_id_seq").Scan(&inserted); err != nil {
		return 0, err
	}
	worked, err := readCount(count)
	return inserted - worked.n, err
}

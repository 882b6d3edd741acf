package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// asynqScheduler runs the ticks until ctx ends. asynq's cron has no seconds, so
// ticks of different seconds go to schedulers whose zones differ by those; to
// asynq each of them is a minute of its own, as people use it.
func asynqScheduler(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	redis, err := asynq.ParseRedisURI(part.Redis)
	if err != nil {
		return err
	}
	schedulers := make(map[int]*asynq.Scheduler)
	for _, t := range part.Ticks {
		s := schedulers[t.At.Second()]
		if s == nil {
			s = asynq.NewScheduler(redis, &asynq.SchedulerOpts{Location: t.zone(), LogLevel: asynq.WarnLevel})
			schedulers[t.At.Second()] = s
		}
		if err := register(s, t, part.Retain); err != nil {
			return err
		}
	}
	for _, s := range schedulers {
		if err := s.Start(); err != nil {
			return err
		}
		defer s.Shutdown()
	}
	<-ctx.Done()
	return nil
}

func register(s *asynq.Scheduler, t tick, retain time.Duration) error {
	payload, err := json.Marshal(work{Key: t.Key})
	if err != nil {
		return err
	}
	var options []asynq.Option
	if retain > 0 {
		options = []asynq.Option{asynq.TaskID(t.Key), asynq.Retention(retain)}
	}
	_, err = s.Register(t.cronMinutes(), asynq.NewTask("work", payload), options...)
	return err
}

// asynqWorker runs tasks until ctx ends.
func asynqWorker(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	redis, err := asynq.ParseRedisURI(part.Redis)
	if err != nil {
		return err
	}
	config := asynq.Config{Concurrency: 10, LogLevel: asynq.WarnLevel}
	if part.Tuned {
		config.Concurrency = 100
		config.TaskCheckInterval = 10 * time.Millisecond
		config.DelayedTaskCheckInterval = 10 * time.Millisecond
	}
	handler, err := asynqHandler(ctx, part)
	if err != nil {
		return err
	}
	server := asynq.NewServer(redis, config)
	if err := server.Start(handler); err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

func asynqHandler(ctx context.Context, part role) (asynq.HandlerFunc, error) {
	if part.Count != "" {
		n := counting(ctx, part.Count)
		return func(context.Context, *asynq.Task) error { n.Add(1); return nil }, nil
	}
	out, err := judge.OpenWriter(os.Getenv(linesEnv))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, t *asynq.Task) error {
		var todo work
		if err := json.Unmarshal(t.Payload(), &todo); err != nil {
			return errors.Join(err, asynq.SkipRetry)
		}
		id, _ := asynq.GetTaskID(ctx)
		retried, _ := asynq.GetRetryCount(ctx)
		return perform(ctx, out, judge.Line{Exec: id, Attempt: retried + 1}, todo)
	}, nil
}

// backlog is how many tasks a producer lets wait: enough that workers never want
// for one, few enough that a run is not about a huge queue.
const backlog = 20_000

// producers is how many goroutines insert.
const producers = 16

// asynqProducer inserts tasks until ctx ends; asynq has no insert of many at once.
func asynqProducer(ctx context.Context, _ []string) error {
	part, err := loadRole()
	if err != nil {
		return err
	}
	redis, err := asynq.ParseRedisURI(part.Redis)
	if err != nil {
		return err
	}
	client := asynq.NewClient(redis)
	defer client.Close()
	inserted := new(atomic.Int64)
	group, ctx := errgroup.WithContext(ctx)
	for range producers {
		group.Go(func() error { return asynqProduce(ctx, client, inserted, part.Count) })
	}
	return group.Wait()
}

func asynqProduce(ctx context.Context, client *asynq.Client, inserted *atomic.Int64, count string) error {
	task := asynq.NewTask("work", []byte(`{"key":"k"}`))
	for ctx.Err() == nil {
		worked, err := readCount(count)
		if err != nil {
			return err
		}
		if inserted.Load()-worked.n > backlog {
			passed(ctx, 5*time.Millisecond)
			continue
		}
		for range backlog / producers / 4 {
			if _, err := client.EnqueueContext(ctx, task); err != nil && ctx.Err() == nil {
				return err
			}
			inserted.Add(1)
		}
	}
	return nil
}

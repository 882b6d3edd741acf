package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// asynqContenders are the two ways in which asynq is run: as its manual says, and
// as its author advises those who want more than one scheduler.
func asynqContenders() []contender {
	one := contender{
		Name:   "asynq",
		Module: "github.com/hibiken/asynq",
		Redis:  true,
		Settings: []string{
			"one Scheduler, started again after it has ended, as the manual asks; Servers with Concurrency 10, as in " +
				"its examples",
		},
		Promise: "Promises at-least-once for a task that is in Redis. Its manual says that only one scheduler " +
			"may run, " +
			"and nothing of fires while it is down; Redis holds the only copy.",
		schedulers: 1,
		make:       func(s size) system { return &asynqSystem{size: s} },
	}
	several := one
	several.Name = "asynq, TaskID"
	several.schedulers = 0
	several.Settings = []string{
		"several Schedulers; each periodic task with a TaskID of its own and Retention 20s, as its author advises; " +
			"Servers as above",
	}
	several.Promise = "Advice in a discussion, not in the manual; else as asynq."
	several.make = func(s size) system { return &asynqSystem{size: s, retain: 20 * time.Second} }
	return []contender{one, several}
}

// asynqSystem is schedulers and servers over one Redis.
type asynqSystem struct {
	size      size
	retain    time.Duration
	sched     []*proc
	work      []*proc
	client    *asynq.Client
	inspector *asynq.Inspector
}

// asynqQueue is the queue of all tasks, the default one.
const asynqQueue = "default"

// kept is how long asynq shows a task after its success; without, it is gone.
const kept = time.Hour

func (s *asynqSystem) start(_ context.Context, r *rig, ticks []tick) error {
	opt, err := asynq.ParseRedisURI(r.redisURL())
	if err != nil {
		return err
	}
	s.client, s.inspector = asynq.NewClient(opt), asynq.NewInspector(opt)
	if s.work, err = r.processes("worker", "asynq-worker", s.size.workers, role{Tuned: s.size.tuned}); err != nil {
		return err
	}
	s.sched, err = r.processes("scheduler", "asynq-scheduler", s.size.schedulers, role{Ticks: ticks, Retain: s.retain})
	return err
}

func (s *asynqSystem) stop(ctx context.Context) error {
	var errs []error
	for _, p := range append(s.sched, s.work...) {
		errs = append(errs, p.stop(ctx))
	}
	if s.client != nil {
		errs = append(errs, s.client.Close(), s.inspector.Close())
	}
	return errors.Join(errs...)
}

func (s *asynqSystem) submit(ctx context.Context, list []task) (ids []string, err error) {
	for _, t := range list {
		payload, err := json.Marshal(workOf(t))
		if err != nil {
			return ids, err
		}
		options := []asynq.Option{asynq.Retention(kept)}
		if !t.Due.IsZero() {
			options = append(options, asynq.ProcessAt(t.Due))
		}
		info, err := s.client.EnqueueContext(ctx, asynq.NewTask("work", payload), options...)
		if err != nil {
			return ids, err
		}
		ids = append(ids, info.ID)
	}
	return ids, nil
}

func (s *asynqSystem) done(_ context.Context, id string) (bool, error) {
	info, err := s.inspector.GetTaskInfo(asynqQueue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return false, nil
	}
	return err == nil && info.State == asynq.TaskStateCompleted, err
}

func (s *asynqSystem) open(context.Context) (int, error) {
	queues, err := s.inspector.Queues()
	if err != nil || !slices.Contains(queues, asynqQueue) { // before the first task there is none
		return 0, err
	}
	info, err := s.inspector.GetQueueInfo(asynqQueue)
	if err != nil {
		return 0, err
	}
	return info.Pending + info.Active + info.Scheduled + info.Retry, nil
}

func (s *asynqSystem) schedulers() []member { return members(s.sched) }

func (s *asynqSystem) workers() []member { return members(s.work) }

func (s *asynqSystem) leader(context.Context) (member, error) { return nil, nil }

func (s *asynqSystem) answering() []member { return nil }

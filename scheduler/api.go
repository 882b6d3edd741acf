package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

const (
	// planners is how many transactions plan changed jobs at a time.
	planners = 2
	// announcers is how many calls at a time announce what was triggered.
	announcers = 2
)

// JobChanged plans those of the jobs at once that are due within the horizon.
// Changes that come together share a transaction. An error is logged: the scan
// finds the jobs anyway.
func (s *Scheduler) JobChanged(ctx context.Context, ids ...firjob.JobID) {
	for part := range slices.Chunk(ids, firjob.MaxBatch) {
		if _, err := s.changes.Do(context.WithoutCancel(ctx), part); err != nil {
			s.log.WarnContext(ctx, "jobs cannot be planned at once; the scan will", "job", part[0], "jobs", len(part),
				"error", err)
		}
	}
}

func (s *Scheduler) planChanged(ctx context.Context, ids []firjob.JobID) ([]struct{}, error) {
	return make([]struct{}, len(ids)), s.planner.jobs(ctx, ids)
}

// Announce tells the queue of executions that were just recorded. Those of several
// callers, whose triggers shared a transaction, share a call. An error is the
// queue's to deal with, and the sweep finds what was not announced.
func (s *Scheduler) Announce(ctx context.Context, due ...firjob.Due) {
	if len(due) == 0 {
		return
	}
	if _, err := s.announcements.Do(context.WithoutCancel(ctx), due); err != nil {
		s.log.WarnContext(ctx, "executions cannot be announced at once; the sweep will", "executions", len(due),
			"error", err)
	}
}

func (s *Scheduler) announce(ctx context.Context, due []firjob.Due) ([]struct{}, error) {
	s.queue.Announce(ctx, due)
	return make([]struct{}, len(due)), nil
}

// Horizon is how far ahead executions are recorded.
func (s *Scheduler) Horizon() time.Duration { return s.options.Horizon }

// Retention is how long executions are kept.
func (s *Scheduler) Retention() time.Duration { return s.options.Retention }

// Drain makes Draining true before Run's context ends, so that load balancers
// turn away first.
func (s *Scheduler) Drain() { s.draining.Store(true) }

// Status tells how this server sees the cluster.
func (s *Scheduler) Status(ctx context.Context) (ports.Status, error) {
	status := ports.Status{
		Replica:  s.options.Replica,
		Replicas: s.peers.replicas(),
		Degraded: s.queue.degraded.Load(),
		Draining: s.draining.Load(),
	}
	if status.Degraded {
		return status, nil
	}
	due, leased, err := s.queue.Depth(ctx)
	if err != nil {
		s.queue.failed(ctx, "depth", err)
		status.Degraded = true
		return status, nil
	}
	for i := range due {
		status.Due += due[i]
		status.Leased += leased[i]
	}
	return status, nil
}

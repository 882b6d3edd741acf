package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// halfPlanned is a store that commits plans and fails in what comes after.
type halfPlanned struct {
	Store
	committed []firjob.Due
}

// announced is a queue that records what is announced.
type announced struct {
	Queue
	due []firjob.Due
}

var errHalf = errors.New("the store is gone")

func (h *halfPlanned) PlanDue(context.Context, time.Duration, int, ports.Expand) ([]firjob.Due, int, error) {
	return h.committed, 1, nil
}

func (h *halfPlanned) PlanLater(context.Context, time.Duration, int) ([]firjob.Due, int, error) {
	return nil, 0, errHalf
}

func (h *halfPlanned) PlanJobs(context.Context, []firjob.JobID, time.Duration, ports.Expand) ([]firjob.Due, error) {
	return h.committed, errHalf
}

func (a *announced) Announce(_ context.Context, due []firjob.Due) error {
	a.due = append(a.due, due...)
	return nil
}

// What is committed is announced, even if the store fails right after.
func TestCommittedPlansAreAnnouncedBeforeAFailure(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]func(*planner) error{
		"scan, failing at the triggers": func(p *planner) error {
			_, _, err := p.batch(t.Context(), time.Minute)
			return err
		},
		"named jobs, failing half-way": func(p *planner) error { return p.jobs(t.Context(), []firjob.JobID{1, 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &halfPlanned{committed: []firjob.Due{{ID: firjob.Fire(1, noon), At: noon}}}
			q, m, log := &announced{}, newMetrics(nil), slog.New(slog.DiscardHandler)
			p := &planner{store: h, queue: &guardedQueue{Queue: q, metrics: m, log: log}, clock: newStoreClock(time.Now), metrics: m}
			if err := plan(p); !errors.Is(err, errHalf) {
				t.Errorf("the plan ends with %v, want %v", err, errHalf)
			}
			if diff := cmp.Diff(h.committed, q.due); diff != "" {
				t.Errorf("announced (-committed +announced):\n%s", diff)
			}
		})
	}
}

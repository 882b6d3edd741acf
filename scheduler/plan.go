package scheduler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/internal/ports"
)

// planBatch is how many jobs one transaction plans.
const planBatch = 256

// urgent is how near a fire must be for the planner to go on without a breath.
const urgent = 10 * time.Second

// planner records fires ahead of time and announces them. The row comes before
// the announcement: what is lost in between is found by the sweep.
type planner struct {
	store    Store
	queue    *guardedQueue
	clock    *storeClock
	horizon  time.Duration
	tables   timetables
	metrics  *metrics
	troubles *troubles
	repairs  *repairs
}

// pass plans all that is due within the horizon. The end of the horizon is
// fixed when the pass begins, or jobs with short intervals would keep it busy
// for ever.
func (p *planner) pass(ctx context.Context, horizon time.Duration) {
	start := p.clock.local()
	for ctx.Err() == nil {
		began := p.clock.local()
		more, first, err := p.batch(ctx, horizon-began.Sub(start))
		if !p.troubles.report(ctx, "plan", err) {
			return
		}
		if !more {
			return
		}
		if p.clock.Until(first) > urgent {
			// Leave half of the database to what is due now.
			sleep(ctx, p.clock.local().Sub(began))
		}
	}
}

// batch plans one batch and returns whether there is more to do, and the
// earliest fire that it recorded.
func (p *planner) batch(ctx context.Context, horizon time.Duration) (more bool, first time.Time, err error) {
	var capped atomic.Bool
	planned, taken, err := p.store.PlanDue(ctx, horizon, planBatch, p.expand(horizon, &capped))
	if err != nil {
		return false, first, err
	}
	p.announce(ctx, planned) // they are committed, whatever comes of the triggers
	later, moved, err := p.store.PlanLater(ctx, horizon, planBatch)
	if err != nil {
		return false, first, err
	}
	p.announce(ctx, later)
	for _, d := range append(planned, later...) {
		if first.IsZero() || d.At.Before(first) {
			first = d.At
		}
	}
	return taken == planBatch || moved == planBatch || capped.Load(), first, nil
}

// jobs plans the named jobs at once, if they are due within the horizon.
func (p *planner) jobs(ctx context.Context, ids []firjob.JobID) error {
	for {
		var capped atomic.Bool
		planned, err := p.store.PlanJobs(ctx, ids, p.horizon, p.expand(p.horizon, &capped))
		p.announce(ctx, planned) // on an error, too: what came before it is committed
		if err != nil || !capped.Load() || len(planned) == 0 {
			return err
		}
	}
}

func (p *planner) announce(ctx context.Context, planned []firjob.Due) {
	failpoint.Crash(failpoint.AfterPlan, len(planned))
	p.metrics.planned.Add(float64(len(planned)))
	p.queue.Announce(ctx, planned)
}

// expand returns the callback that the store asks for the fires of a job.
// capped is set when a job has more fires within the horizon than it gave.
func (p *planner) expand(horizon time.Duration, capped *atomic.Bool) ports.Expand {
	return func(now time.Time, job firjob.Job, anchor time.Time) (ports.Plan, error) {
		times, err := p.tables.get(job, anchor)
		if err != nil {
			return ports.Plan{}, err
		}
		if job.NextFireAt == nil {
			return ports.Plan{}, nil
		}
		if now.Sub(*job.NextFireAt) > overdueSlack {
			p.repairs.add(repairLate, 1)
		}
		e := expansion{times: times, now: now, until: now.Add(horizon), misfire: job.Misfire}
		if job.Schedule.Kind == firjob.ScheduleDelay {
			return e.planDelay(job, *job.NextFireAt)
		}
		plan := e.plan(*job.NextFireAt)
		if !plan.Next.IsZero() && !plan.Next.After(e.until) {
			capped.Store(true)
		}
		return plan, nil
	}
}

package checker

import (
	"cmp"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// policies is I10: no more handlers of a job at a time than it allows, one child
// for each success of its parent, and nothing begins that the record says was
// left out.
func (c *check) policies() {
	active := map[firjob.JobID][]run{}
	for id, runs := range c.runs {
		active[id.Job()] = append(active[id.Job()], runs...)
		switch r := c.rows[id]; r.State {
		case firjob.StateSkipped, firjob.StateMissed, firjob.StateSuperseded:
			c.fail("I10 policy", id, c.wall(runs[0].begin), "a handler began, but the record says %s (%s)", r.State,
				r.Reason)
		}
	}
	for job, p := range c.plans {
		c.bound(p, active[job])
		c.children(job, p)
	}
}

// bound checks that no more handlers of a job were active than it allows. One
// whose attempt had been declared lost by then does not count: its executor is
// the last to hear of that.
func (c *check) bound(p plan, runs []run) {
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.begin, b.begin) })
	for i, r := range runs {
		at := c.wall(r.begin)
		limit := p.at(at).MaxRunning
		if limit == 0 {
			continue
		}
		n := 1
		for _, other := range runs[:i] {
			if other.end > r.begin && !c.lostBefore(other, at) {
				n++
			}
		}
		if n > limit {
			c.fail("I10 policy", r.Execution, at, "%d handlers of the job were active, at most %d may be", n, limit)
		}
	}
}

func (c *check) lostBefore(r run, at time.Time) bool {
	return slices.ContainsFunc(c.rows[r.Execution].Attempts, func(a firjob.Attempt) bool {
		return a.Token == r.Token && a.Outcome == firjob.OutcomeLost && a.FinishedAt != nil && !a.FinishedAt.After(at)
	})
}

// children checks that each success of the job's parent led to one execution.
func (c *check) children(job firjob.JobID, p plan) {
	if len(p) == 0 || p[0].spec.Parent == 0 {
		return
	}
	led := map[firjob.ExecutionID]int{}
	for _, r := range c.byJob[job] {
		led[r.Parent]++
	}
	for _, r := range c.byJob[p[0].spec.Parent] {
		began := r.ID.ScheduledAt().After(p[0].sure) && r.FinishedAt.Before(c.cutoff())
		if n := led[r.ID]; r.State == firjob.StateSucceeded && began && n != 1 {
			c.fail("I10 policy", r.ID, r.FinishedAt, "its success led to %d executions of job %d, want 1", n, job)
		}
	}
}

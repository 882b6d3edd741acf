package checker

import (
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// attempted is the part of I7 that is about single attempts: each handler that
// began is an attempt of its record, and none is lost for good that was to be made
// again.
func (c *check) attempted() {
	for id, runs := range c.runs {
		row, ok := c.rows[id]
		if !ok {
			continue // a phantom
		}
		for _, r := range runs {
			known := slices.ContainsFunc(row.Attempts, func(a firjob.Attempt) bool { return a.Token == r.Token })
			if !known {
				c.fail("I7 legal history", id, c.wall(r.begin),
					"a handler began with token %d, which is no attempt of its record", r.Token)
			}
		}
	}
	for id, row := range c.rows {
		if row.State != firjob.StateLost || row.FinishedAt.IsZero() {
			continue
		}
		p := c.plans[id.Job()]
		if n := lost(row); n < firjob.MaxLost && !p.at(id.ScheduledAt()).AtMostOnce && !p.at(row.FinishedAt).Deleted {
			c.fail("I7 legal history", id, row.FinishedAt,
				"it is lost for good, though only %d of its attempts were (%s)", n, row.Reason)
		}
	}
}

// lost counts the attempts that nobody answered for.
func lost(r Row) (n int) {
	for _, a := range r.Attempts {
		if a.Outcome == firjob.OutcomeLost {
			n++
		}
	}
	return n
}

// spooling is how long an executor may take from the end of a handler until the
// result survives the executor. It takes milliseconds.
const spooling = time.Second

// answered is the executors' part of I6: the result of a handler that ended well,
// and whose process lived on for a moment, is answered for in the end, whatever
// became of that process after it.
func (c *check) answered() {
	receipts := map[firjob.AttemptRef]bool{}
	lastOf := map[int]time.Duration{} // sign of life, by process
	listened := false
	for _, e := range c.events {
		switch e.Kind {
		case KindCallback:
			listened = true
			if e.Receipt != "" {
				receipts[firjob.AttemptRef{ID: e.Execution, Token: e.Token}] = true
			}
		case KindStart, KindEnd:
			lastOf[e.PID] = max(lastOf[e.PID], e.Mono)
		}
	}
	for _, e := range c.events {
		if !listened || e.Kind != KindEnd || e.Phase != PhaseOK || lastOf[e.PID]-e.Mono < spooling ||
			c.wall(e.Mono).After(c.cutoff()) {
			continue
		}
		if !receipts[firjob.AttemptRef{ID: e.Execution, Token: e.Token}] {
			c.report.LostAcknowledgements++
			c.fail("I6 acknowledged", e.Execution, c.wall(e.Mono),
				"the handler with token %d ended well and its process lived on, but no server ever answered for "+
					"the result", e.Token)
		}
	}
}

// settled is the part of I9 that is about records: of what was due long ago nothing
// is open in the end, whether it had to be or not. What I1 has found is not told
// twice.
func (c *check) settled() {
	told := map[firjob.ExecutionID]bool{}
	for _, v := range c.report.Violations {
		told[v.Execution] = true
	}
	for id, row := range c.rows {
		if row.State.Final() || told[id] || id.ScheduledAt().After(c.cutoff()) {
			continue
		}
		c.report.Stuck++
		c.fail("I9 recovered", id, id.ScheduledAt(), "the execution is still %s (%s)", row.State, row.Reason)
	}
}

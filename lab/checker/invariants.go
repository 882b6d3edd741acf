package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// complete is I1: each fire that had to be has one record, which has ended or
// stands for a policy, and was begun at least once unless that policy excuses it.
func (c *check) complete() {
	for _, job := range slices.Sorted(maps.Keys(c.plans)) {
		p := c.plans[job]
		covering := c.cover(job)
		for at, asked := range p.targets(c.origin.Wall, c.cutoff(), c.Lead+c.OnTime) {
			if asked != must {
				continue
			}
			c.report.Targets++
			id := firjob.Fire(job, at)
			row, ok := covering(at)
			switch {
			case !ok:
				c.report.Missed++
				c.fail("I1 complete", id, at, "the fire is not recorded")
			case !row.State.Final():
				c.report.Stuck++
				c.fail("I1 complete", id, at, "the execution is still %s (%s)", row.State, row.Reason)
			case !c.excused(p, row, at) && len(c.runs[row.ID]) == 0:
				c.report.Missed++
				c.fail("I1 complete", id, at, "no executor began it; its record says %s (%s)", row.State, row.Reason)
			case c.excused(p, row, at):
				c.report.Excused++
			}
		}
	}
}

// triggered is the other half of I1: what was asked for and promised has a record
// that has ended, and was begun.
func (c *check) triggered() {
	for _, e := range c.events {
		if e.Kind != KindWrite || e.Op != OpTrigger || e.Phase != PhaseOK ||
			e.Execution.ScheduledAt().After(c.cutoff()) {
			continue
		}
		c.report.Triggered++
		switch row, ok := c.rows[e.Execution]; {
		case !ok:
			c.report.Missed++
			c.fail("I1 complete", e.Execution, c.wall(e.Mono),
				"it was promised by the answer to a trigger, but there is no record")
		case !row.State.Final():
			c.report.Stuck++
			c.fail("I1 complete", e.Execution, c.wall(e.Mono), "it was triggered and is still %s (%s)", row.State,
				row.Reason)
		case len(c.runs[e.Execution]) == 0:
			c.report.Missed++
			c.fail("I1 complete", e.Execution, c.wall(e.Mono),
				"it was triggered, but no executor began it; its record says %s (%s)", row.State, row.Reason)
		}
	}
}

// cutoff is the instant until which fires are asked for: what is due after it
// may not have had its time.
func (c *check) cutoff() time.Time { return c.end.Add(-c.OnTime - c.Recovery) }

// cover returns the record that stands for a fire of the job: its own, or that
// of a missed range.
func (c *check) cover(job firjob.JobID) func(at time.Time) (Row, bool) {
	var ranges []Row
	for _, r := range c.byJob[job] {
		if r.Missed != nil {
			ranges = append(ranges, r)
		}
	}
	return func(at time.Time) (Row, bool) {
		if r, ok := c.rows[firjob.Fire(job, at)]; ok {
			return r, true
		}
		for _, r := range ranges {
			if r.covers(at) {
				return r, true
			}
		}
		return Row{}, false
	}
}

// excused reports whether a policy of the job allows that the fire was not
// run. The record must say so, with a reason.
func (c *check) excused(p plan, row Row, at time.Time) bool {
	spec := p.at(at)
	switch row.State {
	case firjob.StateSkipped:
		return row.Reason != "" && spec.Overlap == firjob.OverlapSkip
	case firjob.StateMissed:
		// A change finds what nobody could record before it, and has it so recorded.
		changed := row.Missed != nil && p.changedAround(row.FinishedAt, c.Lead+c.OnTime)
		return row.Reason != "" && (spec.Misfire != firjob.MisfireFireAll || changed)
	case firjob.StateLost:
		// An attempt that was lost is not made again for a job that was deleted meanwhile.
		return row.Reason != "" && (spec.AtMostOnce || p.at(row.FinishedAt).Deleted)
	case firjob.StateSuperseded:
		// A fire that a fault held up may meet a change that came after it, while it
		// may still be late.
		return row.Reason != "" && p.changedAround(row.FinishedAt, c.Lead+c.OnTime) &&
			(spec.MaxRunning > 0 || !c.overdue(at, row.FinishedAt))
	}
	return false
}

// phantoms is I2: nothing ran that is not recorded, nothing is recorded that no
// version of its job fires, and no attempt was given to two tokens.
func (c *check) phantoms() {
	for id, runs := range c.runs {
		if _, ok := c.rows[id]; !ok {
			c.fail("I2 no phantom", id, id.ScheduledAt(), "%d handlers began, but there is no record", len(runs))
		}
	}
	for job, p := range c.plans {
		asked := p.targets(c.origin.Wall.Add(-time.Hour), c.end.Add(time.Hour), c.Lead+c.OnTime)
		for _, r := range c.byJob[job] {
			if r.ID.Kind() != firjob.KindSchedule || r.Missed != nil || r.State == firjob.StateSuperseded {
				continue
			}
			if asked[r.ID.ScheduledAt()] == forbidden {
				c.report.Phantoms++
				c.fail("I2 no phantom", r.ID, r.ID.ScheduledAt(),
					"no version of the job fires then; its record says %s (%s)", r.State, r.Reason)
			}
		}
	}
	for id, list := range c.received {
		firsts := map[int64]bool{}
		for _, e := range list {
			if e.Attempt == 1 {
				firsts[e.Token] = true
			}
		}
		if len(firsts) > 1 && !c.gaveBack(id) {
			c.report.Doubled++
			c.fail("I2 no phantom", id, id.ScheduledAt(), "its first attempt came with %d tokens", len(firsts))
		}
	}
}

// gaveBack reports whether more tokens than attempts are in order: a claim that
// certainly reached no handler is given back, and its attempt not counted.
func (c *check) gaveBack(id firjob.ExecutionID) bool {
	begun := map[int64]bool{}
	for _, r := range c.runs[id] {
		if r.Attempt == 1 {
			begun[r.Token] = true
		}
	}
	return len(begun) <= 1
}

// tokens is I4: tokens grow with the attempts, and no handler begins after one
// of a higher token has.
func (c *check) tokens() {
	for id, runs := range c.runs {
		slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.begin, b.begin) })
		attempts := map[int64]int{}
		highest := int64(0)
		for _, r := range runs {
			if r.Token < highest {
				c.report.Zombies++
				c.fail("I4 tokens", id, c.wall(r.begin), "a handler began with token %d after one with %d had", r.Token,
					highest)
			}
			highest = max(highest, r.Token)
			if have, ok := attempts[r.Token]; ok && have != r.Attempt {
				c.fail("I4 tokens", id, c.wall(r.begin), "token %d stands for the attempts %d and %d", r.Token, have,
					r.Attempt)
			}
			attempts[r.Token] = r.Attempt
		}
		for i := range runs {
			if i > 0 && runs[i].Token == runs[i-1].Token {
				c.report.Doubled++
				c.fail("I4 tokens", id, c.wall(runs[i].begin), "two handlers began with the token %d", runs[i].Token)
			}
		}
	}
}

// overlaps is I5: of one execution one handler is active at a time, but for a
// fault that keeps an executor from hearing that it has lost its lease.
func (c *check) overlaps() {
	for id, runs := range c.runs {
		for i := 1; i < len(runs); i++ {
			before, after := runs[i-1], runs[i]
			if before.end < 0 || before.end <= after.begin {
				continue // it ended before, or with its process
			}
			if _, disturbed := c.disturbed(c.wall(after.begin)); !disturbed {
				c.fail("I5 one active", id, c.wall(after.begin),
					"a handler with token %d began while that of token %d was active", after.Token, before.Token)
			}
			c.report.Overlapped++
		}
	}
}

// acknowledged is I6: a result that was answered with 200 as recorded is the
// attempt's record, and nothing succeeded that no executor reported.
func (c *check) acknowledged() {
	reported := map[firjob.AttemptRef]map[firjob.Outcome]bool{}
	for _, e := range c.events {
		if e.Kind != KindCallback {
			continue
		}
		ref := firjob.AttemptRef{ID: e.Execution, Token: e.Token}
		if reported[ref] == nil {
			reported[ref] = map[firjob.Outcome]bool{}
		}
		reported[ref][e.Outcome] = true
		if e.Status == 200 && e.Receipt == firjob.ReceiptRecorded && !c.recorded(ref, e.Outcome) {
			c.report.LostAcknowledgements++
			c.fail("I6 acknowledged", e.Execution, c.wall(e.Mono),
				"token %d was acknowledged as %s; the record says %s", e.Token, e.Outcome, c.describe(ref))
		}
	}
	if len(reported) == 0 {
		return // nobody listened on the wire
	}
	for id, r := range c.rows {
		ref := firjob.AttemptRef{ID: id, Token: r.Token}
		if r.State == firjob.StateSucceeded && len(c.runs[id]) > 0 && !reported[ref][firjob.OutcomeSucceeded] {
			c.fail("I6 acknowledged", id, r.FinishedAt,
				"it is recorded as succeeded, but no executor said so with token %d", r.Token)
		}
	}
}

func (c *check) recorded(ref firjob.AttemptRef, outcome firjob.Outcome) bool {
	return slices.ContainsFunc(c.rows[ref.ID].Attempts,
		func(a firjob.Attempt) bool { return a.Token == ref.Token && a.Outcome == outcome })
}

func (c *check) describe(ref firjob.AttemptRef) string {
	for _, a := range c.rows[ref.ID].Attempts {
		if a.Token == ref.Token {
			return string(a.Outcome)
		}
	}
	return "nothing of that token"
}

// legal is I7: final records have an end and a reason where one is due, open
// ones have none, and attempts stay within their bounds and grow in order.
func (c *check) legal() {
	for id, r := range c.rows {
		if r.State.Final() == r.FinishedAt.IsZero() {
			c.fail("I7 legal history", id, id.ScheduledAt(), "state %s with the end %v", r.State, r.FinishedAt)
		}
		if r.State.Final() && r.State != firjob.StateSucceeded && r.Reason == "" {
			c.fail("I7 legal history", id, id.ScheduledAt(), "state %s without a reason", r.State)
		}
		if r.Attempt > c.MaxAttempts {
			c.fail("I7 legal history", id, id.ScheduledAt(), "%d attempts, more than %d", r.Attempt, c.MaxAttempts)
		}
		for i := 1; i < len(r.Attempts); i++ {
			if r.Attempts[i].Token <= r.Attempts[i-1].Token {
				c.fail("I7 legal history", id, id.ScheduledAt(), "attempt %d has token %d after %d",
					r.Attempts[i].Attempt, r.Attempts[i].Token, r.Attempts[i-1].Token)
			}
		}
	}
}

// effects is I8: a resource that checks tokens never took effect with a lower
// token after a higher one, and what succeeded wrote to it with the token of its
// record. Jobs of which there is no write at all have none to do.
func (c *check) effects() {
	highest := map[string]int64{}
	took, writers := map[firjob.AttemptRef]bool{}, map[firjob.JobID]bool{}
	for _, e := range c.dump.Effects {
		if id, err := firjob.ParseExecutionID(e.Key); err == nil {
			writers[id.Job()] = true
			took[firjob.AttemptRef{ID: id, Token: e.Token}] = !e.Refused
		}
		if e.Token < highest[e.Key] && !e.Refused {
			c.fail("I8 effects", firjob.ExecutionID{}, c.end, "%s was written with token %d after %d", e.Key, e.Token,
				highest[e.Key])
		}
		if e.Refused {
			c.report.FencedOff++
		}
		highest[e.Key] = max(highest[e.Key], e.Token)
	}
	for id, r := range c.rows {
		if r.State == firjob.StateSucceeded && writers[id.Job()] && !took[firjob.AttemptRef{ID: id, Token: r.Token}] {
			c.fail("I8 effects", id, r.FinishedAt,
				"it is recorded as succeeded with token %d, whose last write the resource did not take", r.Token)
		}
	}
}

// recovered is I9: once all is quiet nothing is overdue, and the delay queue
// holds what is planned and nothing else.
func (c *check) recovered() {
	queued := map[firjob.ExecutionID]bool{}
	for _, id := range c.dump.Queued {
		queued[id] = true
	}
	planned := map[firjob.ExecutionID]bool{}
	for _, id := range c.dump.Planned {
		planned[id] = true
		if !queued[id] {
			c.fail("I9 recovered", id, c.end, "it is planned within the horizon and not in the delay queue")
		}
	}
	for id := range queued {
		if !planned[id] {
			c.fail("I9 recovered", id, c.end, "it is in the delay queue, but its record says %q", c.rows[id].State)
		}
	}
}

// bounded is I11: what processes and stores use is back where it was.
func (c *check) bounded() {
	for _, left := range c.dump.Leftovers {
		c.fail("I11 bounded", firjob.ExecutionID{}, c.end, "%s", left)
	}
	for _, name := range slices.Sorted(maps.Keys(c.dump.After)) {
		before, after := c.dump.Before[name], c.dump.After[name]
		if after > before*(1+c.Growth)+1 {
			c.fail("I11 bounded", firjob.ExecutionID{}, c.end, "%s: %s", name,
				fmt.Sprintf("%.0f in the end, %.0f before", after, before))
		}
	}
}

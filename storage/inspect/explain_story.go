package inspect

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// story tells what became of an execution: in one sentence, and step by step.
func (f *facts) story(e firjob.Execution) (string, []ports.Step) {
	steps := append([]ports.Step{f.origin(e)}, f.attempts(e)...)
	steps = append(steps, shards(e)...)
	if e.State == firjob.StatePlanned {
		verdict, why := f.waits(e)
		return verdict, append(steps, why)
	}
	if e.State == firjob.StateRunning {
		return f.runs(e), steps
	}
	if n := len(e.Attempts); n == 0 || e.Attempts[n-1].Outcome.State() != e.State {
		steps = append(steps, endStep(e.State, e.Reason, e.FinishedAt))
	}
	return finalText(e), steps
}

// origin says what asked for the execution.
func (f *facts) origin(e firjob.Execution) ports.Step {
	switch {
	case e.RetryOf != nil:
		return step(nil, "planned", "somebody asked for it: it runs execution %s again", e.RetryOf)
	case e.Kind == firjob.KindManual:
		return step(nil, "planned", "somebody triggered it")
	case e.Kind == firjob.KindChild && e.Parent != nil:
		return step(nil, "planned", "the end of execution %s triggered it", e.Parent)
	case e.Kind == firjob.KindChild:
		return step(nil, "planned", "the end of a parent job triggered it")
	case f.detail.backfill != nil:
		return step(nil, "planned", "backfill %d runs this fire again", *f.detail.backfill)
	}
	return step(nil, "planned", "version %d of the job planned it: %s", e.JobVersion, f.times.Text())
}

// attempts tells of each sending, and of the claim if the last is under way.
func (f *facts) attempts(e firjob.Execution) []ports.Step {
	var steps []ports.Step
	for i, a := range e.Attempts {
		if i == len(e.Attempts)-1 && a.Token == e.Token && f.detail.claimedAt != nil {
			steps = append(steps,
				step(f.detail.claimedAt, "claimed", "server %s claimed it for attempt %d", f.detail.claimedBy,
					a.Attempt))
		}
		if a.Executor != "" {
			steps = append(steps,
				step(a.StartedAt, "routed", "attempt %d went to executor %s, by route %s", a.Attempt, a.Executor,
					f.job.Route))
		}
		if a.Outcome != "" {
			steps = append(steps,
				step(a.FinishedAt, "attempt", "attempt %d (token %d) %s", a.Attempt, a.Token, outcomeText(a)))
		}
	}
	return steps
}

func outcomeText(a firjob.Attempt) string {
	text := map[firjob.Outcome]string{
		firjob.OutcomeSucceeded: "succeeded", firjob.OutcomeFailed: "failed", firjob.OutcomeTimedOut: "timed out",
		firjob.OutcomeCancelled: "was cancelled", firjob.OutcomeLost: "was lost: nobody answered",
	}[a.Outcome]
	if a.StartedAt != nil && a.FinishedAt != nil {
		text += fmt.Sprintf(" after %v",
			firjob.Duration(max(0, a.FinishedAt.Sub(*a.StartedAt).Round(time.Millisecond))))
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}

// waits says what a planned execution waits for.
func (f *facts) waits(e firjob.Execution) (string, ports.Step) {
	last := len(e.Attempts) - 1
	switch {
	case e.DueAt.After(f.now) && last >= 0 && e.Attempts[last].Outcome != firjob.OutcomeLost:
		return fmt.Sprintf("It waits for its next attempt, at %s: the retry rule allows %d in all.", shown(e.DueAt),
				f.job.Retry.MaxAttempts),
			step(&e.DueAt, "retry", "attempt %d failed; %s", e.Attempts[last].Attempt,
				orElse(e.Reason, e.Attempts[last].Reason))
	case e.DueAt.After(f.now) && e.Token == 0:
		return fmt.Sprintf("It is planned and will be sent at %s.", shown(e.DueAt)),
			step(&e.DueAt, "due", "it is not due yet")
	case f.detail.waiting && f.detail.appQueue == nil:
		return fmt.Sprintf("It waits for its turn among the executions of its job: overlap rule %s, %s.", f.job.Overlap,
				before(f.detail.jobQueue)),
			step(nil, "overlap", "%s", e.Reason)
	case f.detail.appQueue != nil:
		return fmt.Sprintf("It waits for a place among the executions of app %s, which has a limit: %s.", e.App,
				before(*f.detail.appQueue)),
			step(nil, "app_limit", "%s", orElse(e.Reason, "the app's limit is reached"))
	case e.Reason != "":
		return fmt.Sprintf("It is due since %s and has no executor yet: %s.", shown(e.ScheduledAt), e.Reason),
			step(&e.DueAt, "executor", "it is tried again at %s", shown(e.DueAt))
	}
	return fmt.Sprintf("It is due since %s, and no server has claimed it yet.", shown(e.DueAt)),
		step(&e.DueAt, "claim", "it waits to be claimed: is a server running, and can it reach Postgres?")
}

// before says how many come first in a queue.
func before(n int) string {
	switch n {
	case 0:
		return "it is the next"
	case 1:
		return "1 comes before it"
	}
	return fmt.Sprintf("%d come before it", n)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (f *facts) runs(e firjob.Execution) string {
	text := fmt.Sprintf("It runs, attempt %d%s.", e.Attempt, where(e))
	if e.Executor == "" && len(e.Shards) == 0 {
		text = fmt.Sprintf("Server %s has claimed it; no executor has named it yet.", f.detail.claimedBy)
		if e.Reason != "" {
			text += " The latest that is known: " + e.Reason + "."
		}
	}
	if f.detail.cancel {
		text += " Somebody asked to cancel it."
	}
	return text
}

// finalText is the verdict about an execution that has ended.
func finalText(e firjob.Execution) string {
	switch e.State {
	case firjob.StateSucceeded:
		return fmt.Sprintf("It ran and succeeded, at attempt %d%s%s.", e.Attempt, where(e), latenessText(e))
	case firjob.StateFailed:
		return fmt.Sprintf("It ran and failed, %s: %s.", tries(e.Attempt), e.Reason)
	case firjob.StateTimedOut:
		return fmt.Sprintf("It ran and timed out, %s: %s.", tries(e.Attempt), e.Reason)
	case firjob.StateLost:
		return fmt.Sprintf("It was sent, and nobody answered, %s: %s.", tries(e.Attempt), e.Reason)
	case firjob.StateMissed:
		if e.Missed != nil && e.Missed.Count > 1 {
			return fmt.Sprintf(
				"It was not run: it is the first of %d fires, the last at %s, that one record stands for: %s.",
				e.Missed.Count, shown(e.Missed.Until), e.Reason)
		}
	case firjob.StateCancelled:
		return fmt.Sprintf("It was cancelled: %s.", e.Reason)
	}
	return fmt.Sprintf("It was not run: %s.", e.Reason)
}

// where says who ran it, as far as that is known.
func where(e firjob.Execution) string {
	switch {
	case len(e.Shards) > 0:
		return fmt.Sprintf(", as %d shards", len(e.Shards))
	case e.Executor != "":
		return ", on executor " + e.Executor
	}
	return ""
}

// maxShards bounds the shards that are told of one by one.
const maxShards = 20

// shards tells how the parts of a broadcast stand, and which have failed.
func shards(e firjob.Execution) []ports.Step {
	if len(e.Shards) == 0 {
		return nil
	}
	open, succeeded := 0, 0
	var failed []ports.Step
	for _, s := range e.Shards {
		switch {
		case !s.State.Final():
			open++
		case s.State == firjob.StateSucceeded:
			succeeded++
		default:
			failed = append(failed,
				step(s.FinishedAt, "shard", "shard %d%s ended as %s: %s", s.ID.Ordinal()-1, where(s), s.State,
					s.Reason))
		}
	}
	sum := step(nil, "broadcast",
		"it was spread over %d executors; of the shards %d succeeded, %d did not, %d have not ended",
		len(e.Shards), succeeded, len(failed), open)
	return append([]ports.Step{sum}, failed[:min(len(failed), maxShards)]...)
}

func tries(n int) string {
	if n == 1 {
		return "at its only attempt"
	}
	return fmt.Sprintf("after %d attempts", n)
}

func latenessText(e firjob.Execution) string {
	if e.LatenessMS == nil {
		return ""
	}
	return fmt.Sprintf(", %v after its time", firjob.Milliseconds(*e.LatenessMS))
}

// endStep names the rule that ended an execution without an attempt's doing.
func endStep(state firjob.State, reason string, at *time.Time) ports.Step {
	rule := string(state)
	switch state {
	case firjob.StateSkipped:
		rule = "overlap"
	case firjob.StateMissed:
		rule = "misfire"
	}
	return step(at, rule, "it ended as %s: %s", state, reason)
}

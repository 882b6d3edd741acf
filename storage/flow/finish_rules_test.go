package flow

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/scan"
)

// Whatever comes in whatever order: a final state stays, a token is recorded
// once, an acknowledged result is what the record says, no retry is beyond the
// rule, and only a current or a lost attempt's result changes anything.
func TestResultsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		job := scan.JobRow{Job: firjob.NewJob()}
		job.ID, job.App = 7, "billing"
		job.Retry.MaxAttempts = rapid.IntRange(1, 4).Draw(t, "max attempts")
		a := &attemptRow{job: job, state: firjob.StatePlanned, now: time.UnixMilli(0)}
		recorded := map[int64]firjob.Outcome{}
		outcome := rapid.SampledFrom([]firjob.Outcome{firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut, firjob.OutcomeCancelled})
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(*rapid.T) {
				if a.state == firjob.StatePlanned {
					a.state, a.attempt, a.token = firjob.StateRunning, a.attempt+1, a.token+1
				}
			},
			"lose": func(*rapid.T) {
				if a.state == firjob.StateRunning {
					a.lose("silence", 0.5)
				}
			},
			"result": func(t *rapid.T) {
				before := *a
				token := rapid.Int64Range(1, a.token+1).Draw(t, "token")
				r := firjob.Result{Token: token, Outcome: outcome.Draw(t, "outcome")}
				receipt := a.answer(ports.FinishItem{Executor: firjob.ExecutorKey{App: "billing"}, Result: r}, 0.5)
				_, twice := recorded[token]
				switch {
				case receipt == firjob.ReceiptRecorded && (twice || before.state.Final() || token != before.token):
					t.Fatalf("recorded %+v of %+v", r, before)
				case receipt == firjob.ReceiptDuplicate && !twice:
					t.Fatalf("called %+v of %+v a duplicate", r, before)
				case receipt == firjob.ReceiptRecorded:
					recorded[token] = r.Outcome
				case before.state != a.state || len(before.attempts) != len(a.attempts):
					t.Fatalf("a result that was %s changed %+v to %+v", receipt, before, *a)
				}
			},
			"": func(t *rapid.T) {
				if answered := a.attempt - a.lost; answered > job.Retry.MaxAttempts || a.lost > firjob.MaxLost {
					t.Fatalf("%d answered and %d lost attempts under %+v", answered, a.lost, job.Retry)
				}
				if a.state.Final() != !a.finishedAt.IsZero() {
					t.Fatalf("state %s, finished at %v", a.state, a.finishedAt)
				}
				for _, earlier := range a.attempts {
					if o, ok := recorded[earlier.Token]; ok && o != earlier.Outcome {
						t.Fatalf("acknowledged %s for token %d, recorded %s", o, earlier.Token, earlier.Outcome)
					}
				}
			},
		})
	})
}

package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// attemptColumns are the columns that scanAttempt reads, in its order.
const attemptColumns = `id, now(), job_version, state::text, attempt, lost, token, cancel, follow, due_at,
	started_at, finished_at, coalesce(executor, ''), coalesce(incarnation, ''), coalesce(reason, ''), result, attempts,
	lease_until, deadline_at, claimed_at`

// attemptRow is a locked execution whose latest attempt may end. The rules below change
// it in memory; writeAttempts writes it.
type attemptRow struct {
	id                    firjob.ExecutionID
	now                   time.Time
	version               int
	state                 firjob.State
	attempt, lost         int
	token                 int64
	cancel, follow        bool
	dueAt                 time.Time
	startedAt, finishedAt time.Time // zero: unknown
	leaseUntil, deadline  time.Time // zero: none
	claimedAt             time.Time
	executor, incarnation string
	reason                string
	result                json.RawMessage
	attempts              []firjob.Attempt // those before the latest
	permanent             bool             // what its handler said of further attempts
	retryAfter            firjob.Duration
	job                   scan.JobRow
	changed               bool
}

func scanAttempt(row pgx.CollectableRow) (attemptRow, error) {
	var a attemptRow
	var started, finished, lease, deadline, claimed *time.Time
	var result, attempts []byte
	err := row.Scan((*[16]byte)(&a.id), &a.now, &a.version, &a.state, &a.attempt, &a.lost, &a.token, &a.cancel,
		&a.follow,
		&a.dueAt, &started, &finished, &a.executor, &a.incarnation, &a.reason, &result, &attempts, &lease, &deadline,
		&claimed)
	if err != nil {
		return a, err
	}
	a.startedAt, a.finishedAt, a.result = OrZero(started), OrZero(finished), result
	a.leaseUntil, a.deadline, a.claimedAt = OrZero(lease), OrZero(deadline), OrZero(claimed)
	a.attempts, err = scan.ReadAttemptsJSON(attempts)
	return a, err
}

// answer decides about a result of an executor and returns its receipt. A nil row is an
// execution that does not exist.
//
//	running, same token              recorded
//	planned, same token, was lost    recorded: late, but no newer attempt exists
//	ended like this, same token      duplicate
//	an older token, answered so      duplicate
//	a token that was never given     unknown
//	anything else                    stale
func (a *attemptRow) answer(item ports.FinishItem, random float64) firjob.Receipt {
	switch r := item.Result; {
	case a == nil || a.job.App != item.Executor.App || r.Token > a.token:
		return firjob.ReceiptUnknown
	case a.answeredSo(r):
		return firjob.ReceiptDuplicate
	case r.Token < a.token || a.state.Final():
		return firjob.ReceiptStale
	case a.state == firjob.StateRunning:
		a.take(item, random)
		return firjob.ReceiptRecorded
	case a.lastWasLost(r.Token):
		a.lost--
		a.attempts = a.attempts[:len(a.attempts)-1]
		a.take(item, random)
		return firjob.ReceiptRecorded
	}
	return firjob.ReceiptStale
}

// answeredSo reports whether the result, or one like it, was recorded before.
func (a *attemptRow) answeredSo(r firjob.Result) bool {
	if r.Token == a.token && a.state.Final() {
		return a.state == r.Outcome.State()
	}
	for _, earlier := range a.attempts {
		if earlier.Token == r.Token {
			return earlier.Outcome != firjob.OutcomeLost
		}
	}
	return false
}

func (a *attemptRow) lastWasLost(token int64) bool {
	n := len(a.attempts)
	return n > 0 && a.attempts[n-1].Token == token && a.attempts[n-1].Outcome == firjob.OutcomeLost
}

// take makes the result the end of the latest attempt.
func (a *attemptRow) take(item ports.FinishItem, random float64) {
	r := item.Result
	a.executor, a.incarnation = pg.Clean(item.Executor.Address), pg.Clean(item.Executor.Incarnation)
	started, at := heldTimes(r.StartedAt, r.FinishedAt, a.startedAt, a.claimedAt, a.now)
	a.startedAt, a.result = started, r.Result
	a.permanent, a.retryAfter = r.Permanent, r.RetryAfter
	a.end(r.Outcome, at, pg.Clean(r.Error), random)
}

// bound reports whether the attempt of an exclusive job has begun. A process that nobody
// can reach may run it until its lease ends, so only the end of the lease is a reason to
// give the attempt up.
func (a *attemptRow) bound() bool { return a.job.Exclusive && !a.startedAt.IsZero() }

// lose ends the latest attempt without an answer.
func (a *attemptRow) lose(reason string, random float64) {
	a.lost++
	a.end(firjob.OutcomeLost, a.now, afterDoubt(a.reason, reason), random)
}

// overtime reports whether the deadline of the latest attempt has passed.
func (a *attemptRow) overtime() bool { return !a.deadline.IsZero() && a.deadline.Before(a.now) }

// timeOut ends the latest attempt because its deadline has passed. That counts as an
// answer, for the handler has had its time.
func (a *attemptRow) timeOut(random float64) {
	reason := fmt.Sprintf("no result %v after the job's timeout of %v", deadlineSlack, a.job.Timeout)
	a.end(firjob.OutcomeTimedOut, a.now, afterDoubt(a.reason, reason), random)
}

// end applies the retry rule to the latest attempt, which ended at the instant.
func (a *attemptRow) end(outcome firjob.Outcome, at time.Time, reason string, random float64) {
	a.changed = true
	verdict := firjob.Ended{
		Outcome: outcome, Answered: a.attempt - a.lost, Lost: a.lost,
		Retry: a.job.Retry, Delivery: a.job.Delivery, Reason: reason,
		Permanent: a.permanent, RetryAfter: a.retryAfter,
	}.After(random)
	switch {
	case verdict.State != firjob.StatePlanned:
	case a.cancel:
		verdict = firjob.Verdict{State: firjob.StateCancelled,
			Reason: "cancelled on request; the attempt ended as " + string(outcome) + ": " + reason}
	case a.job.ID == 0 || a.job.Deleted:
		verdict = firjob.Verdict{State: outcome.State(), Reason: reason + "; not sent again: the job was deleted"}
	}
	if a.cancel && verdict.State == firjob.StateCancelled {
		verdict.Reason = afterReplacement(a.reason, verdict.Reason)
	}
	a.state, a.reason = verdict.State, verdict.Reason
	if a.state.Final() {
		a.finishedAt = at
		return
	}
	ended := firjob.Attempt{
		Attempt: a.attempt, Token: a.token, Executor: a.executor, StartedAt: pg.Pointer(a.startedAt), FinishedAt: &at,
		Outcome: outcome, Reason: reason,
	}
	if outcome == firjob.OutcomeLost {
		ended.Process = a.incarnation
	}
	a.attempts = append(a.attempts, ended)
	if again := a.now.Add(verdict.Wait); again.After(a.dueAt) {
		a.dueAt = again // else it was lost before its time had come
	}
	a.startedAt, a.finishedAt, a.executor, a.incarnation, a.result = time.Time{}, time.Time{}, "", "", nil
}

func OrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// attemptsJSON returns list as it is stored; nil for none.
func attemptsJSON(list []firjob.Attempt) *string {
	if len(list) == 0 {
		return nil
	}
	data, err := json.Marshal(list)
	if err != nil {
		panic(err) // plain fields: it cannot fail
	}
	return pg.Pointer(string(data))
}

package storage_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// failed reports a failed attempt.
func (s *store) failed(a firjob.AttemptRef, change func(*firjob.Result)) firjob.Execution {
	s.t.Helper()
	r := firjob.Result{ID: a.ID, Token: a.Token, Outcome: firjob.OutcomeFailed, Error: "no paper", StartedAt: s.now(), FinishedAt: s.now()}
	change(&r)
	got, err := s.Finish(s.t.Context(), []ports.FinishItem{{Executor: executor, Result: r}})
	if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
		s.t.Fatalf("got %+v, %v", got, err)
	}
	return s.get(a.ID)
}

// A handler that says that no other attempt will do ends the execution, and the
// last attempt says why.
func TestPermanentFailure(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Retry.MaxAttempts = 5 })
	e := s.failed(s.mustClaim(id), func(r *firjob.Result) { r.Permanent = true })
	if want := "no paper; permanent: no further attempt"; e.State != firjob.StateFailed || e.Reason != want ||
		len(e.Attempts) != 1 || e.Attempts[0].Reason != want {
		t.Errorf("got %+v, want it failed after one attempt because of %q", e, want)
	}
	s.wantDead(ports.DeadLetterFilter{}, id)
}

// A handler that names a pause gets it in place of the backoff.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Retry.MaxAttempts, j.Retry.Backoff = 2, firjob.Duration(time.Hour) })
	before := s.now()
	e := s.failed(s.mustClaim(id), func(r *firjob.Result) { r.RetryAfter = firjob.Duration(90 * time.Second) })
	if wait := e.DueAt.Sub(before); e.State != firjob.StatePlanned || wait < 90*time.Second || wait > 100*time.Second {
		t.Errorf("it is %s and due in %v, want it planned in 90 s", e.State, wait)
	}
	if want := "no paper; again after 1m30s, as the handler asked"; e.Reason != want || len(e.Attempts) != 1 || e.Attempts[0].Reason != "no paper" {
		t.Errorf("the reason is %q, the attempts are %+v; want %q", e.Reason, e.Attempts, want)
	}
}

func TestRetryKindsReachTheStore(t *testing.T) {
	t.Parallel()
	for kind, want := range map[firjob.BackoffKind]time.Duration{
		firjob.BackoffExponential: 90 * time.Second, firjob.BackoffLinear: 60 * time.Second, firjob.BackoffFixed: 30 * time.Second,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			_, id := s.fire(func(j *firjob.Job) {
				j.Retry = firjob.Retry{MaxAttempts: 3, Kind: kind, Backoff: firjob.Duration(30 * time.Second), Factor: 3,
					MaxBackoff: firjob.Duration(time.Hour), On: firjob.RetryAny}
			})
			s.failed(s.mustClaim(id), func(*firjob.Result) {})
			s.exec(`UPDATE executions SET due_at = now() WHERE id = $1`, [16]byte(id))
			before := s.now()
			e := s.failed(s.mustClaim(id), func(*firjob.Result) {})
			if wait := e.DueAt.Sub(before); wait < want || wait > want+10*time.Second {
				t.Errorf("the wait after the second attempt is %v, want %v", wait, want)
			}
		})
	}
}

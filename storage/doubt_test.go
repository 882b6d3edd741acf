package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// The reason of an attempt whose outcome is unknown replaces an earlier one, and
// stands until a beat names the attempt.
func TestADoubtReplacesTheReason(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{s.mustClaim(id)}, 0, "no executor of app billing is alive"); err != nil {
		t.Fatal(err)
	}
	attempt := s.mustClaim(id)
	says := func(when, want string) {
		t.Helper()
		if got := s.get(id).Reason; got != want {
			t.Errorf("%s the reason is %q, want %q", when, got, want)
		}
	}
	doubt := func(a firjob.AttemptRef, reason string) {
		t.Helper()
		if err := s.Doubt(t.Context(), []firjob.AttemptRef{a}, reason); err != nil {
			t.Fatal(err)
		}
	}
	says("after it was given back", "no executor of app billing is alive")
	doubt(attempt, "it answered 500")
	const unknown = "; whether it runs there is unknown, so the same process is asked again"
	says("after a doubt", "it answered 500"+unknown)
	doubt(attempt, "it answered with HTML")
	says("after another doubt", "it answered with HTML"+unknown)
	doubt(firjob.AttemptRef{ID: id, Token: attempt.Token - 1}, "stale")
	says("after a doubt about an earlier attempt", "it answered with HTML"+unknown)
	if _, err := s.Hold(t.Context(), []ports.Held{hold(attempt, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	says("after a beat", "")
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	doubt(attempt, "too late")
	says("after a cancel", "")
}

// The record of a lost attempt keeps why its outcome was unknown.
func TestALostAttemptKeepsItsDoubt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Delivery = firjob.AtMostOnce })
	attempts := []firjob.AttemptRef{s.mustClaim(id)}
	if err := s.Doubt(t.Context(), attempts, "executor 10.0.0.7:9999 answered with status 500"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lose(t.Context(), attempts, "the lease ended"); err != nil {
		t.Fatal(err)
	}
	const want = "the lease ended; before that: executor 10.0.0.7:9999 answered with status 500"
	if e := s.wantState(id, firjob.StateLost); !strings.HasPrefix(e.Reason, want) || strings.Contains(e.Reason, "unknown") {
		t.Errorf("the reason is %q, want %q and no doubt", e.Reason, want)
	}
}

// A reason that says what replaces an execution outlives the beats of its executor.
func TestABeatKeepsTheReasonOfACancel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	attempt := s.mustClaim(id)
	s.exec(`UPDATE executions SET cancel = true, reason = 'replaced by execution 7' WHERE id = $1`, [16]byte(id))
	if _, err := s.Hold(t.Context(), []ports.Held{hold(attempt, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := s.get(id).Reason; got != "replaced by execution 7" {
		t.Errorf("after a beat the reason is %q, want what replaces it", got)
	}
}

package storage_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
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
	says("after a doubt", "it answered 500")
	doubt(attempt, "it answered with HTML")
	says("after another doubt", "it answered with HTML")
	doubt(firjob.AttemptRef{ID: id, Token: attempt.Token - 1}, "stale")
	says("after a doubt about an earlier attempt", "it answered with HTML")
	if _, err := s.Hold(t.Context(), []firjob.Held{hold(attempt, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	says("after a beat", "")
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	doubt(attempt, "too late")
	says("after a cancel", "")
}

// A reason that says what replaces an execution outlives the beats of its executor.
func TestABeatKeepsTheReasonOfACancel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	attempt := s.mustClaim(id)
	s.exec(`UPDATE executions SET cancel = true, reason = 'replaced by execution 7' WHERE id = $1`, [16]byte(id))
	if _, err := s.Hold(t.Context(), []firjob.Held{hold(attempt, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := s.get(id).Reason; got != "replaced by execution 7" {
		t.Errorf("after a beat the reason is %q, want what replaces it", got)
	}
}

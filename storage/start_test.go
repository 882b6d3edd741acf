package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

const startLease = 10 * time.Second

func exclusive(j *firjob.Job) { j.Exclusive, j.Overlap = true, firjob.OverlapSkip }

func (s *store) start(by firjob.ExecutorKey, attempts ...firjob.AttemptRef) []bool {
	s.t.Helper()
	granted, err := s.Start(s.t.Context(), by, attempts, startLease)
	if err != nil {
		s.t.Fatal(err)
	}
	return granted
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "other", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	other := executor
	other.Incarnation = "two"
	foreign := firjob.ExecutorKey{App: "other", Address: executor.Address, Incarnation: executor.Incarnation}
	claimed := func(change func(firjob.AttemptRef) firjob.AttemptRef) firjob.AttemptRef {
		_, id := s.fire(exclusive)
		return change(s.mustClaim(id))
	}
	same := func(a firjob.AttemptRef) firjob.AttemptRef { return a }
	tests := map[string]struct {
		attempt firjob.AttemptRef
		by      firjob.ExecutorKey
		want    bool
	}{
		"current": {claimed(same), executor, true},
		"asked again": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			s.start(executor, a)
			return a
		}), executor, true},
		"begun elsewhere": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			s.start(other, a)
			return a
		}), executor, false},
		"of another app": {claimed(same), foreign, false},
		"an older token": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			a.Token--
			return a
		}), executor, false},
		"cancelled": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			if _, _, err := s.CancelExecution(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
			return a
		}), executor, false},
		"ended": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			return a
		}), executor, false},
		"given up": {claimed(func(a firjob.AttemptRef) firjob.AttemptRef {
			if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
				t.Fatal(err)
			}
			return a
		}), executor, false},
		"unknown": {firjob.AttemptRef{ID: firjob.Fire(999, s.now()), Token: 1}, executor, false},
	}
	for name, tt := range tests {
		if got := s.start(tt.by, tt.attempt); got[0] != tt.want {
			t.Errorf("%s: granted %v, want %v", name, got[0], tt.want)
		}
	}
}

// The answers are in the order of the question, whatever the order of the ids.
func TestStartAnswersInOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var attempts []firjob.AttemptRef
	var want []bool
	for i := range 6 {
		_, id := s.fire(exclusive)
		a := s.mustClaim(id)
		if i%2 == 1 {
			a.Token++
		}
		attempts, want = append(attempts, a), append(want, i%2 == 0)
	}
	slices.Reverse(attempts)
	slices.Reverse(want)
	if got := s.start(executor, attempts...); !slices.Equal(got, want) {
		t.Errorf("granted %v, want %v", got, want)
	}
}

// A begun attempt of an exclusive job may run on a machine that nobody reaches,
// as long as its lease lasts. No new token is given before that.
func TestExclusiveAttemptsAreBoundToTheirLease(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(exclusive)
	a := s.mustClaim(id)
	s.start(executor, a)
	if _, err := s.LoseExecutor(t.Context(), executor, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ExpireLeases(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if e := s.wantState(id, firjob.StateRunning); e.Token != a.Token || e.StartedAt == nil {
		t.Errorf("the attempt became %+v, want it to go on", e)
	}
	s.exec(`UPDATE executions SET lease_until = now() - interval '1 second' WHERE id = $1`, [16]byte(id))
	if _, err := s.ExpireLeases(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	s.wantState(id, firjob.StatePlanned)
	if again := s.mustClaim(id); again.Token <= a.Token || s.start(executor, a)[0] || !s.start(executor, again)[0] {
		t.Errorf("after the lease: token %d follows %d; want a higher one that alone may begin", again.Token, a.Token)
	}
}

// What was not begun asks before it begins, and is refused: it can be given to
// another executor at once.
func TestExclusiveAttemptsThatWereNotBegunAreLostAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(exclusive)
	a := s.mustClaim(id)
	if _, err := s.Hold(t.Context(), []ports.Held{{Executor: executor, Attempt: a, Waiting: true}}, startLease); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoseExecutor(t.Context(), executor, "gone"); err != nil {
		t.Fatal(err)
	}
	s.wantState(id, firjob.StatePlanned)
	if s.start(executor, a)[0] {
		t.Error("an attempt that was given up may begin")
	}
}

// The executor counts the timeout from the start, and so does the server.
func TestStartPutsTheDeadlineOff(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) {
		exclusive(j)
		j.Timeout = firjob.Duration(30 * time.Second)
	})
	a := s.mustClaim(id)
	s.exec(`UPDATE executions SET deadline_at = now() WHERE id = $1`, [16]byte(id))
	s.start(executor, a)
	var left, leftAgain float64
	s.query(`SELECT extract(epoch FROM deadline_at - now())::float8 FROM executions`, &left)
	if left < 30 || left > 36 {
		t.Errorf("the deadline is %.1f s from the start, want the timeout of 30 s and the slack of 5 s", left)
	}
	s.exec(`UPDATE executions SET deadline_at = now() + interval '1 second' WHERE id = $1`, [16]byte(id))
	s.start(executor, a)
	if s.query(`SELECT extract(epoch FROM deadline_at - now())::float8 FROM executions`, &leftAgain); leftAgain > 1 {
		t.Errorf("asking again put the deadline off to %.1f s from now", leftAgain)
	}
}

// The server that makes an HTTP call names itself as its executor.
func TestLoseReplicaEndsItsCalls(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, mine := s.fire(nil)
	_, others := s.fire(nil)
	a, b := s.mustClaim(mine), s.mustClaim(others)
	held := []ports.Held{
		{Executor: firjob.ExecutorKey{App: app, Address: "server", Incarnation: "r1"}, Attempt: a},
		{Executor: executor, Attempt: b},
	}
	if _, err := s.Hold(t.Context(), held, startLease); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE executions SET claimed_at = now() - interval '1 minute'`)
	if _, err := s.LoseReplica(t.Context(), "r1", time.Now().Add(-time.Second), "replica r1 is gone"); err != nil {
		t.Fatal(err)
	}
	s.wantState(mine, firjob.StatePlanned)
	s.wantState(others, firjob.StateRunning)
}

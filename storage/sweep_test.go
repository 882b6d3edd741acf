package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestSweepsForPlannedExecutions(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll })
	now := s.now()
	ids := s.plan(job, now.Add(-time.Minute), now.Add(-time.Second), now.Add(10*time.Second), now.Add(50*time.Second))
	s.mustClaim(s.plan(job, now.Add(-2*time.Minute))[0])

	look := func(what string, want []firjob.ExecutionID, due []firjob.Due, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantIDs(t, what, idsOf(due), want...)
	}
	due, err := s.DuePlanned(t.Context(), 250*time.Millisecond, 10)
	look("due", ids[:2], due, err)
	due, err = s.DuePlanned(t.Context(), 20*time.Second, 2)
	look("due, two of three", ids[:2], due, err)
	due, err = s.Overdue(t.Context(), 20*time.Second, 10)
	look("overdue by 20s", ids[:1], due, err)
	due, err = s.Upcoming(t.Context(), time.Minute, firjob.ExecutionID{}, 2)
	look("upcoming, first page", ids[:2], due, err)
	due, err = s.Upcoming(t.Context(), time.Minute, ids[1], 10)
	look("upcoming, second page", ids[2:], due, err)
	due, err = s.Upcoming(t.Context(), 20*time.Second, ids[1], 10)
	look("upcoming in 20s", ids[2:3], due, err)
}

func hold(a firjob.AttemptRef, by firjob.ExecutorKey) ports.Held {
	return ports.Held{Executor: by, Attempt: a}
}

func TestHold(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	_, other := s.fire(nil)
	cancelled := s.mustClaim(other)
	if _, _, err := s.CancelExecution(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	_, lostID := s.fire(nil)
	lost := s.mustClaim(lostID)
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{lost}, "silence"); err != nil {
		t.Fatal(err)
	}
	_, doneID := s.fire(nil)
	done := s.mustClaim(doneID)
	s.wantReceipt(done, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	foreign := executor
	foreign.App = "another"

	stale := []ports.Held{
		hold(firjob.AttemptRef{ID: id, Token: a.Token - 1}, executor),
		hold(done, executor),
		hold(a, foreign),
		hold(firjob.AttemptRef{ID: firjob.Fire(9999, s.now()), Token: 1}, executor),
	}
	held := append([]ports.Held{hold(a, executor), hold(cancelled, executor), hold(lost, executor)}, stale...)
	got, err := s.Hold(t.Context(), held, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(stale, func(a, b ports.Held) int { return bytes.Compare(a.Attempt.ID[:], b.Attempt.ID[:]) })
	if diff := cmp.Diff(ports.HoldResult{Cancel: []ports.Held{hold(cancelled, executor)}, Stale: stale}, got); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
	if e := s.get(id); e.Executor != executor.Address {
		t.Errorf("executor: got %q, want %q", e.Executor, executor.Address)
	}
}

// Rows are written when something is new, and not by every beat.
func TestHoldWritesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	version := func() (xmin string) {
		s.query(`SELECT xmin::text FROM executions`, &xmin)
		return xmin
	}
	beat := func(lease time.Duration) string {
		t.Helper()
		if _, err := s.Hold(t.Context(), []ports.Held{hold(a, executor)}, lease); err != nil {
			t.Fatal(err)
		}
		return version()
	}
	claimed := version()
	named := beat(30 * time.Second)
	if named == claimed {
		t.Error("the first beat did not write the executor")
	}
	if got := beat(30 * time.Second); got != named {
		t.Error("the second beat wrote the row again")
	}
	if got := beat(time.Minute); got == named {
		t.Error("a lease of which less than two thirds are left was not renewed")
	}
}

// The time of a handler counts from its start, which an executor's queue may
// put off.
func TestHoldKeepsTheTimeOfWhatWaitsThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Timeout = firjob.Duration(time.Minute) })
	waits := ports.Held{Executor: executor, Attempt: s.mustClaim(id), Waiting: true}
	_, free := s.fire(nil)
	timeless := ports.Held{Executor: executor, Attempt: s.mustClaim(free), Waiting: true}
	beat := func(h ...ports.Held) (left time.Duration, version string) {
		t.Helper()
		if _, err := s.Hold(t.Context(), h, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		var ms int64
		s.query(fmt.Sprintf(`SELECT (extract(epoch FROM deadline_at - now()) * 1000)::bigint, xmin::text FROM executions WHERE id = '%s'`, id), &ms, &version)
		return time.Duration(ms) * time.Millisecond, version
	}
	s.exec(`UPDATE executions SET deadline_at = now() + interval '10 seconds' WHERE deadline_at IS NOT NULL`)
	left, first := beat(waits, timeless)
	if left < 62*time.Second || left > 65*time.Second {
		t.Errorf("what waits has %v left, want the timeout of 1m and 5s", left)
	}
	if _, second := beat(waits); second != first {
		t.Error("the next beat wrote the row again")
	}
	s.exec(`UPDATE executions SET deadline_at = now() + interval '10 seconds' WHERE deadline_at IS NOT NULL`)
	waits.Waiting = false
	if left, _ = beat(waits); left > 10*time.Second {
		t.Errorf("what runs has %v left, want what it had", left)
	}
	var none *time.Time
	s.query(fmt.Sprintf(`SELECT deadline_at FROM executions WHERE id = '%s'`, free), &none)
	if none != nil {
		t.Errorf("a job without a timeout got the deadline %v", none)
	}
}

func TestExpireLeases(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	s.mustClaim(id)
	_, slow := s.fire(func(j *firjob.Job) { j.Timeout = firjob.Duration(time.Second) })
	s.mustClaim(slow)
	followed, err := s.ExpireLeases(t.Context(), 10)
	if err != nil || len(followed.Announce)+len(followed.Ended) != 0 {
		t.Fatalf("expired %+v, %v while the leases run", followed, err)
	}
	s.exec(`UPDATE executions SET lease_until = now() - interval '1 ms' WHERE id = $1`, [16]byte(id))
	s.exec(`UPDATE executions SET deadline_at = now() - interval '1 ms' WHERE id = $1`, [16]byte(slow))
	followed, err = s.ExpireLeases(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "announced", idsOf(followed.Announce), id)
	wantIDs(t, "ended", followed.Ended, slow)
	if e := s.wantState(id, firjob.StatePlanned); len(e.Attempts) != 1 || !strings.Contains(e.Attempts[0].Reason, "the lease ended at") {
		t.Errorf("after the lease: got %+v", e)
	}
	s.wantState(slow, firjob.StateTimedOut)
}

func TestLoseExecutorAndReplica(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, named := s.fire(nil)
	_, unnamed := s.fire(nil)
	a := s.mustClaim(named)
	s.mustClaim(unnamed)
	if _, err := s.Hold(t.Context(), []ports.Held{hold(a, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, other := range []firjob.ExecutorKey{
		{App: app, Address: executor.Address, Incarnation: "two"},
		{App: "another", Address: executor.Address, Incarnation: executor.Incarnation},
	} {
		if got, err := s.LoseExecutor(t.Context(), other, "gone"); err != nil || len(got.Announce) != 0 {
			t.Errorf("losing %v: got %+v, %v", other, got, err)
		}
	}
	got, err := s.LoseReplica(t.Context(), "r1", time.Now(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "lost with the replica", idsOf(got.Announce), unnamed)
	if got, err = s.LoseExecutor(t.Context(), executor, "gone"); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "lost with the executor", idsOf(got.Announce), named)
}

// The server ends one of two transactions that wait for each other. It is run
// again, and nobody is told.
func TestDeadlockIsNoError(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, first := s.fire(nil)
	_, second := s.fire(nil)
	attempts := []firjob.AttemptRef{s.mustClaim(first), s.mustClaim(second)}
	if slices.Compare(first[:], second[:]) > 0 {
		first, second = second, first
	}
	other, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(t.Context())) })
	lock := func(id firjob.ExecutionID) {
		t.Helper()
		if _, err := other.Exec(t.Context(), `SELECT FROM executions WHERE id = $1 FOR UPDATE`, [16]byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Exec(t.Context(), `BEGIN; SET LOCAL deadlock_timeout = '1min'`); err != nil { // it is not the one to end
		t.Fatal(err)
	}
	lock(second)
	var lost error
	var done sync.WaitGroup
	done.Go(func() { _, lost = s.Lose(t.Context(), attempts, "gone") })
	s.awaitLockWait()
	lock(first)
	if _, err := other.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	if lost != nil {
		t.Errorf("the transaction that was ended is not run again: %v", lost)
	}
	s.wantState(first, firjob.StatePlanned)
	s.wantState(second, firjob.StatePlanned)
}

func TestCancelledWhileItsAttemptIsLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
		t.Fatal(err)
	}
	s.wantState(id, firjob.StateCancelled)
}

func TestExecutorsSnapshot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	e := firjob.Executor{App: app, Address: "10.0.0.7:1", Incarnation: "one", Version: "v1", Capacity: 8, Queue: 16,
		Running: 2, State: firjob.ExecutorActive, StartedAt: s.now()}
	again := e
	again.Incarnation, again.Running, again.State = "two", 0, firjob.ExecutorCordoned
	again.Labels = map[string]string{"zone": "eu", "gpu": `"a"`}
	before := s.now()
	if err := s.SaveExecutors(t.Context(), []firjob.Executor{e, again}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Executors(t.Context(), time.Minute)
	if err != nil || len(list) != 1 || list[0].LastBeat.Before(before) {
		t.Fatalf("got %+v, %v", list, err)
	}
	again.LastBeat = list[0].LastBeat
	if diff := cmp.Diff(again, list[0]); diff != "" {
		t.Errorf("executor (-want +got):\n%s", diff)
	}
	for _, key := range []firjob.ExecutorKey{e.Key(), again.Key()} {
		if err := s.RemoveExecutor(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		list, err = s.Executors(t.Context(), time.Minute)
		if want := key == e.Key(); err != nil || (len(list) == 1) != want {
			t.Errorf("after removing %v: got %v, %v", key, list, err)
		}
	}
}

// An attempt whose server has asked whether it is still its own is not given up by
// somebody who took the server to be gone before that.
func TestConfirmedAttemptsAreNotGivenUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, confirmed := s.fire(nil)
	_, other := s.fire(nil)
	a, b := s.mustClaim(confirmed), s.mustClaim(other)
	before := s.now().Add(time.Millisecond)
	for !s.now().After(before) { // the clock of the store goes on
	}
	current, err := s.Current(t.Context(), []firjob.AttemptRef{a, {ID: b.ID, Token: b.Token + 1}})
	if err != nil || !slices.Equal(current, []firjob.AttemptRef{a}) {
		t.Fatalf("Current = %v, %v, want %v", current, err, a)
	}
	if _, err := s.LoseReplica(t.Context(), "r1", before, "gone"); err != nil {
		t.Fatal(err)
	}
	if got := s.get(confirmed); got.State != firjob.StateRunning || got.Token != a.Token {
		t.Errorf("the confirmed attempt is %s with token %d, want running with %d", got.State, got.Token, a.Token)
	}
	if got := s.get(other); got.State != firjob.StatePlanned {
		t.Errorf("the other attempt is %s, want planned", got.State)
	}
}

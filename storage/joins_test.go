package storage_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestJoins(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := s.job(nil)
	a, b := s.child("", firjob.OnSuccess, root), s.child("", firjob.OnSuccess, root)
	all, any := s.child(firjob.JoinAll, firjob.OnSuccess, a, b), s.child(firjob.JoinAny, firjob.OnSuccess, a, b)
	anyFailure := s.child(firjob.JoinAny, firjob.OnFailure, a, b)

	start := s.run(root)
	s.finishWith(start, `1`)
	s.finishWith(s.mustClaim(s.only(a).ID), `2`)
	first := s.only(any)
	s.none(all, anyFailure)
	s.finishWith(s.mustClaim(s.only(b).ID), `3`)
	last := s.only(all)
	s.only(any)
	s.none(anyFailure)
	if *last.Root != start.ID || *first.Parent != s.only(a).ID || *last.Parent != s.only(b).ID {
		t.Errorf("root %v, want %v; parents %v and %v", last.Root, start.ID, first.Parent, last.Parent)
	}
	var results []string
	for _, e := range inputsOf(t, last) {
		results = append(results, fmt.Sprintf("%d %s %s", e.Job, e.State, e.Result))
	}
	if want := []string{fmt.Sprintf("%d succeeded 2", a.ID), fmt.Sprintf("%d succeeded 3", b.ID)}; !slices.Equal(results, want) {
		t.Errorf("inputs: got %v, want %v", results, want)
	}
}

// Scheduled executions of one instant are one run, so that their jobs can be joined.
func TestJobsOfOneInstantAreJoined(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.job(nil), s.job(nil)
	child := s.child(firjob.JoinAll, firjob.OnSuccess, a, b)
	now := s.now()
	first, other := s.plan(a, now, now.Add(-time.Second)), s.plan(b, now)
	s.finishWith(s.mustClaim(first[1]), `"an earlier run"`)
	s.finishWith(s.mustClaim(first[0]), `1`)
	s.none(child)
	s.finishWith(s.mustClaim(other[0]), `2`)
	ends := inputsOf(t, s.only(child))
	if len(ends) != 2 || ends[0].ExecutionID != firjob.Fire(a.ID, now) || ends[1].ExecutionID != other[0] {
		t.Errorf("joined %+v, want the executions of %v", ends, now)
	}
}

// Parents that end at the same moment, on several servers: one of them is last.
func TestParentsThatEndAtOnceTriggerOneChild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const n = 4
	jobs := make([]firjob.Job, n)
	dbs := make([]*store, n)
	for i := range jobs {
		jobs[i] = s.job(nil)
		dbs[i] = &store{DB: s.open(), t: t, url: s.url}
	}
	all, any := s.child(firjob.JoinAll, firjob.OnSuccess, jobs...), s.child(firjob.JoinAny, firjob.OnSuccess, jobs...)
	for round := range 8 {
		at := s.now().Add(time.Duration(round-8) * time.Second)
		attempts := make([]firjob.AttemptRef, n)
		for i, job := range jobs {
			attempts[i] = s.mustClaim(s.plan(job, at)[0])
		}
		together(n, func(i int) { dbs[i].finishWith(attempts[i], `1`) })
		if a, b := len(s.of(all)), len(s.of(any)); a != round+1 || b != round+1 {
			t.Fatalf("after %d runs: %d executions for all, %d for any", round+1, a, b)
		}
	}
	for _, e := range s.of(all) {
		if ends := inputsOf(t, s.get(e.ID)); len(ends) != n {
			t.Errorf("a child knows of %d of %d ends", len(ends), n)
		}
	}
}

// The transaction that ends a parent is cut off: there is neither the end nor
// the child, and the executor's next try makes both.
func TestACrashLeavesNeitherEndNorChild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.job(nil), s.job(nil)
	single := s.child("", firjob.OnSuccess, a)
	joined := s.child(firjob.JoinAll, firjob.OnSuccess, a, b)
	now := s.now()
	s.finishWith(s.mustClaim(s.plan(b, now)[0]), `1`)
	attempt := s.mustClaim(s.plan(a, now)[0])

	other, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(t.Context())) })
	if _, err := other.Exec(t.Context(), `BEGIN; SELECT FROM child_joins FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	var lost error
	var done sync.WaitGroup
	done.Go(func() {
		_, lost = s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{ID: attempt.ID, Token: attempt.Token, Outcome: firjob.OutcomeSucceeded}}})
	})
	s.awaitLockWait()
	s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	done.Wait()
	if lost == nil {
		t.Fatal("the result was acknowledged though its transaction was cut off")
	}
	s.wantState(attempt.ID, firjob.StateRunning)
	s.none(single, joined)
	if _, err := other.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	s.wantReceipt(attempt, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.only(single)
	s.only(joined)
}

// The transaction that ends a parent stands in another's way and is ended for
// it. It is run again, and the children are triggered once.
func TestATriggerThatIsRunAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.job(nil), s.job(nil)
	single := s.child("", firjob.OnSuccess, a)
	joined := s.child(firjob.JoinAny, firjob.OnSuccess, a, b)
	now := s.now()
	s.wantReceipt(s.mustClaim(s.plan(b, now)[0]), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	attempt := s.mustClaim(s.plan(a, now)[0])
	other, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(t.Context())) })
	for _, sql := range []string{`BEGIN`, `SET LOCAL deadlock_timeout = '1min'`, `SELECT FROM child_joins FOR UPDATE`} { // it is not the one to end
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var done sync.WaitGroup
	done.Go(func() { s.finishWith(attempt, `1`) })
	s.awaitLockWait()
	if _, err := other.Exec(t.Context(), `SELECT FROM executions WHERE id = $1 FOR UPDATE`, [16]byte(attempt.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	s.only(single)
	s.only(joined)
}

// Together the ends have a bound; the largest results give way.
func TestInputsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b, c := s.job(nil), s.job(nil), s.job(nil)
	child := s.child(firjob.JoinAll, firjob.OnSuccess, a, b, c)
	now := s.now()
	for job, size := range map[firjob.JobID]int{a.ID: 700_000, b.ID: 10, c.ID: 400_000} {
		job, _, err := s.Job(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		s.finishWith(s.mustClaim(s.plan(job, now)[0]), `"`+strings.Repeat("x", size)+`"`)
	}
	e := s.only(child)
	if len(e.Inputs) > firjob.MaxInputs {
		t.Errorf("the inputs have %d bytes, want at most %d", len(e.Inputs), firjob.MaxInputs)
	}
	for _, end := range inputsOf(t, e) {
		if left := end.Result == nil; left != (end.Job == a.ID) || left != (end.Note != "") {
			t.Errorf("job %d: %d bytes of result, note %q; want only the largest left out", end.Job, len(end.Result), end.Note)
		}
	}
}

func TestOldJoinsAreForgotten(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b := s.job(nil), s.job(nil)
	s.child(firjob.JoinAll, firjob.OnSuccess, a, b)
	s.finishWith(s.run(a), `1`)
	s.finishWith(s.run(b), `1`)
	old := [16]byte(firjob.RunOf(firjob.Fire(a.ID, s.now().Add(-40*24*time.Hour))))
	s.exec(`UPDATE child_joins SET run = $2, updated_at = now() - interval '40 days' WHERE ends->0->>'job_id' = $1::int::text`, int32(a.ID), old)
	// A retry of what ran long ago has just brought another one to mind.
	old[0]--
	s.exec(`UPDATE child_joins SET run = $2 WHERE ends->0->>'job_id' = $1::int::text`, int32(b.ID), old)
	if err := s.MaintainPartitions(t.Context(), 1, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	var left int
	if s.query(`SELECT count(*) FROM child_joins`, &left); left != 1 {
		t.Errorf("%d joins are left, want the younger of two", left)
	}
}

package storage_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// dead makes a job and an execution of it that has failed.
func (s *store) dead(change func(*firjob.Job)) (firjob.Job, firjob.ExecutionID) {
	s.t.Helper()
	job, id := s.fire(change)
	s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantState(id, firjob.StateFailed)
	return job, id
}

func (s *store) deadLetters(f ports.DeadLetterFilter) []ports.DeadLetter {
	s.t.Helper()
	f.PageSize = 100
	list, _, err := s.DeadLetters(s.t.Context(), f)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *store) wantDead(f ports.DeadLetterFilter, want ...firjob.ExecutionID) {
	s.t.Helper()
	var got []firjob.ExecutionID
	for _, d := range s.deadLetters(f) {
		got = append(got, d.ID)
	}
	if len(got) != len(want) {
		s.t.Fatalf("dead letters for %+v: got %v, want %v", f, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			s.t.Fatalf("dead letters for %+v: got %v, want %v", f, got, want)
		}
	}
}

// What ended as failed, timed_out or lost is a dead letter, nothing else is.
func TestDeadLettersAreRecorded(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[firjob.Outcome]bool{
		firjob.OutcomeSucceeded: false, firjob.OutcomeFailed: true, firjob.OutcomeTimedOut: true,
		firjob.OutcomeCancelled: false, firjob.OutcomeLost: true,
	} {
		t.Run(string(outcome), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			_, id := s.fire(func(j *firjob.Job) { j.Delivery = firjob.AtMostOnce })
			attempt := s.mustClaim(id)
			if outcome == firjob.OutcomeLost {
				if _, err := s.Lose(t.Context(), []firjob.AttemptRef{attempt}, "no beat"); err != nil {
					t.Fatal(err)
				}
			} else {
				s.wantReceipt(attempt, outcome, firjob.ReceiptRecorded)
			}
			if !want {
				s.wantDead(ports.DeadLetterFilter{})
				return
			}
			s.wantDead(ports.DeadLetterFilter{}, id)
			d := s.deadLetters(ports.DeadLetterFilter{})[0]
			if d.FailedAt.IsZero() || d.State != outcome.State() || d.App != app || d.Reason == "" && outcome == firjob.OutcomeFailed {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestOneThatIsTriedAgainIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Retry.MaxAttempts = 2 })
	s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantDead(ports.DeadLetterFilter{})
}

func TestDeadLetterFilters(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "other", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	first, a := s.dead(nil)
	middle := s.now()
	_, b := s.dead(nil)
	s.wantDead(ports.DeadLetterFilter{}, b, a)
	s.wantDead(ports.DeadLetterFilter{Job: first.ID}, a)
	s.wantDead(ports.DeadLetterFilter{App: app}, b, a)
	s.wantDead(ports.DeadLetterFilter{App: "other"})
	s.wantDead(ports.DeadLetterFilter{States: []firjob.State{firjob.StateLost}})
	s.wantDead(ports.DeadLetterFilter{States: []firjob.State{firjob.StateLost, firjob.StateFailed}}, b, a)
	s.wantDead(ports.DeadLetterFilter{Since: middle}, b)
	s.wantDead(ports.DeadLetterFilter{Until: middle}, a)

	page, next, err := s.DeadLetters(t.Context(), ports.DeadLetterFilter{PageSize: 1})
	if err != nil || len(page) != 1 || page[0].ID != b || next != b {
		t.Fatalf("the first page: %+v, next %v, %v; want %v", page, next, err, b)
	}
	page, next, err = s.DeadLetters(t.Context(), ports.DeadLetterFilter{PageSize: 1, Before: next})
	if err != nil || len(page) != 1 || page[0].ID != a || !next.IsZero() {
		t.Fatalf("the second page: %+v, next %v, %v; want %v and no more", page, next, err, a)
	}

	if _, err := s.Dismiss(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{a}}); err != nil {
		t.Fatal(err)
	}
	s.wantDead(ports.DeadLetterFilter{}, b)
	s.wantDead(ports.DeadLetterFilter{Handled: true}, b, a)
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	s.exec(`UPDATE executions SET params = '{"n": 7}' WHERE id = $1`, [16]byte(id))
	s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	unknown := firjob.Fire(job.ID, s.now().Add(-time.Hour))
	done, err := s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{unknown, id, id}})
	if err != nil {
		t.Fatal(err)
	}
	if len(done) != 2 || done[0].ID != unknown || done[1].ID != id || done[1].Err != nil {
		t.Fatalf("got %+v, want an outcome for each id once, in their order", done)
	}
	wantCode(t, done[0].Err, firjob.CodeNotFound)
	again := s.wantState(done[1].RedrivenAs.ID, firjob.StatePlanned)
	if again.RetryOf == nil || *again.RetryOf != id || again.Kind != firjob.KindManual || string(again.Params) != `{"n": 7}` {
		t.Errorf("the new execution is %+v", again)
	}
	s.wantDead(ports.DeadLetterFilter{})
	if d := s.deadLetters(ports.DeadLetterFilter{Handled: true}); len(d) != 1 || *d[0].RedrivenAs != again.ID {
		t.Errorf("handled: %+v, want it redriven as %v", d, again.ID)
	}

	// Never twice.
	done, err = s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
	if err != nil || len(done) != 1 || done[0].RedrivenAs != nil {
		t.Fatalf("the second time: %+v, %v", done, err)
	}
	wantCode(t, done[0].Err, firjob.CodeConflict)

	// Its failure is a dead letter of its own, which names the first.
	s.wantReceipt(s.mustClaim(again.ID), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantDead(ports.DeadLetterFilter{}, again.ID)
	if d := s.deadLetters(ports.DeadLetterFilter{})[0]; d.RetryOf == nil || *d.RetryOf != id {
		t.Errorf("the new dead letter is %+v, want it to name %v", d, id)
	}
}

// A dead letter that somebody retries by hand is handled with that.
func TestRetryHandlesADeadLetter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.dead(nil)
	again, err := s.RetryExecution(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	s.wantDead(ports.DeadLetterFilter{})
	done, err := s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
	if err != nil || len(done) != 1 || !strings.Contains(done[0].Err.Error(), "redriven already, as "+again.ID.String()) {
		t.Errorf("a redrive after it: %+v, %v; want it refused", done, err)
	}
}

// Shards are no dead letters of their own; the broadcast is one.
func TestShardsAreNoDeadLetters(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	shard := id.Shard(0)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at) VALUES ($1, $2, 0, now())`, [16]byte(shard), int32(id.Job()))
	s.wantReceipt(s.mustClaim(shard), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantDead(ports.DeadLetterFilter{})
	s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantDead(ports.DeadLetterFilter{}, id)
}

func TestRedriveConcurrently(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var ids []firjob.ExecutionID
	for range 5 {
		_, id := s.dead(nil)
		ids = append(ids, id)
	}
	var ran, refused atomic.Int32
	together(6, func(i int) {
		b := ports.DeadLetterBatch{IDs: ids}
		if i%2 == 0 {
			b = ports.DeadLetterBatch{Filter: ports.DeadLetterFilter{App: app}, Limit: 100}
		}
		done, err := s.open().Redrive(t.Context(), b)
		if err != nil {
			t.Error(err)
		}
		for _, d := range done {
			if d.Err == nil {
				ran.Add(1)
			} else {
				refused.Add(1)
			}
		}
	})
	var recorded int32
	s.query(`SELECT count(*) FROM executions WHERE origin IS NOT NULL`, &recorded)
	if ran.Load() != 5 || recorded != 5 || refused.Load() < 10 {
		t.Errorf("%d were redriven, %d refused and %d recorded; want each of 5 once", ran.Load(), refused.Load(), recorded)
	}
}

func TestRedriveByFilter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, a := s.dead(nil)
	_, b := s.dead(nil)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, state, finished_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 60000 - k), 12, '0') || '800080000000' || lpad(to_hex($1::int), 8, '0'))::uuid,
			$1, 1, now(), 'lost', now() FROM generate_series(1, 5000) AS k`, int32(job.ID))
	s.exec(`INSERT INTO dead_letters SELECT id, job_id, now() FROM executions WHERE state = 'lost'`)
	batch := ports.DeadLetterBatch{Filter: ports.DeadLetterFilter{Job: job.ID, States: []firjob.State{firjob.StateLost}}, Limit: 4999}
	done, err := s.Redrive(t.Context(), batch)
	if err != nil || len(done) != 4999 {
		t.Fatalf("%d were redriven, %v; want 4999", len(done), err)
	}
	for _, d := range done {
		if d.Err != nil || d.RedrivenAs == nil {
			t.Fatalf("got %+v", d)
		}
	}
	if done, err = s.Redrive(t.Context(), batch); err != nil || len(done) != 1 {
		t.Fatalf("%d were redriven then, %v; want the last one", len(done), err)
	}
	s.wantDead(ports.DeadLetterFilter{}, b, a)
}

func TestRedriveOfADeletedJob(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.dead(nil)
	if _, err := s.DeleteJob(t.Context(), job.ID, func(firjob.Job) error { return nil }); err != nil {
		t.Fatal(err)
	}
	done, err := s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
	if err != nil || len(done) != 1 {
		t.Fatalf("got %+v, %v", done, err)
	}
	wantCode(t, done[0].Err, firjob.CodeNotFound)
	s.wantDead(ports.DeadLetterFilter{}, id)
}

func TestDismiss(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.dead(nil)
	for i, want := range []firjob.Code{"", firjob.CodeConflict} {
		done, err := s.Dismiss(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
		if err != nil || len(done) != 1 || firjob.CodeOf(done[0].Err) != want {
			t.Fatalf("dismissal %d: %+v, %v; want code %q", i+1, done, err, want)
		}
	}
	done, err := s.Redrive(t.Context(), ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
	if err != nil || len(done) != 1 || !strings.Contains(done[0].Err.Error(), "dismissed") {
		t.Fatalf("a redrive after it: %+v, %v", done, err)
	}
}

// A dry run tells what would be and leaves everything as it is.
func TestRedriveDry(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.dead(nil)
	ctx := ports.WithWrite(t.Context(), ports.Write{DryRun: true})
	for _, do := range []func(context.Context, ports.DeadLetterBatch) ([]ports.DeadLetterDone, error){s.Redrive, s.Dismiss} {
		done, err := do(ctx, ports.DeadLetterBatch{IDs: []firjob.ExecutionID{id}})
		if err != nil || len(done) != 1 || done[0].Err != nil {
			t.Fatalf("got %+v, %v", done, err)
		}
		s.wantDead(ports.DeadLetterFilter{}, id)
	}
}

// The retention takes a dead letter with its execution.
func TestDeadLettersArePurged(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.dead(nil)
	old := s.plan(job, s.now().AddDate(0, 0, -40))[0]
	s.exec(`INSERT INTO dead_letters VALUES ($1, $2, now() - interval '40 days')`, [16]byte(old), int32(job.ID))
	if err := s.MaintainPartitions(t.Context(), 3, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	var left int
	s.query(`SELECT count(*) FROM dead_letters`, &left)
	if left != 1 {
		t.Errorf("%d dead letters are left, want 1", left)
	}
	s.wantDead(ports.DeadLetterFilter{}, id)
}

package storage_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestOverlapSkip(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapSkip })
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Millisecond), now.Add(-time.Millisecond), now)
	got := s.claim(ids[0], ids[1])
	if len(got.Claimed) != 1 || got.Claimed[0].Trigger.ID != ids[0] {
		t.Fatalf("claimed %+v, want the earlier of two", got.Claimed)
	}
	if e := s.wantState(ids[1], firjob.StateSkipped); !strings.Contains(e.Reason, ids[0].String()) {
		t.Errorf("the reason %q does not name the holder", e.Reason)
	}
	s.wantReceipt(firjob.AttemptRef{ID: ids[0], Token: got.Claimed[0].Trigger.Token}, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.mustClaim(ids[2])
}

func TestOverlapCountsThroughRetries(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Overlap = firjob.OverlapSkip
		j.Retry.MaxAttempts, j.Retry.Backoff = 2, firjob.Duration(time.Millisecond)
	})
	now := s.now()
	ids := s.plan(job, now.Add(-time.Millisecond), now)
	s.wantReceipt(s.mustClaim(ids[0]), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "dropped while the first waits for its retry", s.claim(ids[1]).Dropped, ids[1])
	s.wantState(ids[1], firjob.StateSkipped)
	s.mustClaim(ids[0])
}

func TestOverlapQueueHandsOn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	now := s.now()
	ids := s.plan(job, now.Add(-3*time.Millisecond), now.Add(-2*time.Millisecond), now.Add(-time.Millisecond), now)
	holder := s.mustClaim(ids[0])
	wantIDs(t, "dropped, to wait", s.claim(ids[2], ids[1], ids[3]).Dropped, ids[1], ids[2], ids[3])
	due, err := s.Overdue(t.Context(), 0, 10)
	if err != nil || len(due) != 0 {
		t.Errorf("overdue: got %v, %v; those that wait are not", due, err)
	}
	if _, _, err := s.CancelExecution(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	followed := s.wantReceipt(holder, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "let in", idsOf(followed.Announce), ids[2])
	wantIDs(t, "the one behind still waits", s.claim(ids[3]).Dropped, ids[3])

	followed, err = s.Lose(t.Context(), []firjob.AttemptRef{s.mustClaim(ids[2])}, "gone")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "a lost attempt keeps the slot", idsOf(followed.Announce), ids[2])
	if _, _, err := s.CancelExecution(t.Context(), ids[2]); err != nil {
		t.Fatal(err)
	}
	last := s.mustClaim(ids[3])
	followed = s.wantReceipt(last, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	wantIDs(t, "nobody waits any more", idsOf(followed.Announce))
}

// Many claimers and finishers on handles of their own: each execution runs
// once, one at a time, and none is forgotten in the queue.
func TestOverlapQueueUnderContention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	now := s.now()
	var at []time.Time
	for i := range 40 {
		at = append(at, now.Add(time.Duration(i-40)*time.Millisecond))
	}
	ids := s.plan(job, at...)
	ran := make([][]firjob.ExecutionID, 4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var ends atomic.Int64
	together(len(ran), func(i int) {
		db := s.open()
		todo := slices.Clone(ids)
		for ends.Load() < int64(len(ids)) && ctx.Err() == nil {
			followed, _, err := db.Admit(ctx)
			todo = append(todo, idsOf(followed.Announce)...)
			for ; len(todo) > 0 && err == nil; todo = todo[1:] {
				var got ports.ClaimResult
				var done ports.FinishResult
				got, err = db.Claim(ctx, todo[:1], claimBy(fmt.Sprint("r", i)))
				todo = append(todo, idsOf(got.Followed.Announce)...)
				if err != nil || len(got.Claimed) == 0 {
					continue
				}
				ran[i] = append(ran[i], todo[0])
				done, err = db.Finish(ctx, successesOf(got.Claimed, now))
				ends.Add(int64(len(done.Receipts)))
				todo = append(todo, idsOf(done.Followed.Announce)...)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	all := slices.Concat(ran...)
	if len(all) != len(ids) {
		t.Errorf("%d executions ran, want %d", len(all), len(ids))
	}
	for _, id := range ids {
		s.wantState(id, firjob.StateSucceeded)
	}
}

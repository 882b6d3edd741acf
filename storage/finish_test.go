package storage_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestFinishRecordsTheResult(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	s.exec(`UPDATE executions SET claimed_at = now() - interval '1 minute' WHERE id = $1`, [16]byte(id))
	start := id.ScheduledAt().Add(7 * time.Millisecond)
	for s.now().Before(start.Add(2 * time.Millisecond)) { // each look takes a round trip to the store
	}
	got, err := s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
		ID: id, Token: a.Token, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"rows": 3}`),
		StartedAt: start, FinishedAt: start.Add(time.Millisecond)}}})
	if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
		t.Fatalf("got %v, %v", got, err)
	}
	wantIDs(t, "ended", got.Followed.Ended, id)
	e := s.wantState(id, firjob.StateSucceeded)
	if string(e.Result) != `{"rows": 3}` || e.Executor != executor.Address || !e.StartedAt.Equal(start) || e.FinishedAt == nil {
		t.Errorf("recorded %+v", e)
	}
	if e.LatenessMS == nil || *e.LatenessMS != 7 {
		t.Errorf("lateness: got %v, want 7", e.LatenessMS)
	}
	if len(e.Attempts) != 1 || e.Attempts[0].Outcome != firjob.OutcomeSucceeded || e.Attempts[0].Token != a.Token {
		t.Errorf("attempts: got %+v", e.Attempts)
	}
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptDuplicate)
	s.wantReceipt(a, firjob.OutcomeFailed, firjob.ReceiptStale)
}

func TestFinishOfABatchWithEverything(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Millisecond), now.Add(-time.Millisecond), now)
	first, second := s.mustClaim(ids[0]), s.mustClaim(ids[1])
	result := func(id firjob.ExecutionID, token int64, outcome firjob.Outcome) ports.FinishItem {
		return ports.FinishItem{Executor: executor, Result: firjob.Result{ID: id, Token: token, Outcome: outcome}}
	}
	foreign := result(ids[1], second.Token, firjob.OutcomeSucceeded)
	foreign.Executor.App = "another"
	got, err := s.Finish(t.Context(), []ports.FinishItem{
		foreign,
		result(ids[0], first.Token, firjob.OutcomeSucceeded),
		result(ids[0], first.Token, firjob.OutcomeSucceeded),
		result(ids[1], second.Token-1, firjob.OutcomeSucceeded),
		result(ids[1], second.Token+100, firjob.OutcomeSucceeded),
		result(ids[1], second.Token, firjob.OutcomeFailed),
		result(ids[2], 0, firjob.OutcomeSucceeded),
		result(firjob.Fire(job.ID, now.Add(time.Second)), 1, firjob.OutcomeSucceeded),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []firjob.Receipt{firjob.ReceiptUnknown, firjob.ReceiptRecorded, firjob.ReceiptDuplicate, firjob.ReceiptStale,
		firjob.ReceiptUnknown, firjob.ReceiptRecorded, firjob.ReceiptStale, firjob.ReceiptUnknown}
	for i, r := range got.Receipts {
		if r != want[i] {
			t.Errorf("receipt %d: got %s, want %s", i, r, want[i])
		}
	}
	s.wantState(ids[0], firjob.StateSucceeded)
	s.wantState(ids[1], firjob.StateFailed)
	s.wantState(ids[2], firjob.StatePlanned)
}

func TestFailureIsRetried(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) {
		j.Retry = firjob.Retry{MaxAttempts: 2, Backoff: firjob.Duration(10 * time.Millisecond), Factor: 1, MaxBackoff: firjob.Duration(time.Second)}
	})
	first := s.mustClaim(id)
	followed := s.wantReceipt(first, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "announced", idsOf(followed.Announce), id)
	e := s.wantState(id, firjob.StatePlanned)
	if len(e.Attempts) != 1 || e.Attempts[0].Reason != "no paper" || e.Attempts[0].Executor != executor.Address {
		t.Errorf("attempts: got %+v", e.Attempts)
	}
	s.wantReceipt(first, firjob.OutcomeFailed, firjob.ReceiptDuplicate)

	second := s.mustClaim(id)
	if second.Token <= first.Token {
		t.Errorf("the second token %d is not above the first, %d", second.Token, first.Token)
	}
	s.wantReceipt(first, firjob.OutcomeFailed, firjob.ReceiptDuplicate)
	followed = s.wantReceipt(second, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "ended", followed.Ended, id)
	if e := s.wantState(id, firjob.StateFailed); len(e.Attempts) != 2 || e.Reason != "no paper" {
		t.Errorf("after the last attempt: got %+v", e)
	}
}

func TestLostAttempts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	var tokens []int64
	for n := 1; ; n++ {
		a := s.mustClaim(id)
		tokens = append(tokens, a.Token)
		followed, err := s.Lose(t.Context(), []firjob.AttemptRef{a, {ID: id, Token: a.Token - 1}}, "the executor is gone")
		if err != nil {
			t.Fatal(err)
		}
		if n == firjob.MaxLost {
			wantIDs(t, "ended", followed.Ended, id)
			break
		}
		wantIDs(t, "announced", idsOf(followed.Announce), id)
	}
	for i := 1; i < len(tokens); i++ {
		if tokens[i] <= tokens[i-1] {
			t.Errorf("the tokens %v do not grow", tokens)
		}
	}
	e := s.wantState(id, firjob.StateLost)
	if len(e.Attempts) != firjob.MaxLost || !strings.Contains(e.Reason, "5 attempts were lost") {
		t.Errorf("got %d attempts, reason %q", len(e.Attempts), e.Reason)
	}
}

func TestLostAtMostOnceIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { j.Delivery = firjob.AtMostOnce })
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{s.mustClaim(id)}, "gone"); err != nil {
		t.Fatal(err)
	}
	s.wantState(id, firjob.StateLost)
}

func TestLateAnswerCountsWhileNoNewerAttemptExists(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "silence"); err != nil {
		t.Fatal(err)
	}
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	e := s.wantState(id, firjob.StateSucceeded)
	if len(e.Attempts) != 1 || e.Attempts[0].Outcome != firjob.OutcomeSucceeded {
		t.Errorf("attempts: got %+v, want the one that succeeded", e.Attempts)
	}
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptDuplicate)

	_, id = s.fire(nil)
	a = s.mustClaim(id)
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "silence"); err != nil {
		t.Fatal(err)
	}
	newer := s.mustClaim(id)
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptStale)
	s.wantReceipt(newer, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
}

func TestFinishStoresWhatPostgresWouldRefuse(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	for _, body := range []string{`"\u0000"`, "\"\xff\"", "nonsense", deep} {
		_, id := s.fire(nil)
		a := s.mustClaim(id)
		got, err := s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
			ID: id, Token: a.Token, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(body)}}})
		if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
			t.Errorf("result %.20q: got %v, %v", body, got.Receipts, err)
		}
		_, id = s.fire(func(j *firjob.Job) { j.Retry.MaxAttempts = 2 })
		a = s.mustClaim(id)
		got, err = s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
			ID: id, Token: a.Token, Outcome: firjob.OutcomeFailed, Error: "a\x00b\xff", Result: json.RawMessage(body)}}})
		if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
			t.Errorf("failure with %.20q: got %v, %v", body, got.Receipts, err)
		}
	}
}

func TestFinishersRace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	now := s.now()
	var at []time.Time
	for i := range 200 {
		at = append(at, now.Add(-time.Duration(i)*time.Millisecond))
	}
	claimed := s.claim(s.plan(job, at...)...).Claimed
	items := successesOf(claimed, now)
	receipts := make([][]firjob.Receipt, 4)
	together(len(receipts), func(i int) {
		mine := append(items[i*50:len(items):len(items)], items[:i*50]...)
		got, err := s.Finish(t.Context(), mine)
		if err != nil {
			t.Errorf("finisher %d: %v", i, err)
		}
		receipts[i] = got.Receipts
	})
	counts := map[firjob.Receipt]int{}
	for _, list := range receipts {
		for _, r := range list {
			counts[r]++
		}
	}
	if counts[firjob.ReceiptRecorded] != len(items) || counts[firjob.ReceiptDuplicate] != 3*len(items) {
		t.Errorf("receipts: got %v, want %d recorded and three times as many duplicates", counts, len(items))
	}
}

// A result is kept in its shortest spelling if it is within the limit only so.
func TestALongSpellingOfAResultIsKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	a := s.mustClaim(id)
	n := firjob.MaxResult/3 - 10
	got, err := s.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
		ID: id, Token: a.Token, Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`"` + strings.Repeat(`\u4e2d`, n) + `"`)}}})
	if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
		t.Fatalf("got %v, %v", got, err)
	}
	if e := s.get(id); string(e.Result) != `"`+strings.Repeat("中", n)+`"` {
		t.Errorf("kept %d bytes that begin with %.40s", len(e.Result), e.Result)
	}
}

// The next claim names the process that lost the attempt, if a beat had named it.
func TestAClaimNamesTheProcessThatLostTheAttempt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	if _, err := s.Hold(t.Context(), []ports.Held{hold(s.mustClaim(id), executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoseExecutor(t.Context(), executor, "gone"); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE executions SET due_at = now() WHERE id = $1`, [16]byte(id))
	claimed := s.claim(id).Claimed
	if len(claimed) != 1 || claimed[0].LostBy != executor.Incarnation || claimed[0].Last != executor.Address {
		t.Errorf("claimed %+v, want one whose attempt before %s lost at %s", claimed, executor.Incarnation, executor.Address)
	}
}

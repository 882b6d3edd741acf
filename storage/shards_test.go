package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestTheReasonOfABroadcastIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(200, nil)
	s.exec(`UPDATE executions SET state = 'failed', finished_at = now(), reason = repeat('ü', 500) WHERE parent IS NOT NULL AND id <> $1`, [16]byte(shards[0]))
	s.exec(`UPDATE broadcasts SET open = 1, failed = 199`)
	s.fail(shards[0])
	e := s.wantState(id, firjob.StateFailed)
	if len(e.Reason) > 2000 || !strings.HasPrefix(e.Reason, "200 of 200 shards did not succeed: 0 (") || !strings.HasSuffix(e.Reason, "; and 190 more") {
		t.Errorf("reason of %d bytes: %s", len(e.Reason), e.Reason)
	}
}

// Shards are retried and time out as the job says, each by itself.
func TestShardsAreRetried(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(2, func(j *firjob.Job) {
		j.Retry.MaxAttempts, j.Retry.Backoff, j.Timeout = 2, firjob.Duration(time.Millisecond), firjob.Duration(time.Minute)
	})
	s.fail(shards[0])
	s.wantState(shards[0], firjob.StatePlanned)
	s.succeed(shards[0])
	s.fail(shards[1])
	s.mustClaim(shards[1])
	s.exec(`UPDATE executions SET deadline_at = now() - interval '1 ms' WHERE deadline_at IS NOT NULL AND state = 'running'`)
	if _, err := s.ExpireLeases(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	s.wantState(shards[1], firjob.StateTimedOut)
	s.wantState(id, firjob.StateFailed)
}

func TestTheExecutorOfAShardDies(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(2, nil)
	s.succeed(shards[0])
	a := s.mustClaim(shards[1])
	if _, err := s.Hold(t.Context(), []ports.Held{hold(a, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	followed, err := s.LoseExecutor(t.Context(), executor, "gone")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "announced", idsOf(followed.Announce), shards[1])
	s.wantState(id, firjob.StateRunning)
	claimed := s.claim(shards[1]).Claimed
	if len(claimed) != 1 || *claimed[0].Trigger.Shard != (firjob.ShardOf{Index: 1, Total: 2}) || claimed[0].Trigger.Attempt != 2 {
		t.Fatalf("claimed again as %+v, want the same part", claimed)
	}
	s.finishWith(firjob.AttemptRef{ID: shards[1], Token: claimed[0].Trigger.Token}, `1`)
	s.wantState(id, firjob.StateSucceeded)
}

// The last shard ends the broadcast, whoever records it, and only once.
func TestShardsThatEndAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	child := s.child("", firjob.OnEnd, job)
	const n = 12
	var attempts []firjob.AttemptRef
	for _, shard := range s.spread(id, n) {
		attempts = append(attempts, s.mustClaim(shard))
	}
	other := s.open()
	together(n+1, func(i int) {
		if i == n {
			if _, _, err := s.CancelExecution(t.Context(), id); err != nil && firjob.CodeOf(err) != firjob.CodeConflict {
				t.Errorf("cancel: %v", err)
			}
			return
		}
		db := s.DB
		if i%2 == 0 {
			db = other
		}
		outcome := firjob.OutcomeSucceeded
		if i == 3 {
			outcome = firjob.OutcomeFailed
		}
		got, err := db.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
			ID: attempts[i].ID, Token: attempts[i].Token, Outcome: outcome, Error: "no paper"}}})
		if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
			t.Errorf("shard %d: %v, %v", i, got.Receipts, err)
		}
	})
	if e := s.get(id); e.State != firjob.StateFailed && e.State != firjob.StateCancelled {
		t.Errorf("the broadcast is %s (%s)", e.State, e.Reason)
	}
	s.wantResult(id, `{"total":12,"succeeded":11,"failed":1}`)
	s.only(child)
	var left int
	if s.query(`SELECT count(*) FROM broadcasts`, &left); left > 0 {
		t.Errorf("%d broadcasts are still counted", left)
	}
}

func TestRetryAShard(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(2, nil)
	s.succeed(shards[0])
	s.fail(shards[1])
	e, err := s.RetryExecution(t.Context(), shards[1])
	if err != nil {
		t.Fatal(err)
	}
	want := firjob.ShardOf{Index: 1, Total: 2, Target: "10.0.0.1:9999"}
	if e.Kind != firjob.KindManual || *e.RetryOf != shards[1] || *e.Parent != shards[1] || *e.Root != id || e.Shard == nil || *e.Shard != want {
		t.Errorf("the retry is %+v", e)
	}
	claimed := s.claim(e.ID).Claimed
	if len(claimed) != 1 || claimed[0].Target != want.Target || *claimed[0].Trigger.Shard != (firjob.ShardOf{Index: 1, Total: 2}) {
		t.Fatalf("claimed %+v", claimed)
	}
	s.finishWith(firjob.AttemptRef{ID: e.ID, Token: claimed[0].Trigger.Token}, `1`)
	s.wantState(e.ID, firjob.StateSucceeded)
	if e := s.wantState(id, firjob.StateFailed); len(e.Shards) != 2 {
		t.Errorf("the broadcast shows %d shards, want its own 2", len(e.Shards))
	}
}

func TestRetryTheFailedShards(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id, shards := s.cast(4, nil)
	child := s.child("", firjob.OnSuccess, job)
	_, err := s.RetryShards(t.Context(), id)
	wantCode(t, err, firjob.CodeConflict)
	s.succeed(shards[0], shards[2])
	s.fail(shards[1], shards[3])

	again, err := s.RetryShards(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if *again.RetryOf != id || *again.Root != id || again.Shard != nil || again.State != firjob.StatePlanned {
		t.Errorf("the retry is %+v", again)
	}
	if c := s.claim(again.ID).Claimed; len(c) != 1 || c[0].Trigger.Shard != nil {
		t.Fatalf("claimed %+v, want a broadcast", c)
	} else if _, err := s.Broadcast(t.Context(), firjob.AttemptRef{ID: again.ID, Token: c[0].Trigger.Token}, addresses(9)); err != nil {
		t.Fatal(err)
	}
	parts := s.get(again.ID).Shards
	want := []firjob.ShardOf{{Index: 1, Total: 4, Target: "10.0.0.1:9999"}, {Index: 3, Total: 4, Target: "10.0.0.3:9999"}}
	if len(parts) != 2 || *parts[0].Shard != want[0] || *parts[1].Shard != want[1] {
		t.Fatalf("it repeats %+v, want the shards %v", parts, want)
	}
	s.none(child)
	s.succeed(parts[0].ID, parts[1].ID)
	s.wantState(again.ID, firjob.StateSucceeded)
	s.wantResult(again.ID, `{"total":2,"succeeded":2,"failed":0}`)
	if e := s.only(child); *e.Parent != again.ID || *e.Root != id {
		t.Errorf("the child has the parent %v and the root %v", e.Parent, e.Root)
	}
	_, err = s.RetryShards(t.Context(), again.ID)
	wantCode(t, err, firjob.CodeConflict)
	_, err = s.RetryShards(t.Context(), s.only(child).ID)
	wantCode(t, err, firjob.CodeConflict)

	whole, err := s.RetryExecution(t.Context(), again.ID)
	if err != nil {
		t.Fatal(err)
	}
	if shards := s.spread(whole.ID, 5); len(shards) != 5 {
		t.Errorf("the whole broadcast has %d shards, want one for each executor that is there now", len(shards))
	}
}

// A job that is a broadcast no more would run as a whole, and again what has
// succeeded.
func TestFailedShardsOfWhatIsNoBroadcastAnyMore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id, shards := s.cast(2, nil)
	s.succeed(shards[0])
	s.fail(shards[1])
	s.edit(job.ID, func(j *firjob.Job) { j.Route = firjob.RouteRandom })
	_, err := s.RetryShards(t.Context(), id)
	wantCode(t, err, firjob.CodeConflict)
	again, err := s.RetryExecution(t.Context(), shards[1])
	if err != nil {
		t.Fatal(err)
	}
	if c := s.claim(again.ID).Claimed; len(c) != 1 || c[0].Trigger.Shard == nil || *c[0].Trigger.Shard != (firjob.ShardOf{Index: 1, Total: 2}) {
		t.Errorf("a shard by itself is claimed as %+v, want shard 1 of 2", c)
	}
}

// A broadcast that others trigger gives its inputs to each shard, within a bound.
func TestShardsGetTheInputs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	child := s.job(func(j *firjob.Job) { parents("", firjob.OnSuccess, parent)(j); broadcast(j) })
	s.exec(`UPDATE jobs SET next_fire_at = NULL WHERE id = $1`, int32(child.ID))
	for size, left := range map[int]bool{100: true, 300_000: false} {
		a := s.run(parent)
		s.finishWith(a, `"`+strings.Repeat("x", size)+`"`)
		list := s.of(child)
		id := list[len(list)-1].ID
		for _, shard := range s.spread(id, 100) {
			if ends := inputsOf(t, s.get(shard)); len(ends) != 1 || (ends[0].Result != nil) != left {
				t.Fatalf("a result of %d bytes: shard %s is told %.200v", size, shard, ends)
			}
		}
	}
}

// A broadcast may have thousands of shards, and each of them a mebibyte of
// result: it is shown without.
func TestABroadcastIsReadWithoutTheResultsOfItsShards(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(2, func(j *firjob.Job) { j.Params = []byte(`{"region":"eu"}`) })
	for _, shard := range shards {
		s.finishWith(s.mustClaim(shard), `[1,2,3]`)
	}
	for _, e := range s.get(id).Shards {
		if len(e.Result)+len(e.Params) > 0 || e.State != firjob.StateSucceeded || e.Executor != executor.Address {
			t.Errorf("shard %d is read as %+v, want neither params nor result, and the rest", e.Shard.Index, e)
		}
	}
	if e := s.get(shards[1]); string(e.Result) != `[1,2,3]` || string(e.Params) != `{"region":"eu"}` {
		t.Errorf("a shard by itself has params %s and result %s", e.Params, e.Result)
	}
}

// A shard that another transaction has locked when its broadcast is to be
// replaced is asked a moment later: a job that has become exclusive since would
// wait for it without end.
func TestReplaceOfABroadcastWithALockedShard(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { broadcast(j); replacing(j) })
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Millisecond), now)
	shards := s.spread(ids[0], 2)
	s.succeed(shards[0])
	running := s.mustClaim(shards[1])
	s.edit(job.ID, func(j *firjob.Job) { j.Route, j.Exclusive = firjob.RouteRandom, true })

	conn := s.session()
	if _, err := conn.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM executions WHERE id = $1::text::uuid FOR UPDATE`, shards[1].String()); err != nil {
		t.Fatal(err)
	}
	if got := s.claim(ids[1]); len(got.Followed.Cancel) != 1 || got.Followed.Cancel[0].Attempt.ID != ids[0] {
		t.Fatalf("told to end: %+v; want the broadcast, as its shard is locked", got.Followed.Cancel)
	}
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if got := s.admit().Cancel; len(got) != 1 || got[0].Attempt != running {
		t.Errorf("told to end a moment later: %+v; want the shard, %v", got, running)
	}
	if _, next, err := s.Admit(t.Context()); err != nil || next == 0 {
		t.Errorf("the next look is worth while in %v, %v; want no more", next, err)
	}
	s.wantReceipt(running, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	s.wantReceipt(s.mustClaim(ids[1]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

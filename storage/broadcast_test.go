package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func broadcast(j *firjob.Job) { j.Route = firjob.RouteBroadcast }

// addresses are n executors.
func addresses(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("10.0.0.%d:9999", i)
	}
	return list
}

// spread claims a broadcast, spreads it over n executors and returns its shards.
func (s *store) spread(id firjob.ExecutionID, n int) []firjob.ExecutionID {
	s.t.Helper()
	followed, err := s.Broadcast(s.t.Context(), s.mustClaim(id), addresses(n))
	if err != nil {
		s.t.Fatal(err)
	}
	shards := idsOf(followed.Announce)
	slices.SortFunc(shards, func(a, b firjob.ExecutionID) int { return a.Ordinal() - b.Ordinal() })
	return shards
}

// cast makes a broadcast job and spreads a fire of it over n executors.
func (s *store) cast(n int, change func(*firjob.Job)) (job firjob.Job, id firjob.ExecutionID, shards []firjob.ExecutionID) {
	s.t.Helper()
	job, id = s.fire(func(j *firjob.Job) {
		broadcast(j)
		if change != nil {
			change(j)
		}
	})
	return job, id, s.spread(id, n)
}

func (s *store) succeed(ids ...firjob.ExecutionID) {
	s.t.Helper()
	for _, id := range ids {
		s.wantReceipt(s.mustClaim(id), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	}
}

func (s *store) fail(ids ...firjob.ExecutionID) {
	s.t.Helper()
	for _, id := range ids {
		s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	}
}

func (s *store) wantResult(id firjob.ExecutionID, want string) {
	s.t.Helper()
	if got := string(s.get(id).Result); got != want {
		s.t.Errorf("result of %s: got %s, want %s", id, got, want)
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	children := map[firjob.On]firjob.Job{firjob.OnSuccess: s.child("", firjob.OnSuccess, job), firjob.OnFailure: s.child("", firjob.OnFailure, job)}
	shards := s.spread(id, 3)
	if want := []firjob.ExecutionID{id.Shard(0), id.Shard(1), id.Shard(2)}; !slices.Equal(shards, want) {
		t.Fatalf("announced %v, want %v", shards, want)
	}
	parent := s.wantState(id, firjob.StateRunning)
	if parent.StartedAt == nil || parent.Shard != nil || len(parent.Shards) != 3 {
		t.Errorf("the broadcast is %+v", parent)
	}
	for i, e := range parent.Shards {
		want := firjob.ShardOf{Index: i, Total: 3, Target: addresses(3)[i]}
		if e.ID != shards[i] || *e.Parent != id || *e.Root != id || e.State != firjob.StatePlanned || *e.Shard != want {
			t.Errorf("shard %d is %+v", i, e)
		}
	}
	claimed := s.claim(shards...).Claimed
	slices.SortFunc(claimed, func(a, b ports.Claimed) int { return a.Trigger.ID.Ordinal() - b.Trigger.ID.Ordinal() })
	for i, c := range claimed {
		if diff := cmp.Diff(firjob.ShardOf{Index: i, Total: 3}, *c.Trigger.Shard); diff != "" || c.Target != addresses(3)[i] || c.Trigger.Kind != firjob.KindSchedule {
			t.Errorf("shard %d is claimed as %+v (%s)", i, c, diff)
		}
		s.wantState(id, firjob.StateRunning)
		s.finishWith(firjob.AttemptRef{ID: c.Trigger.ID, Token: c.Trigger.Token}, `1`)
	}
	s.wantState(id, firjob.StateSucceeded)
	s.wantResult(id, `{"total":3,"succeeded":3,"failed":0}`)
	s.none(children[firjob.OnFailure])
	if e := s.only(children[firjob.OnSuccess]); *e.Parent != id {
		t.Errorf("the child's parent is %v, want the broadcast", e.Parent)
	}
}

func TestBroadcastOfWhichSomeFail(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id, shards := s.cast(5, nil)
	child := s.child("", firjob.OnFailure, job)
	s.exec(`UPDATE executions SET follow = true`)
	s.succeed(shards[0], shards[2], shards[4])
	s.fail(shards[1])
	if _, _, err := s.CancelExecution(t.Context(), shards[3]); err != nil {
		t.Fatal(err)
	}
	e := s.wantState(id, firjob.StateFailed)
	if want := "2 of 5 shards did not succeed: 1 (10.0.0.7:9999) failed: no paper; 3 (10.0.0.3:9999) cancelled: cancelled on request"; e.Reason != want {
		t.Errorf("reason: got %q, want %q", e.Reason, want)
	}
	s.wantResult(id, `{"total":5,"succeeded":3,"failed":2}`)
	s.only(child)
	letters, _, err := s.DeadLetters(t.Context(), ports.DeadLetterFilter{PageSize: 10})
	if err != nil || len(letters) != 1 || letters[0].ID != id {
		t.Errorf("dead letters: got %+v, %v; want the broadcast and none of its shards", letters, err)
	}
}

// Once it is spread, nothing but its shards ends a broadcast: not the lease, the
// server or the attempt of before, nor a second spreading.
func TestASpreadBroadcastWaitsForItsShards(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(func(j *firjob.Job) { broadcast(j); j.Timeout = firjob.Duration(time.Second) })
	a := s.mustClaim(id)
	if _, err := s.Broadcast(t.Context(), a, addresses(2)); err != nil {
		t.Fatal(err)
	}
	refs := []firjob.AttemptRef{a}
	if followed, err := s.Broadcast(t.Context(), a, addresses(4)); err != nil || len(followed.Announce) > 0 {
		t.Errorf("spread again: %+v, %v; want nothing done", followed, err)
	}
	if held, err := s.Hold(t.Context(), []ports.Held{hold(a, executor)}, time.Minute); err != nil || len(held.Stale) != 1 {
		t.Errorf("hold: %+v, %v; want it stale", held, err)
	}
	if due, err := s.Release(t.Context(), refs, 0, "not sent"); err != nil || len(due) > 0 {
		t.Errorf("release: %v, %v", due, err)
	}
	if err := s.Unclaim(t.Context(), claimBy("r1"), []firjob.ExecutionID{id}); err != nil {
		t.Errorf("unclaim: %v", err)
	}
	if current, err := s.Current(t.Context(), refs); err != nil || len(current) > 0 {
		t.Errorf("current: %v, %v", current, err)
	}
	s.wantReceipt(a, firjob.OutcomeFailed, firjob.ReceiptStale)
	for what, end := range map[string]func() (ports.Followed, error){
		"lose":         func() (ports.Followed, error) { return s.Lose(t.Context(), refs, "gone") },
		"lose replica": func() (ports.Followed, error) { return s.LoseReplica(t.Context(), "r1", time.Now(), "gone") },
		"expire":       func() (ports.Followed, error) { return s.ExpireLeases(t.Context(), 10) },
	} {
		if followed, err := end(); err != nil || len(followed.Announce)+len(followed.Ended) > 0 {
			t.Errorf("%s: %+v, %v; want nothing done", what, followed, err)
		}
	}
	if e := s.wantState(id, firjob.StateRunning); len(e.Shards) != 2 {
		t.Errorf("it has %d shards, want 2", len(e.Shards))
	}
	s.succeed(id.Shard(0), id.Shard(1))
	s.wantState(id, firjob.StateSucceeded)
}

// A server that dies between the claim and the spreading leaves a lost attempt;
// the next one spreads, and the dead one's spreading does nothing.
func TestAReplicaDiesBeforeItSpreads(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(broadcast)
	old := s.mustClaim(id)
	if _, err := s.LoseReplica(t.Context(), "r1", time.Now(), "gone"); err != nil {
		t.Fatal(err)
	}
	if followed, err := s.Broadcast(t.Context(), old, addresses(3)); err != nil || len(followed.Announce) > 0 {
		t.Errorf("spread by a replica that was given up: %+v, %v", followed, err)
	}
	s.succeed(s.spread(id, 2)...)
	s.wantState(id, firjob.StateSucceeded)
	s.wantResult(id, `{"total":2,"succeeded":2,"failed":0}`)
}

func TestCancelABroadcast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id, shards := s.cast(4, func(j *firjob.Job) { j.Retry.MaxAttempts = 2 })
	s.succeed(shards[0])
	running := s.mustClaim(shards[1])
	s.fail(shards[2])
	_, followed, err := s.CancelExecution(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ports.Cancel{{App: app, Attempt: running}}, followed.Cancel); diff != "" {
		t.Errorf("attempts to cancel (-want +got):\n%s", diff)
	}
	s.wantState(shards[2], firjob.StateCancelled)
	s.wantState(shards[3], firjob.StateCancelled)
	s.wantState(id, firjob.StateRunning)
	s.wantReceipt(running, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantState(shards[1], firjob.StateCancelled)
	e := s.wantState(id, firjob.StateCancelled)
	if !strings.HasPrefix(e.Reason, "cancelled on request; 3 of 4 shards did not succeed: ") {
		t.Errorf("reason: %q", e.Reason)
	}

	_, id, _ = s.cast(3, nil)
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wantState(id, firjob.StateCancelled) // with the last of its shards, none of which ran

	_, id, shards = s.cast(1, nil)
	running = s.mustClaim(shards[0])
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantState(id, firjob.StateSucceeded) // the request came too late
}

func TestABroadcastIsCancelledBeforeItIsSpread(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(broadcast)
	a := s.mustClaim(id)
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	followed, err := s.Broadcast(t.Context(), a, addresses(2))
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "ended", followed.Ended, id)
	if e := s.wantState(id, firjob.StateCancelled); len(e.Shards) > 0 {
		t.Errorf("it has shards: %+v", e.Shards)
	}
}

func TestTooManyExecutorsForABroadcast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	child := s.child("", firjob.OnFailure, job)
	if _, err := s.Broadcast(t.Context(), s.mustClaim(id), make([]string, firjob.MaxShards+1)); err != nil {
		t.Fatal(err)
	}
	if e := s.wantState(id, firjob.StateFailed); e.Reason != "4096 executors fit; a broadcast has at most 4095 shards" {
		t.Errorf("reason: %q", e.Reason)
	}
	s.only(child)

	_, id = s.fire(broadcast)
	if shards := s.spread(id, firjob.MaxShards); len(shards) != firjob.MaxShards || len(s.get(id).Shards) != firjob.MaxShards {
		t.Errorf("%d shards, want %d", len(shards), firjob.MaxShards)
	}
}

// The parent keeps the job's place until its last shard has ended; the shards
// need none.
func TestABroadcastHoldsItsPlace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { broadcast(j); j.Overlap = firjob.OverlapQueue })
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Millisecond), now)
	shards := s.spread(ids[0], 2)
	s.claim(ids[1])
	if e := s.wantState(ids[1], firjob.StatePlanned); !e.Waiting {
		t.Errorf("the second is %+v, want it to wait", e)
	}
	s.succeed(shards[0])
	if e := s.get(ids[1]); !e.Waiting {
		t.Errorf("the second does not wait any more while a shard of the first is open")
	}
	s.succeed(shards[1])
	s.succeed(s.spread(ids[1], 1)...)
	s.wantState(ids[1], firjob.StateSucceeded)
}

// The next fire of a delay job follows the whole broadcast and not a shard.
func TestABroadcastWithDelay(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id, shards := s.cast(2, func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(time.Minute)}
	})
	next := func() *time.Time {
		t.Helper()
		j, _, err := s.Job(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		return j.NextFireAt
	}
	s.succeed(shards[1])
	if at := next(); at != nil {
		t.Errorf("the next fire is at %v while a shard is open", at)
	}
	s.succeed(shards[0])
	s.wantState(id, firjob.StateSucceeded)
	if next() == nil {
		t.Error("there is no next fire after the broadcast")
	}
}

// What replaces a broadcast cancels its shards, too, and begins when they have ended.
func TestABroadcastIsReplaced(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { broadcast(j); j.Overlap = firjob.OverlapReplace })
	now := s.now()
	ids := s.plan(job, now.Add(-2*time.Millisecond), now)
	shards := s.spread(ids[0], 2)
	running := s.mustClaim(shards[0])
	got := s.claim(ids[1])
	if !slices.Contains(got.Followed.Cancel, ports.Cancel{App: app, Attempt: running}) {
		t.Errorf("to be cancelled: %+v, want the shard that runs among them", got.Followed.Cancel)
	}
	s.wantState(shards[1], firjob.StateCancelled)
	s.wantReceipt(running, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	s.wantState(ids[0], firjob.StateCancelled)
	s.succeed(s.spread(ids[1], 1)...)
	s.wantState(ids[1], firjob.StateSucceeded)
}

// A cancellation that meets the spreading waits for it, and then for none of
// the shards that it has made.
func TestABroadcastIsCancelledWhileItIsSpread(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	a := s.mustClaim(id)
	// Somebody else's row under the id of a shard keeps the spreading from its end.
	conn := s.session()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO executions (id, job_id, job_version, due_at) VALUES ($1, $2, 0, now())`,
		[16]byte(id.Shard(1)), int32(job.ID)); err != nil {
		t.Fatal(err)
	}
	spread, cancelled := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Broadcast(t.Context(), a, addresses(2))
		spread <- err
	}()
	s.awaitLockWait()
	go func() {
		_, _, err := s.CancelExecution(t.Context(), id)
		cancelled <- err
	}()
	s.awaitLockWaits(2)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, done := range map[string]chan error{"spread": spread, "cancel": cancelled} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, e := range s.wantState(id, firjob.StateCancelled).Shards {
		if e.State != firjob.StateCancelled {
			t.Errorf("shard %d is %s, want it cancelled with its broadcast", e.Shard.Index, e.State)
		}
	}
}

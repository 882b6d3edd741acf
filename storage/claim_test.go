package storage_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func TestClaimReturnsTheTrigger(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(func(j *firjob.Job) {
		j.Params = json.RawMessage(`{"region": "eu"}`)
		j.Timeout = firjob.Duration(90 * time.Second)
		j.Route, j.Delivery = firjob.RouteLeastBusy, firjob.AtMostOnce
	})
	got := s.claim(id)
	if len(got.Claimed) != 1 {
		t.Fatalf("got %+v, want one claimed", got)
	}
	token := got.Claimed[0].Trigger.Token
	if token <= 0 {
		t.Errorf("got the token %d, want a positive one", token)
	}
	want := ports.ClaimResult{Claimed: []ports.Claimed{{
		App: app, Route: firjob.RouteLeastBusy, Delivery: firjob.AtMostOnce, DueAt: id.ScheduledAt(),
		Trigger: firjob.Trigger{ID: id, JobID: job.ID, Job: job.Name, Handler: "report", Kind: firjob.KindSchedule,
			Params: json.RawMessage(`{"region": "eu"}`), ScheduledAt: id.ScheduledAt(), Attempt: 1, Token: token,
			Timeout: firjob.Duration(90 * time.Second)},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	s.wantState(id, firjob.StateRunning)
	wantIDs(t, "a second claim drops it", s.claim(id).Dropped, id)
}

func TestClaimSortsOut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireSkip })
	now := s.now()
	early := now.Add(30 * time.Second)
	ids := s.plan(job, now.Add(-time.Hour), now, early)
	unknown := firjob.Fire(job.ID, now.Add(time.Millisecond))

	got := s.claim(append(ids, unknown)...)
	if len(got.Claimed) != 1 || got.Claimed[0].Trigger.ID != ids[1] {
		t.Errorf("claimed %+v, want %s only", got.Claimed, ids[1])
	}
	if diff := cmp.Diff([]firjob.Due{{ID: ids[2], At: early}}, got.Early); diff != "" {
		t.Errorf("early (-want +got):\n%s", diff)
	}
	missed := s.wantState(ids[0], firjob.StateMissed)
	if !strings.Contains(missed.Reason, "beyond the grace of 5s") {
		t.Errorf("reason: got %q", missed.Reason)
	}
	wantIDs(t, "dropped", got.Dropped, ids[0], unknown)
}

func TestClaimObeysTheMisfirePolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[firjob.MisfirePolicy][]firjob.State{
		firjob.MisfireFireOnce: {firjob.StateMissed, firjob.StateMissed, firjob.StateRunning},
		firjob.MisfireSkip:     {firjob.StateMissed, firjob.StateMissed, firjob.StateMissed},
		firjob.MisfireFireAll:  {firjob.StateRunning, firjob.StateRunning, firjob.StateRunning},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(func(j *firjob.Job) { j.Misfire.Policy = policy })
			now := s.now()
			ids := s.plan(job, now.Add(-3*time.Minute), now.Add(-2*time.Minute), now.Add(-time.Minute))
			s.claim(ids...)
			for i, id := range ids {
				s.wantState(id, want[i])
			}
		})
	}
}

func TestClaimersRace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	now := s.now()
	var at []time.Time
	for i := range 500 {
		at = append(at, now.Add(-time.Duration(i)*time.Millisecond))
	}
	ids := s.plan(job, at...)
	var claimed [4]ports.ClaimResult
	together(len(claimed), func(i int) {
		db := s.open()
		var err error
		if claimed[i], err = db.Claim(t.Context(), ids, claimBy("r")); err != nil {
			t.Errorf("claimer %d: %v", i, err)
		}
	})
	tokens := map[int64]bool{}
	times := map[firjob.ExecutionID]int{}
	for _, r := range claimed {
		for _, c := range r.Claimed {
			times[c.Trigger.ID]++
			tokens[c.Trigger.Token] = true
		}
		if len(r.Claimed)+len(r.Dropped) != len(ids) {
			t.Errorf("one claim sorted %d and %d of %d ids", len(r.Claimed), len(r.Dropped), len(ids))
		}
	}
	for _, id := range ids {
		if times[id] != 1 {
			t.Errorf("%s was claimed %d times, want once", id, times[id])
		}
	}
	if len(tokens) != len(ids) {
		t.Errorf("got %d different tokens, want %d", len(tokens), len(ids))
	}
}

func TestEditBeatsTheClaim(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 20 {
		job, id := s.fire(nil)
		var r ports.ClaimResult
		together(2, func(i int) {
			var err error
			if i == 0 {
				r, err = s.Claim(t.Context(), []firjob.ExecutionID{id}, claimBy("r"))
			} else {
				_, _, err = s.UpdateJob(t.Context(), job.ID, func(_ time.Time, j *firjob.Job) error {
					j.Schedule.Interval *= 2
					return nil
				})
			}
			if err != nil {
				t.Error(err)
			}
		})
		e := s.get(id)
		switch {
		case len(r.Claimed) == 1 && e.State == firjob.StateRunning:
		case len(r.Claimed) == 0 && e.State == firjob.StateSuperseded:
		default:
			t.Errorf("claimed %+v, but the execution is %s (%s)", r.Claimed, e.State, e.Reason)
		}
	}
}

func TestClaimOfWhatAnOlderVersionPlanned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		reason string
	}{
		"changed": {`UPDATE jobs SET version = version + 1, fires_since = version + 1`, "version 1 planned it, 2 is current"},
		"paused":  {`UPDATE jobs SET enabled = false`, "the job is paused"},
		"deleted": {`UPDATE jobs SET deleted_at = now()`, "the job was deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			_, id := s.fire(nil)
			s.exec(c.change) // as if it was due too long ago for the edit to look for it
			wantIDs(t, "dropped", s.claim(id).Dropped, id)
			if e := s.wantState(id, firjob.StateSuperseded); !strings.Contains(e.Reason, c.reason) {
				t.Errorf("reason: got %q, want %q in it", e.Reason, c.reason)
			}
		})
	}
}

func TestReleaseTakesTheAttemptBack(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	first := s.mustClaim(id)
	due, err := s.Release(t.Context(), []firjob.AttemptRef{first, {ID: id, Token: first.Token + 1}}, 0, "no executor is live")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "released", idsOf(due), id)
	if e := s.wantState(id, firjob.StatePlanned); e.Attempt != 0 || e.Reason != "no executor is live" {
		t.Errorf("after the release: got attempt %d, reason %q", e.Attempt, e.Reason)
	}
	second := s.mustClaim(id)
	if second.Token <= first.Token {
		t.Errorf("the second token %d is not above the first, %d", second.Token, first.Token)
	}
	s.wantReceipt(first, firjob.OutcomeSucceeded, firjob.ReceiptStale)
}

// Executions are claimed ahead of their instant. Whoever gives one up before
// that must not bring it forward.
func TestWhatIsGivenUpAheadOfItsInstantIsNotDueEarlier(t *testing.T) {
	t.Parallel()
	for name, giveUp := range map[string]func(*store, firjob.AttemptRef) ([]firjob.Due, error){
		"released": func(s *store, a firjob.AttemptRef) ([]firjob.Due, error) {
			return s.Release(s.t.Context(), []firjob.AttemptRef{a}, 0, "the replica stops")
		},
		"lost": func(s *store, a firjob.AttemptRef) ([]firjob.Due, error) {
			followed, err := s.Lose(s.t.Context(), []firjob.AttemptRef{a}, "the replica is gone")
			return followed.Announce, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(nil)
			at := s.now().Add(900 * time.Millisecond).Truncate(time.Millisecond)
			id := s.plan(job, at)[0]
			due, err := giveUp(s, s.mustClaim(id))
			if err != nil || len(due) != 1 {
				t.Fatalf("got %v, %v, want one execution", due, err)
			}
			if due[0].At.Before(at) {
				t.Errorf("the fire of %v is due again at %v, before its time", at, due[0].At)
			}
		})
	}
}

// A server that was taken to be gone and came back keeps what it has claimed
// since.
func TestAReplicaThatCameBackKeepsItsFreshClaims(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	s.mustClaim(id)
	followed, err := s.LoseReplica(t.Context(), "r1", time.Now().Add(-time.Minute), "gone")
	if err != nil || len(followed.Announce) != 0 {
		t.Errorf("losing the claims older than a minute took %v, %v, want none", followed.Announce, err)
	}
	s.wantState(id, firjob.StateRunning)
}

// A claim whose answer was lost is undone, and no other: not a later one of the
// same server, which may have been sent.
func TestUnclaim(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, id := s.fire(nil)
	by := func(replica, call string) ports.ClaimBy {
		return ports.ClaimBy{Replica: replica, Call: call, Lease: 30 * time.Second}
	}
	claim := func(by ports.ClaimBy) firjob.AttemptRef {
		t.Helper()
		r, err := s.Claim(t.Context(), []firjob.ExecutionID{id}, by)
		if err != nil || len(r.Claimed) != 1 {
			t.Fatalf("claim %+v: got %+v, %v", by, r, err)
		}
		return firjob.AttemptRef{ID: id, Token: r.Claimed[0].Trigger.Token}
	}
	unclaim := func(by ports.ClaimBy) {
		t.Helper()
		if err := s.Unclaim(t.Context(), by, []firjob.ExecutionID{id}); err != nil {
			t.Fatal(err)
		}
	}
	released := []firjob.AttemptRef{claim(by("r1", "a"))}
	if _, err := s.Release(t.Context(), released, 0, "no executor"); err != nil {
		t.Fatal(err)
	}
	claim(by("r1", "b"))
	unclaim(by("r1", "a"))
	unclaim(by("r2", "b"))
	s.wantState(id, firjob.StateRunning)
	unclaim(by("r1", "b"))
	if e := s.wantState(id, firjob.StatePlanned); e.Attempt != 0 {
		t.Errorf("got attempt %d, want 0", e.Attempt)
	}
	claim(by("r1", "c"))
	followed, err := s.LoseReplica(t.Context(), "r1", time.Now(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "lost with the replica, whatever its call", idsOf(followed.Announce), id)
}

// A lease, and a deadline, count from the instant at which the execution is to
// be sent, which a claim precedes.
func TestLeaseCountsFromTheDueInstant(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Timeout = firjob.Duration(time.Minute) })
	at := s.now().Add(900 * time.Millisecond)
	s.mustClaim(s.plan(job, at)[0])
	var lease, deadline time.Time
	s.query(`SELECT lease_until, deadline_at FROM executions`, &lease, &deadline)
	if !lease.Equal(at.Add(30*time.Second)) || !deadline.Equal(at.Add(65*time.Second)) {
		t.Errorf("due at %v: got the lease until %v and the deadline %v; want 30s and 65s later", at, lease, deadline)
	}
}

// A fire that was claimed before a change of its job, and given back unsent after it,
// was due before the change: it runs, as it had run if nothing had held it up.
func TestAChangeLeavesWhatWasClaimed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*firjob.Job){
		"another schedule": func(j *firjob.Job) { j.Schedule.Interval *= 2 },
		"pause":            func(j *firjob.Job) { j.Enabled = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job, id := s.fire(nil)
			first := s.mustClaim(id)
			s.edit(job.ID, change)
			if _, err := s.Release(t.Context(), []firjob.AttemptRef{first}, 0, "the lease was short"); err != nil {
				t.Fatal(err)
			}
			if again := s.mustClaim(id); again.Token <= first.Token {
				t.Errorf("claimed again under token %d, want one above %d", again.Token, first.Token)
			}
		})
	}
}

// What waits for an executor when its job is paused does not run long after the pause.
func TestAPauseEndsWhatWaitsForAnExecutor(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(func(j *firjob.Job) { j.Misfire.Grace = 0 })
	first := s.mustClaim(id)
	s.edit(job.ID, func(j *firjob.Job) { j.Enabled = false })
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{first}, 0, "no executor is alive"); err != nil {
		t.Fatal(err)
	}
	s.claim(id)
	s.wantState(id, firjob.StateSuperseded)
}

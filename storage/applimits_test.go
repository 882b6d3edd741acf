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

// limit sets the limits of the app.
func (s *store) limit(limits firjob.AppLimits) firjob.App {
	s.t.Helper()
	got, err := s.UpdateApp(s.t.Context(), app, func(a *firjob.App) error {
		a.AppLimits = limits
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// later makes the store believe that time has passed since tokens were counted.
func (s *store) later(d time.Duration) {
	s.t.Helper()
	s.exec(`UPDATE app_usage SET refilled_at = refilled_at - $1::interval`, d)
}

func claimedIDs(claimed []ports.Claimed) []firjob.ExecutionID {
	var ids []firjob.ExecutionID
	for _, c := range claimed {
		ids = append(ids, c.Trigger.ID)
	}
	slices.SortFunc(ids, func(a, b firjob.ExecutionID) int { return strings.Compare(a.String(), b.String()) })
	return ids
}

func TestLimitsOfAnAppAreStored(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	got := s.limit(firjob.AppLimits{MaxRunning: 10, MaxPerSecond: 2.5})
	read, err := s.App(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, read); diff != "" || got.Version != 2 || got.MaxRunning != 10 || got.MaxPerSecond != 2.5 {
		t.Errorf("stored %+v (-returned +read):\n%s", got, diff)
	}
	_, err = s.App(t.Context(), "nobody")
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.UpdateApp(t.Context(), "nobody", func(*firjob.App) error { return nil })
	wantCode(t, err, firjob.CodeNotFound)
	_, err = s.UpdateApp(t.Context(), app, func(a *firjob.App) error {
		a.MaxRunning = 99
		return firjob.Errorf(firjob.CodeConflict, "no")
	})
	wantCode(t, err, firjob.CodeConflict)
	if again, _ := s.App(t.Context(), app); again != read {
		t.Errorf("a refused change was stored: %+v", again)
	}
}

func TestAppMaxRunning(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 2})
	_, ids := s.firesOf(5, nil)
	got := s.claim(ids[4], ids[0], ids[2], ids[1])
	wantIDs(t, "began", claimedIDs(got.Claimed), ids[0], ids[1])
	if !got.Followed.Admit {
		t.Error("nobody is told that somebody waits")
	}
	if e := s.wantState(ids[2], firjob.StatePlanned); e.Reason != "waits for a place in app billing (max_running 2)" {
		t.Errorf("the reason is %q", e.Reason)
	}
	due, err := s.Overdue(t.Context(), 0, 10)
	if err != nil || len(due) != 1 || due[0].ID != ids[3] {
		t.Errorf("overdue: got %v, %v; want only what nobody has claimed", due, err)
	}
	running := attemptsOf(got.Claimed)
	followed := s.wantReceipt(running[0], firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	wantIDs(t, "let in", idsOf(followed.Announce), ids[2])
	wantIDs(t, "a newcomer does not overtake", s.claim(ids[3]).Dropped, ids[3])
	third := s.mustClaim(ids[2])
	followed, err = s.Lose(t.Context(), []firjob.AttemptRef{third}, "gone")
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "the lost attempt, and who takes its place", idsOf(followed.Announce), ids[3], ids[2])
	wantIDs(t, "waits again", s.claim(ids[2]).Dropped, ids[2])
	s.claim(ids[4])
	fourth := s.mustClaim(ids[3])
	followed = s.wantReceipt(running[1], firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	wantIDs(t, "let in", idsOf(followed.Announce), ids[2])
	followed = s.wantReceipt(s.mustClaim(ids[2]), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "let in", idsOf(followed.Announce), ids[4])
	for _, last := range []firjob.AttemptRef{fourth, s.mustClaim(ids[4])} {
		followed = s.wantReceipt(last, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
		wantIDs(t, "let in", idsOf(followed.Announce))
	}
	s.wantNoPlaces()
}

// planned counts the executions that have not begun.
func (s *store) planned() (n int) {
	s.t.Helper()
	s.query(`SELECT count(*) FROM executions WHERE state = 'planned'`, &n)
	return n
}

// A pause between attempts holds no place of the app; what was given back unsent
// keeps it.
func TestPlacesOfRetriesAndReleases(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 1, MaxPerSecond: 1})
	_, ids := s.firesOf(2, func(j *firjob.Job) {
		j.Retry.MaxAttempts, j.Retry.Backoff, j.Retry.MaxBackoff = 2, firjob.Duration(time.Hour), firjob.Duration(time.Hour)
	})
	first := s.mustClaim(ids[0])
	s.claim(ids[1])
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{first}, 0, "no executor"); err != nil {
		t.Fatal(err)
	}
	s.later(time.Second)
	wantIDs(t, "let in while a place is kept", idsOf(s.admit().Announce))
	first = s.mustClaim(ids[0]) // without another token
	followed := s.wantReceipt(first, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "the retry, and who takes the place", idsOf(followed.Announce), ids[1], ids[0])
	second := s.mustClaim(ids[1])
	s.exec(`UPDATE executions SET due_at = now() WHERE id = $1::text::uuid`, ids[0].String())
	wantIDs(t, "the retry waits", s.claim(ids[0]).Dropped, ids[0])
	s.later(time.Second)
	wantIDs(t, "let in", idsOf(s.wantReceipt(second, firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce), ids[0])
	s.wantReceipt(s.mustClaim(ids[0]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

func TestAppRate(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxPerSecond: 3})
	_, ids := s.firesOf(12, nil)
	// The store's time stands still but for what the test lets pass: the
	// statements below take less than a third of a second each, or the count
	// may be one more.
	began := time.Now()
	allowed := func(passed time.Duration) int {
		return 3 + int(3*(passed+time.Since(began)).Seconds()) + 1
	}
	started := len(s.claim(ids...).Claimed)
	if started < 3 || started > allowed(0) {
		t.Fatalf("%d began at once, want 3", started)
	}
	if e := s.get(ids[11]); e.Reason != "waits for a place in app billing (max_per_second 3)" {
		t.Errorf("the reason is %q", e.Reason)
	}
	for i := range 3 {
		s.later(time.Second)
		in := idsOf(s.admit().Announce)
		started += len(in)
		s.claim(in...)
		passed := time.Duration(i+1) * time.Second
		if started > allowed(passed) || started < min(len(ids), 3+3*(i+1)) {
			t.Errorf("after %v %d have begun, want about %d", passed, started, 3+3*(i+1))
		}
	}
	if n := s.planned(); n > 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestAdmitTellsWhenTheNextTokenComes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxPerSecond: 0.1})
	_, ids := s.firesOf(2, nil)
	s.claim(ids...)
	_, next, err := s.Admit(t.Context())
	if err != nil || next < 5*time.Second || next > 10*time.Second {
		t.Errorf("got %v, %v; want somewhat less than 10s", next, err)
	}
	s.later(20 * time.Second)
	wantIDs(t, "let in", idsOf(s.admit().Announce), ids[1])
	if _, next, _ = s.Admit(t.Context()); next < time.Minute {
		t.Errorf("with nobody waiting the next look is worth while in %v", next)
	}
}

func TestChangingLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 3})
	_, ids := s.firesOf(8, nil)
	running := attemptsOf(s.claim(ids...).Claimed)

	s.limit(firjob.AppLimits{MaxRunning: 1})
	for _, a := range running[:2] {
		wantIDs(t, "let in above the lowered limit", idsOf(s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce))
	}
	wantIDs(t, "let in above the lowered limit", idsOf(s.admit().Announce))
	wantIDs(t, "let in", idsOf(s.wantReceipt(running[2], firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce), ids[3])

	s.limit(firjob.AppLimits{MaxRunning: 2})
	wantIDs(t, "let in by the raised limit", idsOf(s.admit().Announce), ids[4])

	s.limit(firjob.AppLimits{})
	wantIDs(t, "let in by the lifted limit", idsOf(s.admit().Announce), ids[5], ids[6], ids[7])
	rest := attemptsOf(s.claim(ids[3:]...).Claimed)
	if len(rest) != 5 {
		t.Fatalf("%d of 5 began", len(rest))
	}
	for _, a := range rest {
		s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	}
	s.wantNoPlaces()
}

// What runs when an app gets its first limit counts.
func TestTheFirstLimitCountsWhatRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(3, nil)
	running := attemptsOf(s.claim(ids[0], ids[1]).Claimed)
	s.limit(firjob.AppLimits{MaxRunning: 2})
	wantIDs(t, "to wait", s.claim(ids[2]).Dropped, ids[2])
	wantIDs(t, "let in", idsOf(s.wantReceipt(running[0], firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce), ids[2])
	s.wantReceipt(running[1], firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantReceipt(s.mustClaim(ids[2]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

// Priority goes first, but a step of it is worth no more than ten seconds.
func TestPrioritiesUnderABacklog(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 1})
	_, blocker := s.fire(nil)
	holder := s.mustClaim(blocker)
	prioritized := func(priority int, late time.Duration) firjob.ExecutionID {
		job := s.job(func(j *firjob.Job) { j.Priority, j.Misfire.Policy = priority, firjob.MisfireFireAll })
		return s.plan(job, s.now().Add(-late))[0]
	}
	normal, low, high := prioritized(0, 2*time.Second), prioritized(-10, 3*time.Second), prioritized(10, time.Second)
	older, oldest := prioritized(0, 90*time.Second), prioritized(-10, 5*time.Minute)
	s.claim(low, normal, high, older, oldest)
	for _, want := range []firjob.ExecutionID{oldest, high, older, normal, low} {
		followed := s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
		wantIDs(t, "let in", idsOf(followed.Announce), want)
		holder = s.mustClaim(want)
	}
}

func TestEndsOfThoseThatWaitForAnApp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 1})
	job, ids := s.firesOf(3, func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapQueue, 2 })
	holder := s.mustClaim(ids[0])
	s.claim(ids[1]) // has a place of its job, none of its app
	s.claim(ids[2]) // has neither
	_, followed, err := s.CancelExecution(t.Context(), ids[1])
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "let in by the cancel", idsOf(followed.Announce), ids[2])
	wantIDs(t, "waits for the app now", s.claim(ids[2]).Dropped, ids[2])
	s.edit(job.ID, func(j *firjob.Job) { j.Enabled = false })
	s.wantState(ids[2], firjob.StateSuperseded)
	s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

// Who waits for an app beyond the start deadline takes nobody's place.
func TestStartDeadlineOfWhoWaitsForAnApp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 1, MaxPerSecond: 1})
	_, blocker := s.fire(nil)
	holder := s.mustClaim(blocker)
	_, late := s.firesOf(20, func(j *firjob.Job) { j.StartDeadline = firjob.Duration(time.Minute) })
	_, after := s.fire(nil)
	s.claim(append(late, after)...)
	s.exec(`UPDATE jobs SET start_deadline_ms = 1 WHERE start_deadline_ms > 0`)
	s.later(time.Second)
	followed := s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	if len(followed.Announce) != 21 {
		t.Fatalf("%d were let go on, want 21", len(followed.Announce))
	}
	got := s.claim(append(late, after)...)
	wantIDs(t, "began", claimedIDs(got.Claimed), after)
	s.wantState(late[7], firjob.StateMissed)
	s.wantReceipt(attemptsOf(got.Claimed)[0], firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

// A broadcast takes nothing of its app; its shards do.
func TestBroadcastsAndLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxRunning: 2})
	job, id := s.fire(func(j *firjob.Job) { j.Route = firjob.RouteBroadcast })
	s.mustClaim(id)
	var shards []firjob.ExecutionID
	for i := range 3 {
		shards = append(shards, id.Shard(i))
		s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, parent, shard_total) VALUES ($1::text::uuid, $2, 0, now(), $3::text::uuid, 3)`,
			id.Shard(i).String(), int32(job.ID), id.String())
	}
	wantIDs(t, "began", claimedIDs(s.claim(shards...).Claimed), shards[0], shards[1])
}

// Nothing of a limited app starts ahead of its instant, because the place may be
// another's by then.
func TestLimitsAreJudgedAtTheInstant(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	ids := s.plan(job, s.now().Add(900*time.Millisecond), s.now().Add(950*time.Millisecond))
	s.mustClaim(ids[0])
	s.limit(firjob.AppLimits{MaxRunning: 9})
	if got := s.claim(ids[1]); len(got.Early) != 1 {
		t.Errorf("got %+v, want it to be early", got)
	}
}

func TestLimitsOfOtherApps(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "other", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	s.limit(firjob.AppLimits{MaxRunning: 1})
	_, mine := s.firesOf(3, nil)
	_, theirs := s.firesOf(3, func(j *firjob.Job) { j.App = "other" })
	got := s.claim(append(mine, theirs...)...)
	if len(got.Claimed) != 4 {
		t.Errorf("%d began, want 1 and 3: %s", len(got.Claimed), fmt.Sprint(claimedIDs(got.Claimed)))
	}
}

// An answer that comes late, when its attempt was given up and the next one
// waits for the app, ends the wait, too.
func TestALateAnswerOfWhoWaitsForAnApp(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[firjob.Outcome]firjob.State{
		firjob.OutcomeSucceeded: firjob.StateSucceeded,
		firjob.OutcomeFailed:    firjob.StatePlanned, // to be tried again
	} {
		t.Run(string(outcome), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			s.limit(firjob.AppLimits{MaxRunning: 1})
			job, late := s.fire(func(j *firjob.Job) {
				j.Overlap = firjob.OverlapQueue
				j.Retry.MaxAttempts, j.Retry.Backoff, j.Retry.MaxBackoff = 3, firjob.Duration(time.Millisecond), firjob.Duration(time.Millisecond)
			})
			a := s.mustClaim(late)
			if _, err := s.Lose(t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
				t.Fatal(err)
			}
			_, other := s.fire(nil)
			b := s.mustClaim(other)
			s.exec(`UPDATE executions SET due_at = now() WHERE id = $1`, [16]byte(late))
			s.claim(late)
			if e := s.wantState(late, firjob.StatePlanned); !e.Waiting {
				t.Fatalf("does not wait: %+v", e)
			}
			s.wantReceipt(a, outcome, firjob.ReceiptRecorded)
			if e := s.wantState(late, want); e.Waiting {
				t.Errorf("it waits still, for nobody: %s", e.Reason)
			}
			s.wantReceipt(b, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			if want == firjob.StatePlanned {
				s.exec(`UPDATE executions SET due_at = now() WHERE id = $1`, [16]byte(late))
				s.wantReceipt(s.mustClaim(late), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			}
			next := s.plan(job, s.now())[0]
			s.wantReceipt(s.mustClaim(next), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			s.admit()
			s.wantNoPlaces()
		})
	}
}

package storage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// firesOf makes a job and n fires of it, one millisecond apart, that are due.
func (s *store) firesOf(n int, change func(*firjob.Job)) (firjob.Job, []firjob.ExecutionID) {
	s.t.Helper()
	job := s.job(change)
	now := s.now()
	var at []time.Time
	for i := range n {
		at = append(at, now.Add(time.Duration(i-n)*time.Millisecond))
	}
	return job, s.plan(job, at...)
}

// admit calls Admit and returns what it leads to.
func (s *store) admit() ports.Followed {
	s.t.Helper()
	followed, _, err := s.Admit(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return followed
}

// wantNoPlaces checks that nobody holds a place or waits for one.
func (s *store) wantNoPlaces() {
	s.t.Helper()
	var slots, places, queue, waiting int
	s.query(`SELECT (SELECT count(*) FROM job_slots), (SELECT count(*) FROM app_slots), (SELECT count(*) FROM app_queue),
		(SELECT count(*) FROM executions WHERE waiting)`, &slots, &places, &queue, &waiting)
	if slots+places+queue+waiting > 0 {
		var left string
		s.query(`SELECT coalesce(string_agg(s::text || coalesce(e::text, ''), E'\n'), '') FROM job_slots AS s LEFT JOIN executions AS e ON e.id = ANY(s.holders)`, &left)
		s.t.Errorf("at the end there are %d job_slots, %d app_slots, %d in app_queue, %d waiting; want none\n%s", slots, places, queue, waiting, left)
	}
}

func replacing(j *firjob.Job) {
	j.Overlap, j.ReplaceAfter = firjob.OverlapReplace, firjob.Duration(30*time.Second)
}

func attemptsOf(claimed []ports.Claimed) []firjob.AttemptRef {
	var list []firjob.AttemptRef
	for _, c := range claimed {
		list = append(list, firjob.AttemptRef{ID: c.Trigger.ID, Token: c.Trigger.Token})
	}
	return list
}

func TestMaxRunning(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*firjob.Job){
		"allow": func(j *firjob.Job) { j.MaxRunning = 2 },
		"queue": func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapQueue, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			_, ids := s.firesOf(4, change)
			got := s.claim(ids[3], ids[1], ids[0], ids[2])
			running := attemptsOf(got.Claimed)
			if len(running) != 2 {
				t.Fatalf("%d began, want 2", len(running))
			}
			wantIDs(t, "dropped, to wait", got.Dropped, ids[2], ids[3])
			if e := s.wantState(ids[2], firjob.StatePlanned); e.Reason != "waits for one of 2 executions (max_running 2)" {
				t.Errorf("the reason is %q", e.Reason)
			}
			followed := s.wantReceipt(running[1], firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			wantIDs(t, "let in by an end", idsOf(followed.Announce), ids[2])
			third := s.mustClaim(ids[2])
			followed = s.wantReceipt(running[0], firjob.OutcomeFailed, firjob.ReceiptRecorded)
			wantIDs(t, "let in by a failure", idsOf(followed.Announce), ids[3])
			s.wantReceipt(third, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			s.wantReceipt(s.mustClaim(ids[3]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			s.wantNoPlaces()
		})
	}
}

func TestSkipWithSeveralPlaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(3, func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapSkip, 2 })
	if got := s.claim(ids...); len(got.Claimed) != 2 {
		t.Fatalf("%d began, want 2", len(got.Claimed))
	}
	if e := s.wantState(ids[2], firjob.StateSkipped); e.Reason != "2 executions were still running (max_running 2)" {
		t.Errorf("the reason is %q", e.Reason)
	}
}

func TestQueueLimit(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*firjob.Job){
		"queue":                 func(j *firjob.Job) { j.Overlap, j.QueueLimit = firjob.OverlapQueue, 2 },
		"allow and max_running": func(j *firjob.Job) { j.MaxRunning, j.QueueLimit = 1, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			_, ids := s.firesOf(6, change)
			holder := s.mustClaim(ids[0])
			s.claim(ids[1])
			s.claim(ids[2], ids[3])
			s.claim(ids[4])
			for i, want := range []firjob.State{firjob.StateRunning, firjob.StatePlanned, firjob.StatePlanned, firjob.StateSkipped, firjob.StateSkipped} {
				s.wantState(ids[i], want)
			}
			if e := s.get(ids[4]); e.Reason != "2 executions wait already (queue_limit 2)" {
				t.Errorf("the reason is %q", e.Reason)
			}
			s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			wantIDs(t, "room in the line again", s.claim(ids[5]).Dropped, ids[5])
			s.wantState(ids[5], firjob.StatePlanned)
		})
	}
}

func TestShardsRunInTheirParentsPlace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(func(j *firjob.Job) { j.Overlap, j.Route = firjob.OverlapSkip, firjob.RouteBroadcast })
	s.mustClaim(id)
	for i := range 3 {
		s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, parent, shard_total) VALUES ($1::text::uuid, $2, 0, now(), $3::text::uuid, 3)`,
			id.Shard(i).String(), int32(job.ID), id.String())
	}
	if got := s.claim(id.Shard(0), id.Shard(1), id.Shard(2)); len(got.Claimed) != 3 {
		t.Errorf("%d of 3 shards began: %+v", len(got.Claimed), got)
	}
}

// The newcomer asks the holder to end and waits for it; a later one takes its
// turn.
func TestReplaceWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(4, replacing)
	holder := s.mustClaim(ids[0])
	got := s.claim(ids[1])
	wantIDs(t, "dropped, to wait", got.Dropped, ids[1])
	if want := (ports.Cancel{App: app, Attempt: holder}); len(got.Followed.Cancel) != 1 || got.Followed.Cancel[0] != want || !got.Followed.Admit {
		t.Errorf("the executor is told %+v, admit %v; want %+v", got.Followed.Cancel, got.Followed.Admit, want)
	}
	got = s.claim(ids[2], ids[3])
	if len(got.Followed.Cancel) != 0 {
		t.Errorf("the executor is told twice: %+v", got.Followed.Cancel)
	}
	for _, i := range []int{1, 2} {
		if e := s.wantState(ids[i], firjob.StateSkipped); e.Reason != "replaced by execution "+ids[3].String() {
			t.Errorf("the reason of the one before is %q", e.Reason)
		}
	}
	followed := s.wantReceipt(holder, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	wantIDs(t, "let in", idsOf(followed.Announce), ids[3])
	if e := s.wantState(ids[0], firjob.StateCancelled); e.Reason != "replaced by execution "+ids[3].String() {
		t.Errorf("the reason of the replaced one is %q", e.Reason)
	}
	s.wantReceipt(s.mustClaim(ids[3]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

// A handler that does not end is left alone after replace_after.
func TestReplaceAfter(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(3, replacing)
	holder := s.mustClaim(ids[0])
	s.claim(ids[1])
	if _, next, err := s.Admit(t.Context()); err != nil || next < 25*time.Second || next > 30*time.Second {
		t.Errorf("the next look is worth while in %v, %v; want 30s", next, err)
	}
	s.claim(ids[2]) // does not put it off
	s.exec(`UPDATE job_slots SET replace_at = replace_at - interval '30 seconds', review_at = review_at - interval '30 seconds'`)
	wantIDs(t, "let in after a while", idsOf(s.admit().Announce), ids[2])
	successor := s.mustClaim(ids[2])
	if e := s.wantState(ids[0], firjob.StateRunning); !strings.Contains(e.Reason, "replaced by execution "+ids[2].String()+", which began after 30s") {
		t.Errorf("the reason of the one that goes on is %q", e.Reason)
	}
	followed := s.wantReceipt(holder, firjob.OutcomeFailed, firjob.ReceiptRecorded)
	wantIDs(t, "its late end lets nobody in", idsOf(followed.Announce))
	s.wantState(ids[0], firjob.StateFailed)
	s.wantReceipt(successor, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

func TestReplaceAfterNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(2, func(j *firjob.Job) { j.Overlap, j.ReplaceAfter = firjob.OverlapReplace, 0 })
	s.mustClaim(ids[0])
	wantIDs(t, "let in at once", idsOf(s.claim(ids[1]).Followed.Announce), ids[1])
	s.mustClaim(ids[1])
}

// Two executions of an exclusive job never run at once, whatever has passed.
func TestReplaceAfterIsNotForExclusiveJobs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(2, func(j *firjob.Job) { replacing(j); j.Exclusive = true })
	holder := s.mustClaim(ids[0])
	s.claim(ids[1])
	s.exec(`UPDATE job_slots SET replace_at = now() - interval '1 second', review_at = now()`)
	wantIDs(t, "let in while the holder runs", idsOf(s.admit().Announce))
	wantIDs(t, "let in", idsOf(s.wantReceipt(holder, firjob.OutcomeCancelled, firjob.ReceiptRecorded).Announce), ids[1])
}

func TestReplaceBetweenAttempts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(2, func(j *firjob.Job) {
		replacing(j)
		j.Retry.MaxAttempts, j.Retry.Backoff, j.Retry.MaxBackoff = 3, firjob.Duration(time.Minute), firjob.Duration(time.Minute)
	})
	s.wantReceipt(s.mustClaim(ids[0]), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	got := s.claim(ids[1])
	wantIDs(t, "let in", idsOf(got.Followed.Announce), ids[1])
	wantIDs(t, "ended", got.Followed.Ended, ids[0])
	if e := s.wantState(ids[0], firjob.StateCancelled); e.Reason != "replaced by execution "+ids[1].String() {
		t.Errorf("the reason is %q", e.Reason)
	}
	s.wantReceipt(s.mustClaim(ids[1]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

// What was scheduled earlier replaces nothing.
func TestReplaceKeepsTheLater(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(2, replacing)
	s.mustClaim(ids[1])
	s.claim(ids[0])
	if e := s.wantState(ids[0], firjob.StateSkipped); !strings.Contains(e.Reason, "which is scheduled later") {
		t.Errorf("the reason is %q", e.Reason)
	}
}

// A holder that another transaction has locked is asked a moment later.
func TestReplaceOfALockedHolder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, ids := s.firesOf(2, replacing)
	holder := s.mustClaim(ids[0])
	conn := s.session()
	if _, err := conn.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM executions WHERE id = $1::text::uuid FOR UPDATE`, ids[0].String()); err != nil {
		t.Fatal(err)
	}
	if got := s.claim(ids[1]); len(got.Followed.Cancel) != 0 {
		t.Errorf("a locked execution was changed: %+v", got.Followed)
	}
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if got := s.admit(); len(got.Cancel) != 1 || got.Cancel[0].Attempt != holder {
		t.Errorf("the executor is told %+v, want %v", got.Cancel, holder)
	}
}

func TestRaisingMaxRunningLetsIn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*firjob.Job){
		"more places":     func(j *firjob.Job) { j.MaxRunning = 3 },
		"queue to allow":  func(j *firjob.Job) { j.Overlap = firjob.OverlapAllow },
		"queue to skip 3": func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapSkip, 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job, ids := s.firesOf(3, func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
			s.mustClaim(ids[0])
			s.claim(ids[1], ids[2])
			wantIDs(t, "let in before the edit", idsOf(s.admit().Announce))
			s.edit(job.ID, change)
			wantIDs(t, "let in by the edit", idsOf(s.admit().Announce), ids[1], ids[2])
			s.mustClaim(ids[1])
			s.mustClaim(ids[2])
		})
	}
}

// With replace only the newest waits, also of those that an edit finds waiting.
func TestQueueBecomesReplace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, ids := s.firesOf(4, func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	holder := s.mustClaim(ids[0])
	s.claim(ids[1:]...)
	s.edit(job.ID, replacing)
	if got := s.admit(); len(got.Cancel) != 1 || got.Cancel[0].Attempt != holder {
		t.Errorf("the executor is told %+v, want %v", got.Cancel, holder)
	}
	s.wantState(ids[1], firjob.StateSkipped)
	s.wantState(ids[2], firjob.StateSkipped)
	wantIDs(t, "let in", idsOf(s.wantReceipt(holder, firjob.OutcomeCancelled, firjob.ReceiptRecorded).Announce), ids[3])
}

// Not even then does what was scheduled earlier replace what runs.
func TestQueueBecomesReplaceForTheEarlier(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, ids := s.firesOf(3, func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	holder := s.mustClaim(ids[2])
	s.claim(ids[0], ids[1])
	s.edit(job.ID, replacing)
	if got := s.admit(); len(got.Cancel) != 0 {
		t.Errorf("the executor is told %+v, want nothing", got.Cancel)
	}
	for _, id := range ids[:2] {
		if e := s.wantState(id, firjob.StateSkipped); !strings.Contains(e.Reason, ids[2].String()+", which is scheduled later") {
			t.Errorf("the reason is %q", e.Reason)
		}
	}
	s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

func TestLoweringMaxRunning(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, ids := s.firesOf(5, func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapQueue, 3 })
	running := attemptsOf(s.claim(ids[0], ids[1], ids[2]).Claimed)
	s.claim(ids[3])
	s.edit(job.ID, func(j *firjob.Job) { j.MaxRunning = 1 })
	s.claim(ids[4])
	for _, a := range running[:2] {
		wantIDs(t, "let in above the limit", idsOf(s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce))
	}
	wantIDs(t, "let in above the limit", idsOf(s.admit().Announce))
	wantIDs(t, "let in", idsOf(s.wantReceipt(running[2], firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce), ids[3])
}

// Executions that run when a job gets its first limit count.
func TestALimitCountsWhatRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, ids := s.firesOf(4, nil)
	running := attemptsOf(s.claim(ids[0], ids[1]).Claimed)
	s.edit(job.ID, func(j *firjob.Job) { j.Overlap, j.MaxRunning = firjob.OverlapQueue, 2 })
	s.claim(ids[2], ids[3])
	s.wantState(ids[2], firjob.StatePlanned)
	for i, a := range running {
		wantIDs(t, "let in", idsOf(s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce), ids[2+i])
	}
	s.wantReceipt(s.mustClaim(ids[2]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantReceipt(s.mustClaim(ids[3]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantNoPlaces()
}

func TestPauseAndDeleteWhileTheyWait(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*store, firjob.JobID){
		"pause": func(s *store, id firjob.JobID) { s.edit(id, func(j *firjob.Job) { j.Enabled = false }) },
		"delete": func(s *store, id firjob.JobID) {
			if _, err := s.DeleteJob(s.t.Context(), id, func(firjob.Job) error { return nil }); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job, ids := s.firesOf(3, func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
			holder := s.mustClaim(ids[0])
			s.claim(ids[1], ids[2])
			end(s, job.ID)
			s.wantState(ids[1], firjob.StateSuperseded)
			s.wantState(ids[2], firjob.StateSuperseded)
			wantIDs(t, "let in", idsOf(s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded).Announce))
			s.wantNoPlaces()
		})
	}
}

// Who waits beyond the start deadline is let go, to be missed, and holds nobody
// up.
func TestStartDeadlineOfWhoWaits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Overlap, j.Misfire.Policy, j.StartDeadline = firjob.OverlapQueue, firjob.MisfireFireAll, firjob.Duration(time.Hour)
	})
	now := s.now()
	ids := s.plan(job, now.Add(-50*time.Minute), now.Add(-40*time.Minute), now.Add(-30*time.Minute), now.Add(-time.Millisecond))
	holder := s.mustClaim(ids[0])
	s.claim(ids[1:]...)
	s.exec(`UPDATE jobs SET start_deadline_ms = 60000`)
	followed := s.wantReceipt(holder, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	wantIDs(t, "let go", idsOf(followed.Announce), ids[1], ids[2], ids[3])
	got := s.claim(ids[1:]...)
	if len(got.Claimed) != 1 || got.Claimed[0].Trigger.ID != ids[3] {
		t.Errorf("claimed %+v, want the one that is in time", got.Claimed)
	}
	if e := s.wantState(ids[1], firjob.StateMissed); !strings.Contains(e.Reason, "beyond the start deadline of 1m") {
		t.Errorf("the reason is %q", e.Reason)
	}
}

// A place that went with its day is given on.
func TestPlacesOfDroppedDays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, ids := s.firesOf(2, func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	s.mustClaim(ids[0])
	s.claim(ids[1])
	gone := firjob.Fire(job.ID, s.now().AddDate(0, -3, 0))
	s.exec(`UPDATE job_slots SET holders = ARRAY[$1::text::uuid]`, gone.String())
	s.exec(`INSERT INTO app_slots VALUES ($1::text::uuid, $2)`, gone.String(), app)
	s.exec(`INSERT INTO app_queue VALUES ($2, 0, $1::text::uuid)`, gone.String(), app)
	if err := s.MaintainPartitions(context.WithoutCancel(t.Context()), 1, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "let in", idsOf(s.admit().Announce), ids[1])
	var left int
	s.query(`SELECT (SELECT count(*) FROM app_slots) + (SELECT count(*) FROM app_queue)`, &left)
	if left != 0 {
		t.Errorf("%d rows of a dropped day are left", left)
	}
}

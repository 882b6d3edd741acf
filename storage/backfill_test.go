package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

const month = 30 * 24 * time.Hour

// hourly makes a job that fires at each full hour.
func (s *store) hourly() firjob.Job {
	s.t.Helper()
	return s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 * * * *", Timezone: "UTC"}
	})
}

// lastHours is a request for the n latest full hours.
func (s *store) lastHours(job firjob.Job, n int) ports.BackfillRequest {
	s.t.Helper()
	until := s.now().Truncate(time.Hour)
	return ports.BackfillRequest{Job: job.ID, From: until.Add(-time.Duration(n) * time.Hour), Until: until, MaxRunning: 1}
}

func (s *store) backfill(r ports.BackfillRequest) (ports.Backfill, []firjob.ExecutionID) {
	s.t.Helper()
	b, followed, err := s.CreateBackfill(s.t.Context(), r, month)
	if err != nil {
		s.t.Fatal(err)
	}
	return b, idsOf(followed.Announce)
}

func (s *store) backfillNow(id ports.BackfillID) ports.Backfill {
	s.t.Helper()
	b, err := s.Backfill(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// step ends an execution of a backfill and returns what was recorded then.
func (s *store) step(id firjob.ExecutionID, outcome firjob.Outcome) []firjob.ExecutionID {
	s.t.Helper()
	followed := s.wantReceipt(s.mustClaim(id), outcome, firjob.ReceiptRecorded)
	if len(followed.Backfills) != 1 {
		s.t.Fatalf("the end of %v continues the backfills %v, want one", id, followed.Backfills)
	}
	next, err := s.ContinueBackfill(s.t.Context(), followed.Backfills[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return idsOf(next.Announce)
}

func TestBackfillRunsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for _, newest := range []bool{false, true} {
		t.Run(fmt.Sprintf("newest %t", newest), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			r := s.lastHours(s.hourly(), 4)
			r.Newest, r.Params = newest, []byte(`{"again": true}`)
			b, ids := s.backfill(r)
			if b.Fires != 4 || b.Recorded != 1 || !b.First.Equal(r.From) || !b.Last.Equal(r.Until.Add(-time.Hour)) {
				t.Errorf("got %+v", b)
			}
			var got []time.Time
			for i := range 4 {
				if len(ids) != 1 {
					t.Fatalf("after %d ends %v are recorded, want one", i, ids)
				}
				e := s.wantState(ids[0], firjob.StatePlanned)
				if e.Kind != firjob.KindBackfill || string(e.Params) != `{"again": true}` || e.DueAt.Before(b.CreatedAt.Truncate(time.Millisecond)) {
					t.Errorf("execution %+v", e)
				}
				got = append(got, e.ScheduledAt)
				outcome := firjob.OutcomeSucceeded
				if i == 2 {
					outcome = firjob.OutcomeFailed
				}
				ids = s.step(ids[0], outcome)
			}
			want := []time.Time{r.From, r.From.Add(time.Hour), r.From.Add(2 * time.Hour), r.From.Add(3 * time.Hour)}
			if newest {
				slices.Reverse(want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if b = s.backfillNow(b.ID); len(ids) != 0 || b.FinishedAt == nil || b.Recorded != 4 || b.Succeeded != 3 || b.Failed != 1 || b.Open != 0 || b.Cancelled {
				t.Errorf("in the end %v and %+v", ids, b)
			}
		})
	}
}

// A fire that was run when it was due is run again by a backfill, as another
// execution; recording it twice records it once.
func TestBackfillOfWhatRanAlready(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	r := s.lastHours(job, 1)
	ran := s.plan(job, r.From)[0]
	b, ids := s.backfill(r)
	if len(ids) != 1 || ids[0] == ran || ids[0] != b.Fire(r.From) {
		t.Fatalf("recorded %v, want another execution than %v", ids, ran)
	}
	s.exec(`UPDATE backfills SET recorded = 0, cursor_at = NULL`)
	s.exec(`UPDATE executions SET state = 'succeeded', finished_at = now() WHERE backfill_id IS NOT NULL`)
	followed, err := s.ContinueBackfill(t.Context(), b.ID)
	if err != nil || len(followed.Announce) != 0 {
		t.Errorf("recorded again: %+v, %v; want nothing new", followed, err)
	}
}

// Three servers carry one backfill on, as fast as they can.
func TestBackfillOfManyHands(t *testing.T) {
	t.Parallel()
	const most, fires = 4, 60
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * *", Timezone: "UTC"}
	})
	until := s.now().Truncate(time.Minute)
	b, first := s.backfill(ports.BackfillRequest{Job: job.ID, From: until.Add(-fires * time.Minute), Until: until, MaxRunning: most})
	if len(first) != most {
		t.Fatalf("%d are recorded at first, want %d", len(first), most)
	}
	todo := make(chan firjob.ExecutionID, fires)
	for _, id := range first {
		todo <- id
	}
	var done atomic.Int32
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	together(3, func(i int) {
		if err := workOff(ctx, s.open(), fmt.Sprintf("r%d", i), todo, &done, fires); err != nil {
			t.Error(err)
			cancel()
		}
	})
	var succeeded int
	s.query(`SELECT count(*) FROM executions WHERE state = 'succeeded' AND attempt = 1`, &succeeded)
	if succeeded != fires {
		t.Errorf("%d executions have succeeded at their first attempt, want %d", succeeded, fires)
	}
	if b = s.backfillNow(b.ID); b.FinishedAt == nil || b.Succeeded != fires || b.Open != 0 {
		t.Errorf("in the end %+v", b)
	}
}

// workOff claims and ends what is on todo, continues its backfill and puts on
// todo what that has recorded, until enough has ended.
func workOff(ctx context.Context, db *storage.DB, replica string, todo chan firjob.ExecutionID, done *atomic.Int32, enough int32) error {
	for {
		var id firjob.ExecutionID
		select {
		case id = <-todo:
		case <-ctx.Done():
			if done.Load() == enough {
				return nil
			}
			return ctx.Err()
		}
		if id.IsZero() { // another one has seen the end
			return nil
		}
		claimed, err := db.Claim(ctx, []firjob.ExecutionID{id}, claimBy(replica))
		if err != nil || len(claimed.Claimed) != 1 {
			return fmt.Errorf("claim %v: %+v, %w", id, claimed, err)
		}
		result, err := db.Finish(ctx, []ports.FinishItem{{Executor: executor, Result: firjob.Result{ID: id,
			Token: claimed.Claimed[0].Trigger.Token, Outcome: firjob.OutcomeSucceeded}}})
		if err != nil {
			return err
		}
		for _, b := range result.Followed.Backfills {
			next, err := db.ContinueBackfill(ctx, b)
			if err != nil {
				return err
			}
			if now, err := db.Backfill(ctx, b); err != nil || now.Open > now.MaxRunning {
				return fmt.Errorf("%d are open, want at most %d; %w", now.Open, now.MaxRunning, err)
			}
			for _, due := range next.Announce {
				todo <- due.ID
			}
		}
		if done.Add(1) == enough {
			close(todo)
			return nil
		}
	}
}

// Whatever ends in whatever order, no more are open than may be, they are
// recorded in order, each once, and the backfill ends with the last.
func TestBackfillModel(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	rapid.Check(t, func(rt *rapid.T) {
		r := s.lastHours(job, rapid.IntRange(1, 12).Draw(rt, "fires"))
		r.Newest = rapid.Bool().Draw(rt, "newest")
		r.MaxRunning = rapid.IntRange(1, 5).Draw(rt, "max running")
		b, open := s.backfill(r)
		all := slices.Clone(open)
		for len(open) > 0 {
			if len(open) > r.MaxRunning {
				rt.Fatalf("%d are open, want at most %d", len(open), r.MaxRunning)
			}
			i := rapid.IntRange(0, len(open)-1).Draw(rt, "ends")
			ended := open[i]
			open = slices.Delete(open, i, i+1)
			s.exec(`UPDATE executions SET state = 'failed', finished_at = now() WHERE id = $1`, [16]byte(ended))
			for range rapid.IntRange(1, 2).Draw(rt, "continued") {
				followed, err := s.ContinueBackfill(t.Context(), b.ID)
				if err != nil {
					rt.Fatal(err)
				}
				ids := idsOf(followed.Announce)
				open, all = append(open, ids...), append(all, ids...)
			}
		}
		for i, id := range all {
			want := r.From.Add(time.Duration(i) * time.Hour)
			if r.Newest {
				want = r.Until.Add(-time.Duration(i+1) * time.Hour)
			}
			if !id.ScheduledAt().Equal(want) {
				rt.Fatalf("number %d is %v, want %v", i, id.ScheduledAt(), want)
			}
		}
		if b = s.backfillNow(b.ID); len(all) != b.Fires || b.FinishedAt == nil || b.Failed != b.Fires {
			rt.Fatalf("%d were recorded; in the end %+v", len(all), b)
		}
	})
}

// A server that dies after it has recorded fires, before it announces them,
// leaves them to the sweep; one that dies before, the backfill to the sweep.
func TestBackfillSurvivesACrash(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	b, ids := s.backfill(s.lastHours(s.hourly(), 3))
	s.exec(`UPDATE executions SET due_at = due_at - interval '5 seconds'`)
	overdue, err := s.Overdue(t.Context(), time.Second, 10)
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "found by the sweep", idsOf(overdue), ids...)

	s.wantReceipt(s.mustClaim(ids[0]), firjob.OutcomeSucceeded, firjob.ReceiptRecorded) // and dies
	open, err := s.OpenBackfills(t.Context(), 10)
	if err != nil || !slices.Equal(open, []ports.BackfillID{b.ID}) {
		t.Fatalf("open backfills: %v, %v; want %d", open, err, b.ID)
	}
	followed, err := s.ContinueBackfill(t.Context(), open[0])
	if err != nil || len(followed.Announce) != 1 {
		t.Errorf("the sweep continues it by %+v, %v; want one more", followed, err)
	}
}

func TestCancelBackfill(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := s.lastHours(s.hourly(), 5)
	r.MaxRunning = 3
	b, ids := s.backfill(r)
	running := s.mustClaim(ids[0])
	s.step(ids[1], firjob.OutcomeSucceeded)

	cancelled, followed, err := s.CancelBackfill(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !cancelled.Cancelled || cancelled.FinishedAt == nil || cancelled.Recorded != 4 || cancelled.Open != 1 || cancelled.Succeeded != 1 || cancelled.Failed != 2 {
		t.Errorf("got %+v", cancelled)
	}
	if len(followed.Cancel) != 1 || followed.Cancel[0].App != app || followed.Cancel[0].Attempt != running {
		t.Errorf("to be cancelled: %+v, want %v", followed.Cancel, running)
	}
	if e := s.wantState(ids[2], firjob.StateCancelled); e.Reason != fmt.Sprintf("backfill %d was cancelled", b.ID) {
		t.Errorf("the reason is %q", e.Reason)
	}
	s.wantReceipt(running, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	if after, err := s.ContinueBackfill(t.Context(), b.ID); err != nil || len(after.Announce) != 0 {
		t.Errorf("after the end %+v, %v are recorded; want none", after, err)
	}
	_, _, err = s.CancelBackfill(t.Context(), b.ID)
	wantCode(t, err, firjob.CodeConflict)
	_, _, err = s.CancelBackfill(t.Context(), 4711)
	wantCode(t, err, firjob.CodeNotFound)
}

// The shards of a broadcast are cancelled with the backfill that it belongs to.
func TestCancelBackfillOfABroadcast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	s.edit(job.ID, func(j *firjob.Job) { j.Route = firjob.RouteBroadcast })
	b, ids := s.backfill(s.lastHours(job, 1))
	if _, err := s.Broadcast(t.Context(), s.mustClaim(ids[0]), []string{"10.0.0.7:9999", "10.0.0.8:9999"}); err != nil {
		t.Fatal(err)
	}
	running := s.mustClaim(ids[0].Shard(0))
	_, followed, err := s.CancelBackfill(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.wantState(ids[0].Shard(1), firjob.StateCancelled)
	told := slices.ContainsFunc(followed.Cancel, func(c ports.Cancel) bool { return c.Attempt == running })
	if !told {
		t.Errorf("to be cancelled: %+v, want the running shard %v, too", followed.Cancel, running)
	}
	s.wantReceipt(running, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
	s.wantState(ids[0], firjob.StateCancelled)
}

// An edit of the schedule leaves the fires of a backfill as they were counted; a
// pause does not stop it.
func TestBackfillOfAChangedJob(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	r := s.lastHours(job, 3)
	b, ids := s.backfill(r)
	_, _, err := s.UpdateJob(t.Context(), job.ID, func(_ time.Time, j *firjob.Job) error {
		j.Schedule.Expr, j.Enabled, j.Name = "*/5 * * * *", false, "renamed"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if len(ids) != 1 || !ids[0].ScheduledAt().Equal(r.From.Add(time.Duration(i)*time.Hour)) {
			t.Fatalf("number %d is %v", i, ids)
		}
		ids = s.step(ids[0], firjob.OutcomeSucceeded)
	}
	if b = s.backfillNow(b.ID); b.Succeeded != 3 || b.FinishedAt == nil {
		t.Errorf("in the end %+v", b)
	}
}

func TestBackfillOfADeletedJob(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	b, ids := s.backfill(s.lastHours(job, 3))
	if _, err := s.DeleteJob(t.Context(), job.ID, func(firjob.Job) error { return nil }); err != nil {
		t.Fatal(err)
	}
	followed, err := s.ContinueBackfill(t.Context(), b.ID)
	if err != nil || len(followed.Announce) != 0 {
		t.Errorf("continued by %+v, %v; want nothing", followed, err)
	}
	s.claim(ids...)
	s.wantState(ids[0], firjob.StateSuperseded)
	if b = s.backfillNow(b.ID); !b.Cancelled || b.FinishedAt == nil || b.Recorded != 1 {
		t.Errorf("in the end %+v", b)
	}
}

func TestBackfillFaults(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	cron := s.hourly()
	second := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "* * * * * *", Timezone: "UTC"}
	})
	manual := s.job(func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual} })
	delay := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(time.Minute)}
	})
	hours := func(job firjob.JobID, from, until int) ports.BackfillRequest {
		at := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
		return ports.BackfillRequest{Job: job, From: at(from), Until: at(until), MaxRunning: 1}
	}
	tooWide := hours(cron.ID, -5, -1)
	tooWide.MaxRunning = 1001
	for name, c := range map[string]struct {
		r     ports.BackfillRequest
		field string
		text  string
	}{
		"future":        {hours(cron.ID, -5, 1), "until", "must not lie in the future"},
		"backwards":     {hours(cron.ID, -1, -5), "until", "later than from"},
		"too old":       {hours(cron.ID, -24*31, -1), "from", "retention"},
		"nothing":       {ports.BackfillRequest{Job: cron.ID, MaxRunning: 1}, "from", "missing"},
		"too many open": {tooWide, "max_running", "1 to 1000"},
		"manual":        {hours(manual.ID, -5, -1), "path.id", "trigger it"},
		"delay":         {hours(delay.ID, -5, -1), "path.id", "no fires in the past"},
		"too many":      {hours(second.ID, -30, -1), "until", "at least 100001 fires"},
		"no fire": {ports.BackfillRequest{Job: cron.ID, From: now.Truncate(time.Hour).Add(-50 * time.Minute),
			Until: now.Truncate(time.Hour).Add(-10 * time.Minute), MaxRunning: 1}, "from", "no fire"},
	} {
		_, _, err := s.CreateBackfill(t.Context(), c.r, month)
		wantCode(t, err, firjob.CodeInvalid)
		var faulty *firjob.Error
		if !errors.As(err, &faulty) || faulty.Fields[0].Field != c.field || !strings.Contains(faulty.Fields[0].Message, c.text) {
			t.Errorf("%s: got %+v, want %q of %s", name, faulty, c.text, c.field)
		}
	}
	_, _, err := s.CreateBackfill(t.Context(), hours(4711, -5, -1), month)
	wantCode(t, err, firjob.CodeNotFound)
	var stored int
	s.query(`SELECT count(*) FROM backfills`, &stored)
	if stored != 0 {
		t.Errorf("%d backfills were stored, want none", stored)
	}
}

func TestBackfillDry(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := ports.WithWrite(t.Context(), ports.Write{DryRun: true})
	b, _, err := s.CreateBackfill(ctx, s.lastHours(s.hourly(), 24), month)
	if err != nil || b.Fires != 24 {
		t.Fatalf("got %+v, %v; want 24 fires", b, err)
	}
	_, err = s.Backfill(t.Context(), b.ID)
	wantCode(t, err, firjob.CodeNotFound)
	if overdue, err := s.Overdue(t.Context(), -time.Hour, 10); err != nil || len(overdue) != 0 {
		t.Errorf("recorded: %v, %v; want none", overdue, err)
	}
}

func TestListBackfills(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.hourly()
	var want []ports.BackfillID
	for range 3 {
		b, _ := s.backfill(s.lastHours(job, 2))
		want = append([]ports.BackfillID{b.ID}, want...)
	}
	var got []ports.BackfillID
	for before := ports.BackfillID(0); ; {
		page, next, err := s.Backfills(t.Context(), job.ID, before, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page {
			got = append(got, b.ID)
		}
		if before = next; next == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A backfill of long ago makes the partitions that it needs.
func TestBackfillOfPastDays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleCron, Expr: "0 2 * * *", Timezone: "UTC"}
	})
	now := s.now()
	b, ids := s.backfill(ports.BackfillRequest{Job: job.ID, From: now.AddDate(0, 0, -20), Until: now.AddDate(0, 0, -10), MaxRunning: 5})
	if b.Fires != 10 || len(ids) != 5 {
		t.Fatalf("got %+v and %v", b, ids)
	}
	if r := s.claim(ids...); len(r.Claimed) != 5 {
		t.Errorf("%d of them are claimed, want all", len(r.Claimed))
	}
}

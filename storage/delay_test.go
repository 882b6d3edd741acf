package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func delayed(j *firjob.Job) {
	j.Schedule = firjob.Schedule{Kind: firjob.ScheduleDelay, Interval: firjob.Duration(20 * time.Second)}
}

func (s *store) nextFire(id firjob.JobID) time.Time {
	s.t.Helper()
	job, _, err := s.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	if job.NextFireAt == nil {
		return time.Time{}
	}
	return *job.NextFireAt
}

func TestDelayChain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(delayed)
	if next := s.nextFire(job.ID); !next.IsZero() {
		t.Errorf("the next fire is %v while an execution is open, want none", next)
	}
	followed := s.wantReceipt(s.mustClaim(id), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	if !slices.Equal(followed.Plan, []firjob.JobID{job.ID}) {
		t.Errorf("to be planned: got %v, want job %d", followed.Plan, job.ID)
	}
	end := *s.get(id).FinishedAt
	next := s.nextFire(job.ID)
	if wait := next.Sub(end); wait < 20*time.Second || wait > 20*time.Second+time.Millisecond {
		t.Errorf("the next fire is %v after the end, want 20s", wait)
	}
}

func TestDelayChainGoesOnAfterEveryEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*store, firjob.ExecutionID){
		"cancelled": func(s *store, id firjob.ExecutionID) { _, _, _ = s.CancelExecution(s.t.Context(), id) },
		"lost": func(s *store, id firjob.ExecutionID) {
			_, _ = s.Lose(s.t.Context(), []firjob.AttemptRef{s.mustClaim(id)}, "gone")
		},
		"edited": func(s *store, id firjob.ExecutionID) {
			s.edit(id.Job(), func(j *firjob.Job) { j.Schedule.Interval += firjob.Duration(time.Millisecond) })
		},
		"missed": func(s *store, id firjob.ExecutionID) {
			s.exec(`UPDATE jobs SET misfire = 'skip', grace_ms = -1`) // it is late already
			if r := s.claim(id); len(r.Followed.Plan) != 1 {
				s.t.Errorf("the claim that found it late returned %+v", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job, id := s.fire(func(j *firjob.Job) { delayed(j); j.Delivery = firjob.AtMostOnce })
			end(s, id)
			if next := s.nextFire(job.ID); next.Before(s.now().Add(15 * time.Second)) {
				t.Errorf("the next fire is %v, want it in 20s; the execution is %+v", next, s.get(id))
			}
		})
	}
}

func TestDelayHasOneChain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(delayed)
	running := s.mustClaim(id)
	manual, _, err := s.Trigger(t.Context(), ports.TriggerRequest{Job: job.ID, Horizon: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.wantReceipt(s.mustClaim(manual.ID), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	if next := s.nextFire(job.ID); !next.IsZero() {
		t.Errorf("a manual run set the next fire to %v", next)
	}
	job = s.edit(job.ID, func(j *firjob.Job) { j.Schedule.Interval = firjob.Duration(5 * time.Second) })
	newer := s.plan(job, s.nextFire(job.ID))
	s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	if next := s.nextFire(job.ID); !next.IsZero() {
		t.Errorf("the overtaken run set the next fire to %v while %v is open", next, newer)
	}
}

// A job whose schedule cannot be read any more is paused with the reason. It does
// not keep the results that share its transaction from being recorded.
func TestABrokenDelayJobHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(delayed)
	_, other := s.fire(nil)
	broken, sound := s.mustClaim(id), s.mustClaim(other)
	s.exec(`UPDATE jobs SET schedule = '{"kind":"delay","interval":"20s","timezone":"Gone/Away","calendars":["away"]}' WHERE id = $1`, int32(job.ID))
	items := []ports.FinishItem{
		{Executor: executor, Result: firjob.Result{ID: broken.ID, Token: broken.Token, Outcome: firjob.OutcomeSucceeded}},
		{Executor: executor, Result: firjob.Result{ID: sound.ID, Token: sound.Token, Outcome: firjob.OutcomeSucceeded}},
	}
	out, err := s.Finish(t.Context(), items)
	if err != nil || out.Receipts[0] != firjob.ReceiptRecorded || out.Receipts[1] != firjob.ReceiptRecorded {
		t.Fatalf("got %v, %v; want both recorded", out.Receipts, err)
	}
	if now, _, err := s.Job(t.Context(), job.ID); err != nil || now.Enabled || now.PausedReason == "" {
		t.Errorf("the job is %+v, %v; want it paused with a reason", now, err)
	}
}

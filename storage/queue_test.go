package storage_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// waits is what the queue says of one execution.
type waits struct {
	ID  firjob.ExecutionID
	Why ports.Why
}

func (s *store) queue(f ports.QueueFilter) (list []waits, counts map[ports.Why]int, all []ports.Waiter) {
	s.t.Helper()
	all, counts, err := s.Queue(s.t.Context(), f)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range all {
		list = append(list, waits{w.ID, w.Why})
	}
	return list, counts, all
}

func TestQueueTellsWhatWaitsAndWhy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	fire := func(late time.Duration, change func(*firjob.Job)) firjob.ExecutionID {
		job := s.job(func(j *firjob.Job) {
			j.Misfire.Policy = firjob.MisfireFireAll
			if change != nil {
				change(j)
			}
		})
		return s.plan(job, now.Add(-late))[0]
	}
	retried := fire(60*time.Second, func(j *firjob.Job) { j.Retry.MaxAttempts, j.Retry.Backoff = 2, firjob.Duration(time.Minute) })
	s.wantReceipt(s.mustClaim(retried), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	released := fire(50*time.Second, nil)
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{s.mustClaim(released)}, time.Second, "no executor takes it"); err != nil {
		t.Fatal(err)
	}
	unclaimed := fire(time.Second, nil)
	queued := s.job(func(j *firjob.Job) {
		j.Overlap, j.Misfire.Policy, j.Priority = firjob.OverlapQueue, firjob.MisfireFireAll, 1
	})
	behind := s.plan(queued, now.Add(-42*time.Second), now.Add(-41*time.Second))
	s.mustClaim(behind[0])
	s.claim(behind[1])
	fire(-30*time.Second, nil) // is not due
	s.limit(firjob.AppLimits{MaxRunning: 1})
	atGate := []firjob.ExecutionID{fire(30*time.Second, nil), fire(20*time.Second, func(j *firjob.Job) { j.Priority = 5 })}
	s.claim(atGate...)
	if _, err := s.CreateApp(t.Context(), "other", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	fire(10*time.Second, func(j *firjob.Job) { j.App = "other" })

	list, counts, all := s.queue(ports.QueueFilter{App: app, PageSize: 50})
	want := []waits{ // by scheduled time, ten seconds for each step of priority
		{atGate[1], ports.WhyAppLimit},
		{retried, ports.WhyRetry},
		{behind[1], ports.WhyOverlap},
		{released, ports.WhyExecutor},
		{atGate[0], ports.WhyAppLimit},
		{unclaimed, ports.WhyClaim},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
	wantCounts := map[ports.Why]int{ports.WhyAppLimit: 2, ports.WhyRetry: 1, ports.WhyOverlap: 1, ports.WhyExecutor: 1, ports.WhyClaim: 1}
	if diff := cmp.Diff(wantCounts, counts); diff != "" {
		t.Errorf("how many (-want +got):\n%s", diff)
	}
	for _, w := range all {
		since := w.ScheduledAt
		if w.ID == retried {
			since = *w.Attempts[0].FinishedAt
		}
		if !w.Since.Equal(since) {
			t.Errorf("%s waits for %s since %v, want %v", w.ID, w.Why, w.Since, since)
		}
	}

	list, counts, _ = s.queue(ports.QueueFilter{App: app, Why: ports.WhyAppLimit, PageSize: 1})
	if diff := cmp.Diff(want[:1], list); diff != "" || counts[ports.WhyRetry] != 1 {
		t.Errorf("the first of one reason, counts %v (-want +got):\n%s", counts, diff)
	}
	_, _, err := s.Queue(t.Context(), ports.QueueFilter{App: "nobody", PageSize: 1})
	wantCode(t, err, firjob.CodeNotFound)
}

func TestQueueTellsOfRates(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.limit(firjob.AppLimits{MaxPerSecond: 0.01})
	_, ids := s.firesOf(2, nil)
	s.claim(ids...)
	list, _, _ := s.queue(ports.QueueFilter{App: app, PageSize: 50})
	if diff := cmp.Diff([]waits{{ids[1], ports.WhyAppRate}}, list); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
}

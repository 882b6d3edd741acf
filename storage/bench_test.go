package storage_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

const benchJobs = 20_000

// jobsInBulk makes jobs that are due now.
func (s *store) jobsInBulk(n int) []firjob.JobID {
	s.t.Helper()
	s.job(func(j *firjob.Job) {
		j.Params = json.RawMessage(`{"region": "eu", "day": "2026-11-22"}`)
		j.Misfire.Grace = firjob.Duration(time.Hour)
	})
	s.exec(fmt.Sprintf(`INSERT INTO jobs (app, name, handler, params, kind, schedule, anchor, misfire, grace_ms, overlap, route,
			delivery, timeout_ms, retry, priority, enabled, next_fire_at)
		SELECT app, name || '-' || i, handler, params, kind, schedule, anchor, misfire, grace_ms, overlap, route,
			delivery, timeout_ms, retry, priority, enabled, next_fire_at FROM jobs, generate_series(2, %d) AS i`, n))
	ids := make([]firjob.JobID, n)
	for i := range ids {
		ids[i] = firjob.JobID(i + 1)
	}
	return ids
}

// planner answers for every job with fires at the given instants.
func planner(at ...time.Time) ports.Expand {
	return func(now time.Time, _ firjob.Job, _ time.Time) (ports.Plan, error) {
		return ports.Plan{Fires: at, Next: now.Add(time.Second)}, nil
	}
}

func BenchmarkPlan(b *testing.B) {
	s := newStore(b)
	jobs := s.jobsInBulk(benchJobs)
	now := s.now().Add(-time.Minute)
	rows := 0
	for b.Loop() {
		i := rows / firjob.MaxBatch
		part := jobs[i*firjob.MaxBatch%(benchJobs-firjob.MaxBatch):][:firjob.MaxBatch]
		due, err := s.PlanJobs(b.Context(), part, time.Hour, planner(now.Add(time.Duration(i)*time.Millisecond)))
		if err != nil {
			b.Fatal(err)
		}
		rows += len(due)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// fires plans n executions that are due and returns them in batches.
func (s *store) fires(n int) [][]firjob.ExecutionID {
	s.t.Helper()
	jobs := s.jobsInBulk(benchJobs)
	now := s.now()
	var at []time.Time
	for i := range n/benchJobs + 1 {
		at = append(at, now.Add(-time.Duration(i)*time.Millisecond))
	}
	var batches [][]firjob.ExecutionID
	for len(jobs) >= firjob.MaxBatch {
		due, err := s.PlanJobs(s.t.Context(), jobs[:firjob.MaxBatch], time.Hour, planner(at...))
		if err != nil {
			s.t.Fatal(err)
		}
		jobs = jobs[firjob.MaxBatch:]
		for ids := idsOf(due); len(ids) >= firjob.MaxBatch; ids = ids[firjob.MaxBatch:] {
			batches = append(batches, ids[:firjob.MaxBatch])
		}
	}
	return batches
}

func BenchmarkClaimAndFinish(b *testing.B) {
	s := newStore(b)
	batches := s.fires(200_000)
	var claiming, finishing time.Duration
	rows := 0
	for b.Loop() {
		if len(batches) == 0 {
			b.Fatalf("no fires are left after %d rows: use a shorter -benchtime", rows)
		}
		start := time.Now()
		claimed, err := s.Claim(b.Context(), batches[0], claimBy("r"))
		claiming += time.Since(start)
		if err != nil || len(claimed.Claimed) != firjob.MaxBatch {
			b.Fatalf("claimed %d of %d: %v", len(claimed.Claimed), firjob.MaxBatch, err)
		}
		batches = batches[1:]
		results := successesOf(claimed.Claimed, s.now())
		start = time.Now()
		finished, err := s.Finish(b.Context(), results)
		finishing += time.Since(start)
		if err != nil || finished.Receipts[0] != firjob.ReceiptRecorded {
			b.Fatalf("finish: %v, %v", finished.Receipts[:1], err)
		}
		rows += len(results)
	}
	b.ReportMetric(float64(rows)/claiming.Seconds(), "claims/s")
	b.ReportMetric(float64(rows)/finishing.Seconds(), "finishes/s")
}

func successesOf(claimed []ports.Claimed, now time.Time) []ports.FinishItem {
	var items []ports.FinishItem
	for _, c := range claimed {
		items = append(items, ports.FinishItem{Executor: executor, Result: firjob.Result{
			ID: c.Trigger.ID, Token: c.Trigger.Token, Outcome: firjob.OutcomeSucceeded, StartedAt: now, FinishedAt: now}})
	}
	return items
}

package storage_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// The last end of a job is that of its latest execution that has ended: not of one
// that runs or is to come, not of one that was superseded, and not of a shard.
func TestLastEnds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, other, ended := s.job(nil), s.job(func(j *firjob.Job) { j.Name = "other" }), time.Now().UTC().Truncate(time.Millisecond)
	add := func(at time.Time, state string, shard int) firjob.ExecutionID {
		id := firjob.Fire(job.ID, at)
		if shard > 0 {
			id = id.Shard(shard)
		}
		finished := &ended
		if state == "running" {
			finished = nil
		}
		s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, state, finished_at, reason)
			VALUES ($1, $2, 1, now(), $3::text::execution_state, $4, 'why')`, [16]byte(id), int32(job.ID), state, finished)
		return id
	}
	add(ended.Add(-4*time.Minute), "succeeded", 0)
	want := ports.LastEnd{ID: add(ended.Add(-3*time.Minute), "failed", 0), State: firjob.StateFailed, Reason: "why", FinishedAt: ended}
	add(ended.Add(-3*time.Minute), "succeeded", 1)
	add(ended.Add(-2*time.Minute), "superseded", 0)
	add(ended.Add(-time.Minute), "running", 0)
	add(ended.Add(time.Minute), "cancelled", 0)

	got, err := s.LastEnds(t.Context(), []firjob.JobID{job.ID, other.ID, 99})
	if err != nil {
		t.Fatal(err)
	}
	for id, end := range got {
		end.FinishedAt = end.FinishedAt.UTC()
		got[id] = end
	}
	if diff := cmp.Diff(map[firjob.JobID]ports.LastEnd{job.ID: want}, got); diff != "" {
		t.Errorf("last ends (-want +got):\n%s", diff)
	}
}

// The last end of each job of a page is found by one index, without a sort.
func TestLastEndsAreFoundByTheIndex(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.jobsInBulk(2000)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, state, finished_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - k), 12, '0') || '800080000000' || lpad(to_hex(j), 8, '0'))::uuid,
			j, 1, now(), 'succeeded', now() FROM generate_series(1, 20) AS k, generate_series(1, 2000) AS j`)
	s.exec(`ANALYZE`)
	plan := s.apiPlan(t, "", "lastEndsSQL", "'{1,5,9,400,1900}'")
	indexes := regexp.MustCompile(`Scan.* using executions_\w*job_id`)
	if !indexes.MatchString(plan) || strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan on executions") {
		t.Errorf("it is planned as\n%s", plan)
	}
}

package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// However late fires come to the claim, fire_all runs no more of them than
// max_catch_up, the latest; those within the grace run anyway.
func TestFireAllKeepsToMaxCatchUpAtTheClaim(t *testing.T) {
	t.Parallel()
	const fires, most, inGrace = 12, 3, 2
	for name, claim := range map[string]func(s *store, ids []firjob.ExecutionID){
		"all at once": func(s *store, ids []firjob.ExecutionID) { s.claim(ids...) },
		"one by one": func(s *store, ids []firjob.ExecutionID) {
			for _, id := range ids {
				s.claim(id)
			}
		},
		"the latest first": func(s *store, ids []firjob.ExecutionID) {
			for _, id := range slices.Backward(ids) {
				s.claim(id)
			}
		},
		"after each was given back": func(s *store, ids []firjob.ExecutionID) {
			s.exec(`UPDATE executions SET token = nextval('fence'), due_at = now(), reason = 'no executor is alive'`)
			s.claim(ids...)
		},
		"the latest have run": func(s *store, ids []firjob.ExecutionID) {
			s.claim(ids[fires-most-inGrace:]...)
			s.exec(`UPDATE executions SET state = 'succeeded', finished_at = now() WHERE state = 'running'`)
			s.claim(ids...)
			s.exec(`UPDATE executions SET state = 'running', finished_at = NULL WHERE state = 'succeeded'`)
		},
		"others ran in time": func(s *store, ids []firjob.ExecutionID) {
			job, _, err := s.Job(s.t.Context(), ids[0].Job())
			if err != nil {
				s.t.Fatal(err)
			}
			for _, id := range ids {
				punctual := s.plan(job, id.ScheduledAt().Add(time.Second))
				s.exec(`UPDATE executions SET state = 'succeeded', attempt = 1, claimed_at = due_at, finished_at = now()
					WHERE id = $1`, [16]byte(punctual[0]))
			}
			s.claim(ids...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(func(j *firjob.Job) {
				j.Misfire = firjob.Misfire{Policy: firjob.MisfireFireAll, Grace: firjob.Duration(time.Minute), MaxCatchUp: most}
			})
			now := s.now()
			var at []time.Time
			for i := range fires {
				at = append(at, now.Add(time.Duration(i-fires)*30*time.Second+20*time.Second))
			}
			ids := s.plan(job, at...) // the last two are 10 s and 40 s late
			claim(s, ids)
			for i, id := range ids {
				want := firjob.StateRunning
				if i < fires-inGrace-most {
					want = firjob.StateMissed
				}
				s.wantState(id, want)
			}
		})
	}
}

// A late fire waits until the planner has recorded the late ones after it, of which
// as many may run as max_catch_up.
func TestLateFiresWaitForThePlanner(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) {
		j.Misfire = firjob.Misfire{Policy: firjob.MisfireFireAll, Grace: firjob.Duration(time.Second), MaxCatchUp: 1}
	})
	now := s.now()
	old := s.plan(job, now.Add(-time.Minute))
	s.exec(`UPDATE jobs SET next_fire_at = now() - interval '30 seconds' WHERE id = $1`, int32(job.ID))
	r := s.claim(old...)
	if len(r.Claimed) != 0 || len(r.Early) != 1 || !r.Early[0].At.After(now) {
		t.Fatalf("claimed %d, put off %+v; want it put off", len(r.Claimed), r.Early)
	}
	later := s.plan(job, now.Add(-30*time.Second))
	s.claim(later...)
	s.claim(old...)
	s.wantState(later[0], firjob.StateRunning)
	s.wantState(old[0], firjob.StateMissed)
}

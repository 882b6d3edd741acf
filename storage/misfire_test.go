package storage_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// A misfire is judged by the latest fire that is due, whatever became of it
// already: an older one does not run behind it.
func TestFireOnceLooksAtWhatTheNewerFireBecame(t *testing.T) {
	t.Parallel()
	for newer, want := range map[firjob.State]firjob.State{
		firjob.StatePlanned:    firjob.StateMissed,
		firjob.StateRunning:    firjob.StateMissed,
		firjob.StateSucceeded:  firjob.StateMissed,
		firjob.StateFailed:     firjob.StateMissed,
		firjob.StateLost:       firjob.StateMissed,
		firjob.StateSuperseded: firjob.StateRunning,
		firjob.StateCancelled:  firjob.StateRunning,
		firjob.StateSkipped:    firjob.StateRunning,
		firjob.StateMissed:     firjob.StateRunning,
	} {
		t.Run(string(newer), func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(nil)
			now := s.now()
			ids := s.plan(job, now.Add(-3*time.Minute), now.Add(-2*time.Minute), now.Add(time.Minute))
			s.exec(`UPDATE executions SET state = $2::text::execution_state,
				finished_at = CASE WHEN $2 NOT IN ('planned', 'running') THEN now() END WHERE id = $1`, [16]byte(ids[1]), string(newer))
			s.claim(ids[0])
			s.wantState(ids[0], want)
		})
	}
}

func TestManyLateFiresOfManyJobs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := s.now()
	var ids []firjob.ExecutionID
	want := map[firjob.ExecutionID]firjob.State{}
	for i := range 20 {
		mine := s.plan(s.job(nil), now.Add(-time.Hour), now.Add(-time.Minute), now.Add(-30*time.Second))
		ids = append(ids, mine...)
		want[mine[0]], want[mine[1]], want[mine[2]] = firjob.StateMissed, firjob.StateMissed, firjob.StateRunning
		if i%2 == 0 {
			s.exec(`UPDATE executions SET state = 'cancelled', finished_at = now() WHERE id = $1`, [16]byte(mine[2]))
			want[mine[1]], want[mine[2]] = firjob.StateRunning, firjob.StateCancelled
		}
	}
	s.claim(ids...)
	for id, state := range want {
		s.wantState(id, state)
	}
}

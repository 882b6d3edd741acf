package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// Nobody could plan for a minute: what was due then is on record whatever is
// done to the job before anybody can.
func TestAChangeRecordsWhatWasDueBeforeIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(s *store, id firjob.JobID)
		why    string
	}{
		"edit": {func(s *store, id firjob.JobID) {
			s.edit(id, func(j *firjob.Job) { j.Schedule.Interval *= 2 })
		}, "changed to version 2"},
		"pause": {func(s *store, id firjob.JobID) { s.edit(id, func(j *firjob.Job) { j.Enabled = false }) }, "paused"},
		"delete": {func(s *store, id firjob.JobID) {
			if _, err := s.delete(id); err != nil {
				s.t.Fatal(err)
			}
		}, "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(nil)
			s.exec(`UPDATE jobs SET anchor = anchor - interval '10 min', next_fire_at = anchor - interval '1 min' WHERE id = $1`, int32(job.ID))
			job, _, err := s.Job(t.Context(), job.ID)
			if err != nil {
				t.Fatal(err)
			}
			test.change(s, job.ID)
			e, err := s.Execution(t.Context(), firjob.Fire(job.ID, *job.NextFireAt))
			if err != nil {
				t.Fatalf("the first fire that was due: %v", err)
			}
			if e.State != firjob.StateMissed || e.Missed == nil || e.Missed.Count < 60 || e.Missed.Count > 70 || !strings.Contains(e.Reason, test.why) {
				t.Errorf("got %s, %+v (%s); want some 61 fires missed, since it was %s", e.State, e.Missed, e.Reason, test.why)
			}
			if e.Missed != nil && time.Since(e.Missed.Until) > 5*time.Second {
				t.Errorf("the last of them is %v, want the present", e.Missed.Until)
			}
		})
	}
}

package cluster_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// claimedAhead is how long before its instant a fire may have been claimed; a
// change that comes later than that is too late for it.
const claimedAhead = 300 * time.Millisecond

// every makes a job that fires each half second.
func (s *stage) every(name string) firjob.Job {
	s.t.Helper()
	return s.create(map[string]any{"app": cluster.App, "name": name, "handler": "noop",
		"schedule": map[string]any{"kind": "every", "interval": "500ms"}})
}

// startsOf returns the scheduled times of a job's fires that were started, of
// those after the instant.
func (s *stage) startsOf(job firjob.JobID, after time.Time) (times []time.Time) {
	s.t.Helper()
	for id := range s.starts() {
		if id.Job() == job && id.ScheduledAt().After(after) {
			times = append(times, id.ScheduledAt())
		}
	}
	return times
}

func (s *stage) mustCall(want int, method, path string, body, reply any) {
	s.t.Helper()
	if status := s.call(method, path, body, reply); status != want {
		s.t.Fatalf("%s %s: status %d, want %d", method, path, status, want)
	}
}

func jobPath(id firjob.JobID, rest string) string { return fmt.Sprintf("/api/v1/jobs/%d%s", id, rest) }

// A fire is recorded and queued up to a minute ahead. What happens to its job
// meanwhile counts.
func TestAChangeReachesFiresThatAreQueued(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	paused, edited, deleted, kept := s.every("paused"), s.every("edited"), s.every("deleted"), s.every("kept")
	s.run(2 * time.Second)

	s.mustCall(http.StatusOK, http.MethodPost, jobPath(paused.ID, "/pause"), map[string]string{"reason": "for the test"}, nil)
	s.mustCall(http.StatusNoContent, http.MethodDelete, jobPath(deleted.ID, ""), nil, nil)
	var changed firjob.Job
	s.mustCall(http.StatusOK, http.MethodPatch, jobPath(edited.ID, ""),
		map[string]any{"schedule": map[string]any{"interval": "700ms"}}, &changed)
	at := time.Now().Add(claimedAhead)
	s.run(4 * time.Second)

	for name, job := range map[string]firjob.Job{"paused": paused, "deleted": deleted} {
		if late := s.startsOf(job.ID, at); len(late) > 0 {
			t.Errorf("the %s job was started for %v, after %v", name, late, at)
		}
	}
	if n := len(s.startsOf(kept.ID, at)); n < 6 {
		t.Errorf("the job that was left alone was started %d times in 3.7 s, want 7", n)
	}
	if changed.Version != edited.Version+1 || changed.NextFireAt == nil {
		t.Fatalf("the edited job came back with version %d and next fire %v", changed.Version, changed.NextFireAt)
	}
	starts := s.startsOf(edited.ID, at)
	for _, f := range starts {
		if off := f.Sub(*changed.NextFireAt) % (700 * time.Millisecond); off != 0 {
			t.Errorf("the edited job was started for %v, which is not on its new grid from %v", f, *changed.NextFireAt)
		}
	}
	if len(starts) < 4 {
		t.Errorf("the edited job was started %d times in 3.7 s, want 5", len(starts))
	}
	s.checkSuperseded(paused.ID, at)

	s.mustCall(http.StatusOK, http.MethodPost, jobPath(paused.ID, "/resume"), nil, nil)
	back := time.Now()
	s.run(2 * time.Second)
	if n := len(s.startsOf(paused.ID, back)); n < 2 {
		t.Errorf("the resumed job was started %d times in 2 s, want 4", n)
	}
}

// checkSuperseded asserts that the fires planned after the instant are kept as
// superseded, with a reason.
func (s *stage) checkSuperseded(job firjob.JobID, after time.Time) {
	s.t.Helper()
	n := 0
	for _, e := range s.executions(job) {
		if e.ScheduledAt.Before(after) {
			continue
		}
		n++
		if e.State != firjob.StateSuperseded || e.Reason == "" {
			s.t.Errorf("the fire of %v of the paused job is %s (%q), want superseded and a reason", e.ScheduledAt, e.State, e.Reason)
		}
	}
	if n == 0 {
		s.t.Error("no fire of the paused job was planned ahead: the test shows nothing")
	}
}

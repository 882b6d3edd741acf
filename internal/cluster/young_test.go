package cluster_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// Beats do not name attempts of the last second. Those that a server has sent right
// before it dies are therefore unknown to Postgres when it is missed; they go on, all
// the same, and are not given up and made a second time.
func TestSurvivesAReplicaThatDiesRightAfterASend(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	var jobs []firjob.Job
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		jobs = append(jobs, s.create(map[string]any{"app": cluster.App, "name": "young-" + name, "handler": "sleep", "params": map[string]string{"for": "9s"},
			"schedule": map[string]any{"kind": "manual"}}))
	}
	s.run(2 * time.Second) // the executors beat, and every server has its shards
	ids := make(map[firjob.ExecutionID]bool)
	for _, job := range jobs {
		var e firjob.Execution
		s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
		ids[e.ID] = true
	}
	s.until(5*time.Second, "every handler has started", func() bool { return len(s.starts()) == len(ids) })
	must(t, s.Servers[0].Kill())
	s.run(11 * time.Second)
	for id := range ids {
		e := s.execution(id)
		if e.State != firjob.StateSucceeded || e.Attempt != 1 || len(s.starts()[id]) != 1 {
			t.Errorf("%s is %s after %d attempts (%s), started %d times; want one that succeeded", id, e.State, e.Attempt, e.Reason, len(s.starts()[id]))
		}
	}
}

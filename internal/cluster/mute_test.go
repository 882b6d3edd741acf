package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/chaos"
)

// The way of an executor to the servers is cut, and servers still reach its port.
// Once it is mute, whatever is triggered succeeds on the other executor at once.
func TestNothingNewGoesToAMuteExecutor(t *testing.T) {
	var link *chaos.Link
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2, Between: func(process, service, address string) (string, error) {
		if process != "worker-1" || service != "server" {
			return address, nil
		}
		var err error
		if link, err = chaos.NewLink("tcp", strings.TrimPrefix(address, "http://"), rand.New(rand.NewPCG(1, 2))); err != nil {
			return "", err
		}
		t.Cleanup(func() { must(t, link.Close()) })
		return "http://" + link.Addr(), nil
	}})
	mutes := func() (live, mute int) {
		var list struct{ Items []struct{ Live, Mute bool } }
		s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/apps/"+cluster.App+"/executors", nil, &list)
		for _, e := range list.Items {
			if e.Live {
				live++
			}
			if e.Mute {
				mute++
			}
		}
		return live, mute
	}
	s.until(10*time.Second, "both executors are live", func() bool { live, _ := mutes(); return live == 2 })
	link.Set(chaos.Fault{Cut: true})
	s.until(15*time.Second, "both servers, asked in turn, know that one executor of two is mute", func() bool {
		for range 2 {
			if live, mute := mutes(); live != 2 || mute != 1 {
				return false
			}
		}
		return true
	})

	var ids []firjob.ExecutionID
	for i, extra := range []map[string]any{
		{"delivery": "at_most_once"}, {"route": "broadcast"}, {"route": "first"}, {"route": "last"}, {"route": "consistent_hash"},
		{"overlap": "skip"}, {"overlap": "queue"}, {"overlap": "replace"},
	} {
		body := map[string]any{"app": cluster.App, "name": fmt.Sprintf("mute-%d", i), "handler": "noop", "schedule": map[string]any{"kind": "manual"}}
		for name, value := range extra {
			body[name] = value
		}
		job := s.create(body)
		for range 4 {
			var e firjob.Execution
			s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
			ids = append(ids, e.ID)
			s.until(5*time.Second, "it has ended", func() bool { return s.execution(e.ID).State.Final() })
		}
	}
	for _, id := range ids {
		if e := s.execution(id); e.State != firjob.StateSucceeded || len(e.Attempts) > 1 {
			t.Errorf("%s of %s is %s after %d attempts: %s; want one success", id, e.Job, e.State, len(e.Attempts), e.Reason)
		}
	}

	link.Set(chaos.Fault{})
	s.until(10*time.Second, "it beats again", func() bool { _, mute := mutes(); return mute == 0 })
}

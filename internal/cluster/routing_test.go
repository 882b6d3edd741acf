package cluster_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// ranOn returns how many of the jobs' executions that were scheduled after the
// instant each executor got.
func (s *stage) ranOn(after time.Time, jobs ...firjob.Job) map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for _, j := range jobs {
		for _, e := range s.executions(j.ID) {
			if e.ScheduledAt.After(after) && e.Executor != "" {
				got[e.Executor]++
			}
		}
	}
	return got
}

// Servers claim different jobs, and together they take turns.
func TestRoundRobinIsExactOverServers(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 4})
	var jobs []firjob.Job
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		jobs = append(jobs, s.every(name))
	}
	s.run(5 * time.Second)
	s.pause(jobs...)
	all := s.ended(jobs...)
	got := map[string]int{}
	for _, list := range all {
		for _, e := range list {
			got[e.Executor]++
		}
	}
	counts := slices.Sorted(maps.Values(got))
	// What each server kept in reserve for fires at once may be left.
	if len(counts) != 4 || counts[3]-counts[0] > 3 {
		t.Errorf("executors got %v executions, want equal shares", got)
	}
}

// What is set about an executor through one server counts on all.
func TestACordonCountsOnEveryServer(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	var jobs []firjob.Job
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		jobs = append(jobs, s.every(name))
	}
	s.run(2 * time.Second)
	var list struct{ Items []struct{ Address string } }
	s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/apps/"+cluster.App+"/executors", nil, &list)
	victim := list.Items[0].Address
	path := "/api/v1/apps/" + cluster.App + "/executors/" + url.PathEscape(victim) + "/state"

	s.mustCall(http.StatusOK, http.MethodPut, path, map[string]string{"state": "cordoned", "reason": "for the test"}, nil)
	cordoned := time.Now().Add(50 * time.Millisecond) // for the word to go round
	s.run(3 * time.Second)
	if got := s.ranOn(cordoned, jobs...); got[victim] != 0 || len(got) != 1 {
		t.Errorf("after %s was cordoned executors got %v", victim, got)
	}
	s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/apps/"+cluster.App+"/executors?state=cordoned", nil, &list)
	if len(list.Items) != 1 || list.Items[0].Address != victim {
		t.Errorf("the cordoned executors are %v, want %s", list.Items, victim)
	}

	s.mustCall(http.StatusOK, http.MethodPut, path, map[string]string{"state": "active"}, nil)
	back := time.Now().Add(50 * time.Millisecond)
	s.run(2 * time.Second)
	if got := s.ranOn(back, jobs...); got[victim] == 0 {
		t.Errorf("after %s was set to active executors got %v", victim, got)
	}
}

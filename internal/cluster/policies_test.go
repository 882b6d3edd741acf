package cluster_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/checker"
)

// Policies that servers must keep together, with three of them and one dying
// on the way.

// span is the time in which one handler ran.
type span struct {
	begin, end time.Time
	checker.Event
}

// spans returns when the handlers of a job ran. Those of a process that was
// killed ended with it.
func (s *stage) spans(job firjob.JobID, killed map[int]time.Time) []span {
	s.t.Helper()
	var list []span
	open := map[string]int{}
	for _, e := range s.events() {
		if e.Execution.Job() != job {
			continue
		}
		key := fmt.Sprint(e.Execution, e.Token)
		if e.Kind == checker.KindStart {
			open[key] = len(list)
			list = append(list, span{begin: e.Wall, end: time.Now(), Event: e})
			if at, dead := killed[e.PID]; dead {
				list[len(list)-1].end = at
			}
		} else if i, ok := open[key]; ok {
			list[i].end = e.Wall
		}
	}
	return list
}

// atATime returns how many of the spans overlapped at most.
func atATime(list []span) int {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, sp := range list {
		edges = append(edges, edge{sp.begin, 1}, edge{sp.end, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.step - b.step
	})
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}

// kill kills a process and notes when.
func kill(t *testing.T, p *cluster.Process, killed map[int]time.Time) {
	t.Helper()
	pid := p.PID()
	must(t, p.Kill())
	killed[pid] = time.Now()
}

func (s *stage) pause(jobs ...firjob.Job) {
	s.t.Helper()
	for _, j := range jobs {
		s.mustCall(http.StatusOK, http.MethodPost, jobPath(j.ID, "/pause"), nil, nil)
	}
}

// ended waits until every execution of the jobs is final and returns those that
// were not superseded.
func (s *stage) ended(jobs ...firjob.Job) map[firjob.JobID][]firjob.Execution {
	s.t.Helper()
	all := map[firjob.JobID][]firjob.Execution{}
	s.until(30*time.Second, "every execution has ended", func() bool {
		clear(all)
		for _, j := range jobs {
			for _, e := range s.executions(j.ID) {
				if !e.State.Final() {
					return false
				}
				if e.State != firjob.StateSuperseded {
					all[j.ID] = append(all[j.ID], e)
				}
			}
		}
		return true
	})
	return all
}

func TestOverlapRulesHoldWhileReplicasAndExecutorsDie(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	job := func(name, overlap string, maxRunning int) firjob.Job {
		return s.create(map[string]any{"app": cluster.App, "name": name, "handler": "sleep", "params": map[string]string{"for": "450ms"},
			"schedule": map[string]any{"kind": "every", "interval": "200ms"}, "overlap": overlap, "max_running": maxRunning, "queue_limit": 20})
	}
	limits := map[string]int{"queue": 1, "queue-2": 2, "allow-2": 2, "skip": 1, "skip-3": 3}
	jobs := map[string]firjob.Job{
		"queue": job("queue", "queue", 0), "queue-2": job("queue-2", "queue", 2), "allow-2": job("allow-2", "allow", 2),
		"skip": job("skip", "skip", 0), "skip-3": job("skip-3", "skip", 3),
	}
	killed := map[int]time.Time{}
	s.run(3 * time.Second)
	kill(t, s.Servers[0], killed)
	s.run(2 * time.Second)
	kill(t, s.Workers[0], killed)
	s.run(time.Second)
	must(t, s.Workers[0].Start())
	s.run(4 * time.Second)
	s.pause(slices.Collect(maps.Values(jobs))...)
	all := s.ended(slices.Collect(maps.Values(jobs))...)
	for name, j := range jobs {
		ran := s.spans(j.ID, killed)
		if most := atATime(ran); most > limits[name] {
			t.Errorf("%s: %d handlers ran at a time, want at most %d", name, most, limits[name])
		}
		states := map[firjob.State]int{}
		for _, e := range all[j.ID] {
			states[e.State]++
			if e.State == firjob.StateSkipped && e.Reason == "" {
				t.Errorf("%s: %v was skipped without a reason", name, e.ID)
			}
		}
		if states[firjob.StateSucceeded] < 8 {
			t.Errorf("%s: got %v, want 8 successes or more", name, states)
		}
		if strings.HasPrefix(name, "skip") != (states[firjob.StateSkipped] > 0) && !strings.HasPrefix(name, "skip") {
			t.Logf("%s: %v (its queue was full)", name, states)
		}
		t.Logf("%s: %v, %d handlers", name, states, len(ran))
	}
}

func TestChildrenComeOnceWhileReplicasDie(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	each := map[string]any{"kind": "cron", "expr": "* * * * * *"}
	left := s.create(map[string]any{"app": cluster.App, "name": "left", "handler": "echo", "params": map[string]int{"n": 7}, "schedule": each})
	right := s.create(map[string]any{"app": cluster.App, "name": "right", "handler": "sleep", "params": map[string]string{"for": "200ms"}, "schedule": each})
	broken := s.create(map[string]any{"app": cluster.App, "name": "broken", "handler": "fail", "schedule": each})
	child := func(name, join string, on string, parents ...firjob.Job) firjob.Job {
		var of []map[string]any
		for _, p := range parents {
			of = append(of, map[string]any{"job": p.ID, "on": on})
		}
		return s.create(map[string]any{"app": cluster.App, "name": name, "handler": "noop", "schedule": map[string]any{"kind": "manual"},
			"parents": map[string]any{"join": join, "of": of}})
	}
	after, both, repair := child("after", "all", "success", left), child("both", "all", "success", left, right), child("repair", "all", "failure", broken)
	never := child("never", "all", "success", broken)
	made := time.Now().Add(time.Second) // what was claimed before them triggers none of them

	killed := map[int]time.Time{}
	s.run(4 * time.Second)
	kill(t, s.Servers[1], killed)
	s.run(2 * time.Second)
	must(t, s.Postgres.Kill())
	must(t, s.Postgres.Restart(t.Context()))
	s.run(5 * time.Second)
	s.until(10*time.Second, "the jobs are paused", func() bool {
		for _, j := range []firjob.Job{left, right, broken} {
			if s.call(http.MethodPost, jobPath(j.ID, "/pause"), nil, nil) != http.StatusOK {
				return false
			}
		}
		return true
	})
	s.ended(left, right, broken)
	all := s.ended(left, right, broken, after, both, repair, never)

	byParent := func(job firjob.Job) map[firjob.ExecutionID]int {
		n := map[firjob.ExecutionID]int{}
		for _, e := range all[job.ID] {
			if e.Parent == nil || e.State != firjob.StateSucceeded {
				t.Errorf("%s: %v is %s (%s) with the parent %v", job.Name, e.ID, e.State, e.Reason, e.Parent)
				continue
			}
			n[*e.Parent]++
		}
		return n
	}
	triggered, repaired := byParent(after), byParent(repair)
	succeeded := map[time.Time]int{}
	for _, e := range all[left.ID] {
		if e.State == firjob.StateSucceeded && e.ScheduledAt.After(made) {
			succeeded[e.ScheduledAt]++
			if triggered[e.ID] != 1 {
				t.Errorf("%v of %s triggered %d executions of %s, want 1", e.ID, left.Name, triggered[e.ID], after.Name)
			}
		}
	}
	for _, e := range all[broken.ID] {
		if e.State == firjob.StateFailed && e.ScheduledAt.After(made) && repaired[e.ID] != 1 {
			t.Errorf("%v of %s triggered %d executions of %s, want 1", e.ID, broken.Name, repaired[e.ID], repair.Name)
		}
	}
	want := 0
	for _, e := range all[right.ID] {
		if e.State == firjob.StateSucceeded && succeeded[e.ScheduledAt] == 1 {
			want++
		}
	}
	got := 0
	for _, e := range all[both.ID] {
		if e.Parent.ScheduledAt().After(made) {
			got++
		}
	}
	if got != want || want < 6 {
		t.Errorf("the join ran %d times, want once for each of the %d instants at which both succeeded, and 6 or more", got, want)
	}
	for _, e := range all[after.ID] {
		if inputs := strings.ReplaceAll(string(s.execution(e.ID).Inputs), " ", ""); !strings.Contains(inputs, `"n":7`) {
			t.Errorf("%v got the inputs %s, want the parent's result", e.ID, inputs)
		}
	}
	if n := len(all[never.ID]); n > 0 {
		t.Errorf("a child on success ran %d times though its parent always fails", n)
	}
}

func TestAppLimitsHoldWhileAReplicaDies(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	s.mustCall(http.StatusOK, http.MethodPatch, "/api/v1/apps/"+cluster.App, map[string]any{"max_running": 4, "max_per_second": 25}, nil)
	job := func(name string, priority int) firjob.Job {
		return s.create(map[string]any{"app": cluster.App, "name": name, "handler": "sleep", "params": map[string]string{"for": "50ms"},
			"schedule": map[string]any{"kind": "manual"}, "priority": priority})
	}
	low, high := job("low", -10), job("high", 10)
	items := make([]map[string]any, 100)
	for i := range items {
		items[i] = map[string]any{}
	}
	for _, j := range []firjob.Job{low, high} {
		s.mustCall(http.StatusOK, http.MethodPost, jobPath(j.ID, "/trigger:batch"), map[string]any{"items": items}, nil)
	}
	killed := map[int]time.Time{}
	s.run(2 * time.Second)
	var queue struct {
		Items []struct {
			Why    string `json:"why"`
			Reason string `json:"reason"`
		} `json:"items"`
	}
	s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/apps/"+cluster.App+"/queue", nil, &queue)
	told := 0
	for _, w := range queue.Items { // some were let in a moment ago and wait for their claim
		if strings.HasPrefix(w.Why, "app_") && w.Reason != "" {
			told++
		}
	}
	if told == 0 {
		t.Errorf("the queue shows %+v, want what waits for the app, with reasons", queue.Items)
	}
	kill(t, s.Servers[2], killed)
	all := s.ended(low, high)
	if n := len(all[low.ID]) + len(all[high.ID]); n != 200 {
		t.Errorf("%d executions ended, want 200", n)
	}
	ran := append(s.spans(low.ID, killed), s.spans(high.ID, killed)...)
	if most := atATime(ran); most > 4 {
		t.Errorf("%d handlers ran at a time, want at most 4", most)
	}
	slices.SortFunc(ran, func(a, b span) int { return a.begin.Compare(b.begin) })
	for i := range ran { // a bucket of 25 that fills at 25 a second
		j, _ := slices.BinarySearchFunc(ran, ran[i].begin.Add(time.Second), func(sp span, at time.Time) int { return sp.begin.Compare(at) })
		if n := j - i; n > 50+2 {
			t.Errorf("%d handlers began within a second from %v, want at most 50", n, ran[i].begin)
			break
		}
	}
	if took := ran[len(ran)-1].begin.Sub(ran[0].begin); took < 6*time.Second {
		t.Errorf("200 executions began within %v, want 7 s or more at 25 a second", took)
	}
	first := map[firjob.JobID]int{}
	for _, sp := range ran[25:100] {
		first[sp.Execution.Job()]++
	}
	if first[high.ID] < 60 {
		t.Errorf("of what began after the first burst, %v; want the high priority nearly alone", first)
	}
}

func TestBroadcastsEndWhileExecutorsAndReplicasDie(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 3})
	job := s.create(map[string]any{"app": cluster.App, "name": "everywhere", "handler": "sleep", "params": map[string]string{"for": "1500ms"},
		"schedule": map[string]any{"kind": "manual"}, "route": "broadcast"})
	s.until(10*time.Second, "three executors are known to each server", func() bool {
		for range 2 * len(s.Servers) { // which answer in turn
			if s.executors() != 3 {
				return false
			}
		}
		return true
	})
	killed := map[int]time.Time{}
	var calm, stormy firjob.Execution
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &calm)
	s.until(10*time.Second, "the first broadcast has ended", func() bool { return s.execution(calm.ID).State.Final() })
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &stormy)
	s.until(10*time.Second, "a shard has begun", func() bool { return len(s.starts()[stormy.ID.Shard(1)]) > 0 })
	kill(t, s.Workers[1], killed)
	kill(t, s.Servers[0], killed)
	s.until(30*time.Second, "the second broadcast has ended", func() bool { return s.execution(stormy.ID).State.Final() })
	for name, id := range map[string]firjob.ExecutionID{"calm": calm.ID, "stormy": stormy.ID} {
		e := s.execution(id)
		if e.State != firjob.StateSucceeded {
			t.Errorf("%s: the broadcast is %s (%s)", name, e.State, e.Reason)
		}
		for i := range 3 {
			shard := s.execution(id.Shard(i))
			if shard.State != firjob.StateSucceeded || shard.Shard == nil || shard.Shard.Index != i || shard.Shard.Total != 3 || shard.Parent == nil || *shard.Parent != id {
				t.Errorf("%s: shard %d is %+v", name, i, shard)
			}
		}
	}
	pids := map[int]bool{}
	for i := range 3 {
		pids[s.starts()[calm.ID.Shard(i)][0].PID] = true
	}
	if len(pids) != 3 {
		t.Errorf("the calm broadcast ran on %d executors, want each of 3", len(pids))
	}
}

// executors returns how many executors the API shows.
func (s *stage) executors() int {
	s.t.Helper()
	var list struct {
		Items []firjob.Executor `json:"items"`
	}
	s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/apps/"+cluster.App+"/executors", nil, &list)
	return len(list.Items)
}

func TestACordonCountsAtOnceOnEveryReplica(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	s.load(20, 200*time.Millisecond, "noop", nil)
	s.run(3 * time.Second)
	before := len(s.startsOn(s.Workers[0].PID(), time.Now().Add(-time.Second)))
	s.mustCall(http.StatusOK, http.MethodPut, "/api/v1/apps/"+cluster.App+"/executors/"+s.Workers[0].Addr+"/state",
		map[string]any{"state": "cordoned", "reason": "for the test"}, nil)
	cordoned := time.Now().Add(100 * time.Millisecond) // the way of a message between servers
	s.run(2 * time.Second)
	if during := s.startsOn(s.Workers[0].PID(), cordoned); before == 0 || len(during) > 0 {
		t.Errorf("a cordoned executor began %d handlers (and %d in the second before)", len(during), before)
	}
	s.mustCall(http.StatusOK, http.MethodPut, "/api/v1/apps/"+cluster.App+"/executors/"+s.Workers[0].Addr+"/state", map[string]any{"state": "active"}, nil)
	active := time.Now()
	s.run(2 * time.Second)
	if n := len(s.startsOn(s.Workers[0].PID(), active)); n < 20 {
		t.Errorf("after it was active again the executor began %d handlers in 2 s, want its half of 200", n)
	}
}

// startsOn returns the handlers that a process has begun after the instant.
func (s *stage) startsOn(pid int, after time.Time) (list []checker.Event) {
	s.t.Helper()
	for _, e := range s.events() {
		if e.Kind == checker.KindStart && e.PID == pid && e.Wall.After(after) {
			list = append(list, e)
		}
	}
	return list
}

func TestHTTPJobsAreCalledWhileAReplicaDies(t *testing.T) {
	var mu sync.Mutex
	calls := map[string][]string{} // tokens by idempotency key
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Idempotency-Key")
		calls[key] = append(calls[key], r.Header.Get("Firjob-Token"))
		fmt.Fprint(w, `{"done":true}`)
	}))
	defer target.Close()
	s := newStage(t, cluster.Options{Servers: 3, Workers: 1, ServerEnv: []string{"FIRJOB_EGRESS_ALLOW=127.0.0.0/8"}})
	job := s.create(map[string]any{"app": cluster.App, "name": "hook", "http": map[string]any{"url": target.URL + "/${id}", "body": `{"at":"${scheduled_at}"}`},
		"schedule": map[string]any{"kind": "every", "interval": "300ms"}, "misfire": map[string]any{"policy": "fire_all"}})
	killed := map[int]time.Time{}
	s.run(3 * time.Second)
	kill(t, s.Servers[0], killed)
	s.run(5 * time.Second)
	s.pause(job)
	all := s.ended(job)[job.ID]
	for _, e := range all {
		if e.State != firjob.StateSucceeded {
			t.Errorf("%v is %s (%s)", e.ID, e.State, e.Reason)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(all) < 20 || len(calls) < len(all) {
		t.Errorf("%d executions succeeded and %d were called, want 20 or more, each called", len(all), len(calls))
	}
}

func TestABackfillGoesOnWhileAReplicaDies(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	job := s.create(map[string]any{"app": cluster.App, "name": "hourly", "handler": "sleep", "params": map[string]string{"for": "100ms"},
		"schedule": map[string]any{"kind": "cron", "expr": "0 * * * *"}})
	until := time.Now().UTC().Truncate(time.Hour)
	from := until.Add(-60 * time.Hour)
	var made struct {
		ID    int `json:"id"`
		Fires int `json:"fires"`
	}
	body := map[string]any{"from": from.Format(time.RFC3339), "until": until.Format(time.RFC3339), "max_running": 3}
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/backfill"), body, &made)
	if made.Fires != 60 {
		t.Errorf("the backfill has %d fires, want 60", made.Fires)
	}
	killed := map[int]time.Time{}
	s.run(500 * time.Millisecond)
	kill(t, s.Servers[1], killed)
	var progress struct {
		FinishedAt *time.Time `json:"finished_at"`
	}
	s.until(30*time.Second, "the backfill has ended", func() bool {
		return s.call(http.MethodGet, fmt.Sprintf("/api/v1/backfills/%d", made.ID), nil, &progress) == http.StatusOK && progress.FinishedAt != nil
	})
	fires := map[time.Time]int{}
	for _, e := range s.executions(job.ID) {
		if e.Kind == firjob.KindBackfill && e.State == firjob.StateSucceeded {
			fires[e.ScheduledAt]++
		}
	}
	for at := from; at.Before(until); at = at.Add(time.Hour) {
		if fires[at] != 1 {
			t.Errorf("the fire of %v was run %d times, want once", at, fires[at])
		}
	}
	if most := atATime(s.spans(job.ID, killed)); most > 3 {
		t.Errorf("%d ran at a time, want at most 3", most)
	}
}

func TestACalendarCountsForEveryJobThatNamesIt(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 1})
	calendar := map[string]any{"name": "closed", "mode": "exclude", "dates": []map[string]any{{"from": "2001-01-01"}}}
	s.mustCall(http.StatusCreated, http.MethodPost, "/api/v1/calendars", calendar, nil)
	var jobs []firjob.Job
	for i := range 10 {
		jobs = append(jobs, s.create(map[string]any{"app": cluster.App, "name": fmt.Sprintf("open-%d", i), "handler": "noop",
			"schedule": map[string]any{"kind": "every", "interval": "250ms", "calendars": []string{"closed"}}}))
	}
	s.run(2 * time.Second)
	today := time.Now().UTC()
	s.mustCall(http.StatusOK, http.MethodPatch, "/api/v1/calendars/closed",
		map[string]any{"dates": []map[string]any{{"from": today.AddDate(0, 0, -1).Format(time.DateOnly), "until": today.AddDate(0, 0, 1).Format(time.DateOnly)}}}, nil)
	closed := time.Now().Add(claimedAhead)
	s.run(2 * time.Second)
	for _, j := range jobs {
		if n := len(s.startsOf(j.ID, time.Time{})); n == 0 {
			t.Errorf("job %d never ran: the test shows nothing", j.ID)
		}
		if late := s.startsOf(j.ID, closed); len(late) > 0 {
			t.Errorf("job %d ran at %v, on a closed day", j.ID, late)
		}
	}
}

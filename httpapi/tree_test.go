package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Tree hangs the executions below each other by their parents.
func (m *memory) Tree(ctx context.Context, id firjob.ExecutionID, limit int) (ports.Tree, firjob.ExecutionID, bool, error) {
	e, err := m.Execution(ctx, id)
	if err != nil {
		return ports.Tree{}, id, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tree := ports.Tree{Execution: e, NotRun: []ports.NotRun{{JobID: 9, Job: "alarm", Reason: "runs on failure; the parent succeeded"}}}
	for _, child := range m.executions {
		if child.Parent != nil && *child.Parent == id {
			tree.Children = append(tree.Children, ports.Tree{Execution: child})
		}
	}
	if e.Root != nil {
		id = *e.Root
	}
	return tree, id, len(tree.Children) > limit, nil
}

// RetryShards repeats the executions that have shards.
func (m *memory) RetryShards(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error) {
	e, err := m.Execution(ctx, id)
	if err == nil && len(e.Shards) == 0 {
		err = firjob.Errorf(firjob.CodeConflict, "execution %v has no shards", id)
	}
	return firjob.Execution{ID: firjob.NewExecutionID(e.JobID, someday, firjob.KindManual, 8), JobID: e.JobID,
		ScheduledAt: someday, DueAt: someday, State: firjob.StatePlanned, RetryOf: &id}, err
}

// broadcastOf3 is a broadcast of which one shard has failed and one is open.
func broadcastOf3() firjob.Execution {
	e := execution(firjob.StateRunning)
	e.Executor = ""
	for i, state := range []firjob.State{firjob.StateSucceeded, firjob.StateFailed, firjob.StatePlanned} {
		shard := execution(state)
		shard.ID, shard.Parent, shard.Root = e.ID.Shard(i), &e.ID, &e.ID
		shard.Shard = &firjob.ShardOf{Index: i, Total: 3, Target: "10.0.0.7:9999"}
		if state == firjob.StatePlanned {
			shard.Attempt, shard.Executor = 0, ""
		}
		if state == firjob.StateFailed {
			shard.Reason = "no paper"
		}
		e.Shards = append(e.Shards, shard)
	}
	return e
}

// triggeredBy is an execution that the end of another one has triggered.
func triggeredBy(parent firjob.Execution) firjob.Execution {
	e := execution(firjob.StateRunning)
	e.ID, e.JobID, e.Kind = firjob.NewExecutionID(43, someday.Add(time.Second), firjob.KindChild, 5), 43, firjob.KindChild
	e.Parent, e.Root = &parent.ID, &parent.ID
	return e
}

func TestExecutionsOfWorkflowsJSON(t *testing.T) {
	t.Parallel()
	parent := execution(firjob.StateSucceeded)
	child := triggeredBy(parent)
	child.Inputs = json.RawMessage(`[{"job_id":42,"job":"nightly-report","execution_id":"` + parent.ID.String() + `","state":"succeeded","result":{"rows":3}}]`)
	child.Progress = &firjob.Progress{Percent: 40, Note: "page 2 of 5", At: someday}
	for file, e := range map[string]firjob.Execution{"execution-broadcast.json": broadcastOf3(),
		"execution-shard.json": broadcastOf3().Shards[1], "execution-child.json": child} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.store.executions[e.ID] = e
			golden(t, "testdata/"+file, s.call("GET", "/api/v1/executions/"+e.ID.String(), "").want(http.StatusOK).indented())
		})
	}
}

func TestTreeJSON(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	parent := execution(firjob.StateSucceeded)
	child := triggeredBy(parent)
	s.store.executions[parent.ID], s.store.executions[child.ID] = parent, child
	golden(t, "testdata/execution-tree.json", s.call("GET", "/api/v1/executions/"+parent.ID.String()+"/tree", "").want(http.StatusOK).indented())
	var below struct {
		Root     string
		Children []any
	}
	s.call("GET", "/api/v1/executions/"+child.ID.String()+"/tree", "").want(http.StatusOK).into(&below)
	if below.Root != parent.ID.String() || below.Children == nil || len(below.Children) > 0 {
		t.Errorf("the tree of the child: %+v, want its root and no children", below)
	}
	s.call("GET", "/api/v1/executions/"+firjob.Fire(7, someday).String()+"/tree", "").want(http.StatusNotFound)
}

func TestRetryFailedShards(t *testing.T) {
	t.Parallel()
	e := broadcastOf3()
	plain := execution(firjob.StateFailed)
	for name, c := range map[string]struct {
		execution firjob.Execution
		body      string
		status    int
		asked     []string
		locations []string
	}{
		"only what failed":   {e, `{"only_failed":true}`, 201, []string{"announce " + firjob.NewExecutionID(42, someday, firjob.KindManual, 8).String()}, nil},
		"of no broadcast":    {plain, `{"only_failed":true}`, 409, nil, nil},
		"the whole":          {plain, `{"only_failed":false}`, 201, []string{"announce " + firjob.NewExecutionID(42, someday, firjob.KindManual, 7).String()}, nil},
		"no such field":      {plain, `{"failed":true}`, 422, nil, []string{"body.failed"}},
		"not a truth value":  {plain, `{"only_failed":"yes"}`, 422, nil, []string{"body.only_failed"}},
		"not JSON":           {plain, `only_failed`, 400, nil, nil},
		"no body is not bad": {plain, ``, 201, []string{"announce " + firjob.NewExecutionID(42, someday, firjob.KindManual, 7).String()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.store.executions[c.execution.ID] = c.execution
			r := s.call("POST", "/api/v1/executions/"+c.execution.ID.String()+"/retry", c.body).want(c.status)
			if !slices.Equal(s.scheduler.made, c.asked) {
				t.Errorf("the scheduler was asked %v, want %v", s.scheduler.made, c.asked)
			}
			if c.status == 422 {
				if got := r.problem().locations(); !slices.Equal(got, c.locations) {
					t.Errorf("faults at %v, want %v", got, c.locations)
				}
			}
		})
	}
}

// The executors of each shard that runs are asked, by app.
func TestCancelABroadcast(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	e := execution(firjob.StatePlanned)
	s.store.executions[e.ID] = e
	shards := []firjob.AttemptRef{{ID: e.ID.Shard(0), Token: 3}, {ID: e.ID.Shard(4), Token: 9}}
	for _, a := range shards {
		s.store.followed.Cancel = append(s.store.followed.Cancel, ports.Cancel{App: "billing", Attempt: a})
	}
	s.call("POST", "/api/v1/executions/"+e.ID.String()+"/cancel", "").want(http.StatusOK)
	want := []string{"cancel billing " + shards[0].ID.String() + " 3", "cancel billing " + shards[1].ID.String() + " 9"}
	if diff := cmp.Diff(want, s.scheduler.made); diff != "" {
		t.Errorf("the scheduler was asked (-want +got):\n%s", diff)
	}
}

func TestExecutionsAreFilteredByKindExecutorAndRoot(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	root := firjob.Fire(42, someday)
	s.call("GET", "/api/v1/executions?kind=child,manual&kind=child&executor=10.0.0.7:9999&root="+root.String(), "").want(http.StatusOK)
	want := ports.ExecutionFilter{Kinds: []firjob.Kind{firjob.KindChild, firjob.KindManual}, Executor: "10.0.0.7:9999", Root: root, PageSize: 50}
	if diff := cmp.Diff(want, s.store.filter); diff != "" {
		t.Errorf("the filter differs (-want +got):\n%s", diff)
	}
	for query, location := range map[string]string{"kind=parent": "query.kind", "root=42": "query.root", "kind=child,": "query.kind"} {
		if got := s.call("GET", "/api/v1/executions?"+query, "").want(422).problem().locations(); !slices.Equal(got, []string{location}) {
			t.Errorf("%s: faults at %v, want %s", query, got, location)
		}
	}
}

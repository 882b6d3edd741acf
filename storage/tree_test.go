package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// outline is a tree as a test reads it.
type outline struct {
	Job      firjob.JobID
	State    firjob.State
	Children []outline
	NotRun   map[firjob.JobID]string
}

func outlineOf(t ports.Tree) outline {
	o := outline{Job: t.Execution.JobID, State: t.Execution.State}
	for _, child := range t.Children {
		o.Children = append(o.Children, outlineOf(child))
	}
	for _, n := range t.NotRun {
		if o.NotRun == nil {
			o.NotRun = map[firjob.JobID]string{}
		}
		o.NotRun[n.JobID] = n.Reason
	}
	return o
}

func (s *store) wantTree(id, root firjob.ExecutionID, want outline) {
	s.t.Helper()
	tree, gotRoot, cut, err := s.Tree(s.t.Context(), id, 1000)
	if err != nil || cut || gotRoot != root {
		s.t.Fatalf("the tree of %s: root %s, cut %v, %v", id, gotRoot, cut, err)
	}
	if diff := cmp.Diff(want, outlineOf(tree)); diff != "" {
		s.t.Errorf("the tree of %s (-want +got):\n%s", id, diff)
	}
}

// The tree says what ran, and why the rest did not.
func TestTree(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := s.job(nil)
	a, b := s.child("", firjob.OnSuccess, root), s.child("", firjob.OnSuccess, root)
	alarm, paused := s.child("", firjob.OnFailure, root), s.child("", firjob.OnSuccess, root)
	all, any := s.child(firjob.JoinAll, firjob.OnSuccess, a, b), s.child(firjob.JoinAny, firjob.OnSuccess, a, b)
	s.edit(paused.ID, func(j *firjob.Job) { j.Enabled = false })

	start := s.run(root)
	waits := "waits for the end of this execution"
	s.wantTree(start.ID, start.ID, outline{Job: root.ID, State: firjob.StateRunning,
		NotRun: map[firjob.JobID]string{a.ID: waits, b.ID: waits, alarm.ID: waits, paused.ID: waits}})

	s.finishWith(start, `1`)
	left, right := s.only(a).ID, s.only(b).ID
	s.finishWith(s.mustClaim(left), `2`)
	ofRoot := map[firjob.JobID]string{alarm.ID: "runs on failure; the parent succeeded", paused.ID: "the job is paused"}
	s.wantTree(start.ID, start.ID, outline{Job: root.ID, State: firjob.StateSucceeded, NotRun: ofRoot, Children: children(s, start.ID,
		outline{Job: a.ID, State: firjob.StateSucceeded, Children: []outline{{Job: any.ID, State: firjob.StatePlanned}},
			NotRun: map[firjob.JobID]string{all.ID: fmt.Sprintf("waits for job %d of this run", b.ID)}},
		outline{Job: b.ID, State: firjob.StatePlanned, NotRun: map[firjob.JobID]string{all.ID: waits, any.ID: waits}})})

	s.wantReceipt(s.mustClaim(right), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.wantTree(left, start.ID, outline{Job: a.ID, State: firjob.StateSucceeded, Children: []outline{{Job: any.ID, State: firjob.StatePlanned}},
		NotRun: map[firjob.JobID]string{all.ID: fmt.Sprintf("job %d failed, so that not all parents can succeed", b.ID)}})
	failed := "runs on success; the parent failed"
	s.wantTree(right, start.ID, outline{Job: b.ID, State: firjob.StateFailed, NotRun: map[firjob.JobID]string{all.ID: failed, any.ID: failed}})

	again, err := s.RetryExecution(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	s.finishWith(s.mustClaim(again.ID), `3`)
	s.wantTree(right, start.ID, outline{Job: b.ID, State: firjob.StateFailed, NotRun: map[firjob.JobID]string{all.ID: failed, any.ID: failed},
		Children: []outline{{Job: b.ID, State: firjob.StateSucceeded, Children: []outline{{Job: all.ID, State: firjob.StatePlanned}},
			NotRun: map[firjob.JobID]string{any.ID: "was triggered in this run by another parent's end: execution " + s.only(any).ID.String()}}}})
	s.edit(paused.ID, func(j *firjob.Job) { j.Enabled = true })
	s.wantTree(start.ID, start.ID, func() outline {
		tree, _, _, _ := s.Tree(t.Context(), start.ID, 1000)
		o := outlineOf(tree)
		o.NotRun[paused.ID] = "the job was paused, or not a child yet, when the parent ended"
		return o
	}())
}

// children orders what has the same parent as the store does.
func children(s *store, parent firjob.ExecutionID, want ...outline) []outline {
	s.t.Helper()
	tree, _, _, err := s.Tree(s.t.Context(), parent, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	if tree.Children[0].Execution.JobID != want[0].Job {
		want[0], want[1] = want[1], want[0]
	}
	return want
}

func TestATreeIsBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := s.job(nil)
	for range 4 {
		s.child("", firjob.OnSuccess, root)
	}
	start := s.run(root)
	s.finishWith(start, `1`)
	tree, _, cut, err := s.Tree(t.Context(), start.ID, 3)
	if err != nil || !cut || len(tree.Children) != 3 {
		t.Errorf("got %d children, cut %v, %v; want 3, and that there are more", len(tree.Children), cut, err)
	}
	_, _, _, err = s.Tree(t.Context(), firjob.Fire(9999, s.now()), 3)
	wantCode(t, err, firjob.CodeNotFound)
}

func TestATreeLeavesShardsOut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	child := s.child("", firjob.OnSuccess, job)
	shards := s.spread(id, 3)
	s.succeed(shards...)
	s.wantTree(id, id, outline{Job: job.ID, State: firjob.StateSucceeded, Children: []outline{{Job: child.ID, State: firjob.StatePlanned}}})
	s.wantTree(shards[1], id, outline{Job: job.ID, State: firjob.StateSucceeded})
}

func TestExecutionsAreSelectedByKindExecutorAndRoot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(broadcast)
	child := s.child("", firjob.OnSuccess, job)
	shards := s.spread(id, 2)
	s.succeed(shards...)
	triggered := s.only(child).ID
	stranger := s.run(s.job(nil)).ID
	for name, c := range map[string]struct {
		filter ports.ExecutionFilter
		want   []firjob.ExecutionID
	}{
		"root":              {ports.ExecutionFilter{Root: id}, []firjob.ExecutionID{triggered, shards[1], shards[0], id}},
		"root and kind":     {ports.ExecutionFilter{Root: id, Kinds: []firjob.Kind{firjob.KindChild}}, []firjob.ExecutionID{triggered}},
		"kinds":             {ports.ExecutionFilter{Kinds: []firjob.Kind{firjob.KindChild, firjob.KindManual}}, []firjob.ExecutionID{stranger, triggered}},
		"executor":          {ports.ExecutionFilter{Executor: executor.Address}, []firjob.ExecutionID{shards[1], shards[0]}},
		"below a child":     {ports.ExecutionFilter{Root: triggered}, []firjob.ExecutionID{triggered}},
		"executor and root": {ports.ExecutionFilter{Executor: "10.9.9.9:1", Root: id}, nil},
	} {
		for size := 1; size <= 5; size++ {
			c.filter.PageSize = size
			if diff := cmp.Diff(c.want, s.list(c.filter, size)); diff != "" {
				t.Errorf("%s, %d a page (-want +got):\n%s", name, size, diff)
			}
		}
	}
}

// One that was cancelled before its time may be run again before it, too.
func TestATreeShowsARetryOfWhatWasCancelledEarly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	id := s.plan(job, s.now().Add(30*time.Second))[0]
	if _, _, err := s.CancelExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RetryExecution(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wantTree(id, id, outline{Job: job.ID, State: firjob.StateCancelled, Children: []outline{{Job: job.ID, State: firjob.StatePlanned}}})
}

func TestATreeThatJustFitsIsNotCut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := s.job(nil)
	s.child("", firjob.OnSuccess, root)
	start := s.run(root)
	s.finishWith(start, `1`)
	if tree, _, cut, err := s.Tree(t.Context(), start.ID, 1); err != nil || cut || len(tree.Children) != 1 {
		t.Errorf("got %d children, cut %v, %v; want the only one", len(tree.Children), cut, err)
	}
}

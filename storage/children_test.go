package storage_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// parents says by which ends a job is triggered: by success, unless on says otherwise.
func parents(join firjob.Join, on firjob.On, of ...firjob.Job) func(*firjob.Job) {
	return func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual}
		j.Parents = &firjob.Parents{Join: join}
		for _, p := range of {
			j.Parents.Of = append(j.Parents.Of, firjob.Parent{Job: p.ID, On: on})
		}
	}
}

// child makes a job that others trigger.
func (s *store) child(join firjob.Join, on firjob.On, of ...firjob.Job) firjob.Job {
	s.t.Helper()
	job := s.job(parents(join, on, of...))
	s.exec(`UPDATE jobs SET next_fire_at = NULL WHERE id = $1`, int32(job.ID))
	return job
}

// run triggers a job and claims its execution.
func (s *store) run(job firjob.Job) firjob.AttemptRef {
	s.t.Helper()
	e, _ := s.trigger(ports.TriggerRequest{Job: job.ID})
	return s.mustClaim(e.ID)
}

// of returns the executions of a job, the earliest first.
func (s *store) of(job firjob.Job) []firjob.Execution {
	s.t.Helper()
	list, _, err := s.Executions(s.t.Context(), ports.ExecutionFilter{Job: job.ID, PageSize: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (s *store) only(job firjob.Job) firjob.Execution {
	s.t.Helper()
	list := s.of(job)
	if len(list) != 1 {
		s.t.Fatalf("job %d has %d executions, want 1: %+v", job.ID, len(list), list)
	}
	return s.get(list[0].ID)
}

func (s *store) none(jobs ...firjob.Job) {
	s.t.Helper()
	for _, job := range jobs {
		if list := s.of(job); len(list) > 0 {
			s.t.Fatalf("job %d has executions, want none: %+v", job.ID, list)
		}
	}
}

// inputsOf returns what a child's handler is told of its parents.
func inputsOf(t testing.TB, e firjob.Execution) []firjob.ParentEnd {
	t.Helper()
	var ends []firjob.ParentEnd
	if err := json.Unmarshal(e.Inputs, &ends); err != nil {
		t.Fatalf("inputs of %s: %v: %s", e.ID, err, e.Inputs)
	}
	return ends
}

// finishWith reports a success with a result.
func (s *store) finishWith(a firjob.AttemptRef, result string) ports.Followed {
	s.t.Helper()
	got, err := s.Finish(s.t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
		ID: a.ID, Token: a.Token, Outcome: firjob.OutcomeSucceeded, StartedAt: s.now(), FinishedAt: s.now(), Result: json.RawMessage(result)}}})
	if err != nil || got.Receipts[0] != firjob.ReceiptRecorded {
		s.t.Fatalf("finish %v: %v, %v", a, got.Receipts, err)
	}
	return got.Followed
}

func TestAChildIsTriggeredByItsParentsEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	success, failure, end := s.child("", firjob.OnSuccess, parent), s.child("", firjob.OnFailure, parent), s.child("", firjob.OnEnd, parent)

	a := s.run(parent)
	followed := s.finishWith(a, `{"rows":3}`)
	e := s.only(success)
	s.none(failure)
	wantIDs(t, "announced", idsOf(followed.Announce), e.ID, s.only(end).ID)
	ended := s.get(a.ID)
	want := []firjob.ParentEnd{{Job: parent.ID, Name: parent.Name, ExecutionID: a.ID, State: firjob.StateSucceeded, Result: json.RawMessage(`{"rows":3}`)}}
	if diff := cmp.Diff(want, inputsOf(t, e)); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if e.Kind != firjob.KindChild || e.State != firjob.StatePlanned || *e.Parent != a.ID || *e.Root != a.ID || e.JobVersion != 0 {
		t.Errorf("the child is %+v", e)
	}
	if e.ScheduledAt.Before(*ended.FinishedAt) || e.ScheduledAt.Sub(*ended.FinishedAt) > time.Millisecond || !e.DueAt.Equal(e.ScheduledAt) {
		t.Errorf("scheduled at %v, due at %v; its parent ended at %v", e.ScheduledAt, e.DueAt, *ended.FinishedAt)
	}
	claimed := s.claim(e.ID).Claimed
	if len(claimed) != 1 || string(claimed[0].Trigger.Inputs) != string(e.Inputs) {
		t.Errorf("claimed %+v, want it with its inputs", claimed)
	}

	s.wantReceipt(s.run(parent), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.only(success)
	s.only(failure)
	if n := len(s.of(end)); n != 2 {
		t.Errorf("%d ends have triggered %d executions", 2, n)
	}
}

// A result that comes again is no second end.
func TestADuplicateTriggersNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	child := s.child("", firjob.OnSuccess, parent)
	a := s.run(parent)
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.wantReceipt(a, firjob.OutcomeSucceeded, firjob.ReceiptDuplicate)
	s.only(child)
}

// Whoever ends a parent triggers its children; what never ran triggers nothing.
func TestEveryPathToAnEndTriggers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job  func(*firjob.Job)
		end  func(s *store, a firjob.AttemptRef)
		want map[firjob.On]int
	}{
		"failed": {nil, func(s *store, a firjob.AttemptRef) {
			s.wantReceipt(a, firjob.OutcomeFailed, firjob.ReceiptRecorded)
		}, map[firjob.On]int{firjob.OnFailure: 1, firjob.OnEnd: 1}},
		"will be tried again": {func(j *firjob.Job) { j.Retry.MaxAttempts = 2 }, func(s *store, a firjob.AttemptRef) {
			s.wantReceipt(a, firjob.OutcomeFailed, firjob.ReceiptRecorded)
		}, nil},
		"lost": {func(j *firjob.Job) { j.Delivery = firjob.AtMostOnce }, func(s *store, a firjob.AttemptRef) {
			if _, err := s.Lose(s.t.Context(), []firjob.AttemptRef{a}, "gone"); err != nil {
				s.t.Fatal(err)
			}
		}, map[firjob.On]int{firjob.OnFailure: 1, firjob.OnEnd: 1}},
		"timed out": {func(j *firjob.Job) { j.Timeout = firjob.Duration(time.Minute) }, func(s *store, a firjob.AttemptRef) {
			s.exec(`UPDATE executions SET deadline_at = now() - interval '1 ms' WHERE id = $1`, [16]byte(a.ID))
			if _, err := s.ExpireLeases(s.t.Context(), 10); err != nil {
				s.t.Fatal(err)
			}
		}, map[firjob.On]int{firjob.OnFailure: 1, firjob.OnEnd: 1}},
		"cancelled while planned": {func(j *firjob.Job) { j.Retry.MaxAttempts = 2 }, func(s *store, a firjob.AttemptRef) {
			s.wantReceipt(a, firjob.OutcomeFailed, firjob.ReceiptRecorded)
			if _, _, err := s.CancelExecution(s.t.Context(), a.ID); err != nil {
				s.t.Fatal(err)
			}
		}, map[firjob.On]int{firjob.OnEnd: 1}},
		"cancelled while running": {nil, func(s *store, a firjob.AttemptRef) {
			if _, _, err := s.CancelExecution(s.t.Context(), a.ID); err != nil {
				s.t.Fatal(err)
			}
			s.wantReceipt(a, firjob.OutcomeCancelled, firjob.ReceiptRecorded)
		}, map[firjob.On]int{firjob.OnEnd: 1}},
		"skipped": {func(j *firjob.Job) { j.Overlap = firjob.OverlapSkip }, func(s *store, a firjob.AttemptRef) {
			e, _ := s.trigger(ports.TriggerRequest{Job: a.ID.Job()})
			s.claim(e.ID)
			s.wantState(e.ID, firjob.StateSkipped)
		}, nil},
		"superseded": {nil, func(s *store, a firjob.AttemptRef) {
			job, _, err := s.Job(s.t.Context(), a.ID.Job())
			if err != nil {
				s.t.Fatal(err)
			}
			ids := s.plan(job, s.now())
			s.edit(job.ID, func(j *firjob.Job) { j.Enabled = false })
			s.wantState(ids[0], firjob.StateSuperseded)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			parent := s.job(c.job)
			children := map[firjob.On]firjob.Job{}
			for _, on := range []firjob.On{firjob.OnSuccess, firjob.OnFailure, firjob.OnEnd} {
				children[on] = s.child("", on, parent)
			}
			c.end(s, s.run(parent))
			for on, child := range children {
				if got := len(s.of(child)); got != c.want[on] {
					t.Errorf("on %s: %d executions, want %d", on, got, c.want[on])
				}
			}
		})
	}
}

func TestAPausedChildIsNotTriggered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	child := s.child("", firjob.OnSuccess, parent)
	s.edit(child.ID, func(j *firjob.Job) { j.Enabled = false })
	s.wantReceipt(s.run(parent), firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
	s.none(child)
}

// A retry belongs to the run of what it repeats: its success counts there.
func TestTheRetryOfAParentTriggers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	root := s.job(nil)
	a, b := s.child("", firjob.OnSuccess, root), s.child("", firjob.OnSuccess, root)
	single := s.child("", firjob.OnSuccess, a)
	joined := s.child(firjob.JoinAll, firjob.OnSuccess, a, b)
	start := s.run(root)
	s.finishWith(start, `{"day":1}`)
	failed := s.only(a)
	s.wantReceipt(s.mustClaim(failed.ID), firjob.OutcomeFailed, firjob.ReceiptRecorded)
	s.finishWith(s.mustClaim(s.only(b).ID), `3`)
	s.none(single, joined)

	again, err := s.RetryExecution(t.Context(), failed.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(again.ID); *got.Parent != failed.ID || *got.Root != start.ID || string(got.Inputs) != string(failed.Inputs) {
		t.Errorf("the retry has the parent %v, the root %v and the inputs %s", got.Parent, got.Root, got.Inputs)
	}
	s.finishWith(s.mustClaim(again.ID), `2`)
	if e := s.only(single); *e.Parent != again.ID || *e.Root != start.ID {
		t.Errorf("the child has the parent %v and the root %v", e.Parent, e.Root)
	}
	ends := inputsOf(t, s.only(joined))
	if len(ends) != 2 || ends[0].ExecutionID != again.ID || ends[0].State != firjob.StateSucceeded {
		t.Errorf("the join knows %+v, want the retry in the place of what failed", ends)
	}
}

// A child triggered by many ends in one millisecond has an execution for each.
func TestManyEndsOfOneMillisecond(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll })
	child := s.child("", firjob.OnSuccess, parent)
	now := s.now()
	var at []time.Time
	for i := range 400 {
		at = append(at, now.Add(-time.Duration(i)*time.Millisecond))
	}
	items := successesOf(s.claim(s.plan(parent, at...)...).Claimed, now)
	for i := range items {
		items[i].Result.FinishedAt = now
	}
	if _, err := s.Finish(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	if n := len(s.of(child)); n != len(items) {
		t.Errorf("%d ends have triggered %d executions", len(items), n)
	}
}

// Jobs cannot trigger each other in a circle, however the edits meet.
func TestCirclesAreRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a := s.child("", firjob.OnSuccess, s.job(nil))
	b, c := s.child("", firjob.OnSuccess, a), s.child("", firjob.OnEnd, a)
	d := s.child(firjob.JoinAny, firjob.OnEnd, b, c)
	follow := func(job firjob.JobID, parent firjob.Job) error {
		_, _, err := s.UpdateJob(t.Context(), job, func(_ time.Time, j *firjob.Job) error { parents("", firjob.OnSuccess, parent)(j); return nil })
		return err
	}
	for _, parent := range []firjob.Job{a, b, d} {
		wantCode(t, follow(a.ID, parent), firjob.CodeInvalid)
	}
	for range 10 {
		x, y := s.child("", firjob.OnSuccess, d), s.child("", firjob.OnSuccess, d)
		errs := make([]error, 2)
		together(2, func(i int) {
			errs[i] = follow([]firjob.JobID{x.ID, y.ID}[i], []firjob.Job{y, x}[i])
		})
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("of two edits that close a circle: %v and %v; want one of them refused", errs[0], errs[1])
		}
	}
}

// Many edits that name each other's jobs as parents take turns: none waits for
// one that waits for it.
func TestManyEditsOfParentsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	list := make([]firjob.Job, 6)
	for i := range list {
		list[i] = s.job(nil)
	}
	together(30, func(i int) {
		child, parent := list[i%6], list[(i+1+i/6)%6]
		_, _, err := s.UpdateJob(t.Context(), child.ID, func(_ time.Time, j *firjob.Job) error { parents("", firjob.OnSuccess, parent)(j); return nil })
		if err != nil && firjob.CodeOf(err) != firjob.CodeInvalid {
			t.Errorf("job %d below job %d: %v", child.ID, parent.ID, err)
		}
	})
}

// A job that is being deleted while it becomes a parent is either refused as a
// parent or not deleted: no child waits for a job that is gone.
func TestAParentIsDeletedWhileAChildNamesIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent, child := s.job(nil), s.job(nil)
	deleting, goOn := make(chan struct{}), make(chan struct{})
	deleted, named := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.DeleteJob(t.Context(), parent.ID, func(firjob.Job) error { close(deleting); <-goOn; return nil })
		deleted <- err
	}()
	<-deleting
	go func() {
		_, _, err := s.UpdateJob(t.Context(), child.ID, func(_ time.Time, j *firjob.Job) error { parents("", firjob.OnSuccess, parent)(j); return nil })
		named <- err
	}()
	s.awaitLockWait()
	close(goOn)
	if err := <-deleted; err != nil {
		t.Errorf("delete: %v", err)
	}
	wantCode(t, <-named, firjob.CodeInvalid)
}

// What may be told is not made larger by how it is written.
func TestInputsAreNotEscaped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	child := s.child("", firjob.OnSuccess, parent)
	result := `"` + strings.Repeat("<&>", 100_000) + `"`
	s.finishWith(s.run(parent), result)
	if end := inputsOf(t, s.only(child))[0]; string(end.Result) != result {
		t.Errorf("the child is told %d bytes of result, note %q; want the parent's %d", len(end.Result), end.Note, len(result))
	}
}

// A job that gets its first child while it runs triggers it by that end, too: the
// child is there by then.
func TestAChildOfARunningJob(t *testing.T) {
	t.Parallel()
	for name, adopt := range map[string]func(s *store, parent firjob.Job) firjob.Job{
		"made": func(s *store, parent firjob.Job) firjob.Job {
			return s.child(firjob.JoinAll, firjob.OnSuccess, parent)
		},
		"edited": func(s *store, parent firjob.Job) firjob.Job {
			child := s.job(func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: firjob.ScheduleManual} })
			_, _, err := s.UpdateJob(s.t.Context(), child.ID, func(_ time.Time, j *firjob.Job) error {
				parents(firjob.JoinAll, firjob.OnSuccess, parent)(j)
				return nil
			})
			if err != nil {
				s.t.Fatal(err)
			}
			return child
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			parent := s.job(nil)
			running := s.run(parent)
			child := adopt(s, parent)
			s.wantReceipt(running, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
			if e := s.only(child); e.Parent == nil || *e.Parent != running.ID {
				t.Errorf("the child's parent is %v, want %s", e.Parent, running.ID)
			}
		})
	}
}

// The same for an execution that is claimed at the moment.
func TestAChildMadeDuringAClaim(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	other := s.open()
	for range 20 {
		parent := s.job(nil)
		e, _ := s.trigger(ports.TriggerRequest{Job: parent.ID})
		var child firjob.Job
		var ref firjob.AttemptRef
		together(2, func(i int) {
			if i == 0 {
				child = s.child(firjob.JoinAll, firjob.OnSuccess, parent)
				return
			}
			got, err := other.Claim(t.Context(), []firjob.ExecutionID{e.ID}, ports.ClaimBy{Replica: "r", Call: "c", Lease: time.Minute})
			if err != nil || len(got.Claimed) != 1 {
				t.Errorf("claim: %+v, %v", got, err)
				return
			}
			ref = firjob.AttemptRef{ID: e.ID, Token: got.Claimed[0].Trigger.Token}
		})
		if t.Failed() {
			return
		}
		s.wantReceipt(ref, firjob.OutcomeSucceeded, firjob.ReceiptRecorded)
		s.only(child)
	}
}

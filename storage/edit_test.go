package storage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// edit changes a job as the API does.
func (s *store) edit(id firjob.JobID, change func(*firjob.Job)) firjob.Job {
	s.t.Helper()
	job, _ := s.editAll(id, change)
	return job
}

// editAll changes a job and returns what follows, too.
func (s *store) editAll(id firjob.JobID, change func(*firjob.Job)) (firjob.Job, ports.Followed) {
	s.t.Helper()
	job, followed, err := s.UpdateJob(s.t.Context(), id, func(_ time.Time, j *firjob.Job) error {
		change(j)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return job, followed
}

// delete takes a job away as the API does.
func (s *store) delete(id firjob.JobID) (ports.Followed, error) {
	return s.DeleteJob(s.t.Context(), id, func(firjob.Job) error { return nil })
}

// What is recorded stays recorded, however late it is, while the fires are the
// same; and the edit counts for it.
func TestEditOfTheSameScheduleKeepsTheFires(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll })
	now := s.now()
	ids := s.plan(job, now.Add(-10*time.Minute), now.Add(-2*time.Minute), now.Add(-time.Second), now.Add(500*time.Millisecond))
	next := s.nextFire(job.ID)
	s.edit(job.ID, func(j *firjob.Job) { j.Priority = 3 })
	edited := s.edit(job.ID, func(j *firjob.Job) { j.Handler = "other" })
	if edited.Version != 3 || edited.NextFireAt == nil || !edited.NextFireAt.Equal(next) {
		t.Errorf("after the edits: got version %d, next fire %v; want 3, %v", edited.Version, edited.NextFireAt, next)
	}
	got := s.claim(ids...)
	if len(got.Claimed) != len(ids) {
		t.Fatalf("claimed %d of %d, dropped %v", len(got.Claimed), len(ids), got.Dropped)
	}
	for _, c := range got.Claimed {
		if c.Trigger.Handler != "other" {
			t.Errorf("%s was claimed with the handler %q of before the edit", c.Trigger.ID, c.Trigger.Handler)
		}
	}
}

func TestEditKeepsAnAtThatIsDue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := s.now().Add(-time.Minute)
	job := s.job(func(j *firjob.Job) { j.Schedule = firjob.Schedule{Kind: firjob.ScheduleAt, At: &at} })
	id := s.plan(job, at)[0]
	s.exec(`UPDATE jobs SET next_fire_at = NULL`) // it has no other
	if edited := s.edit(job.ID, func(j *firjob.Job) { j.Priority = 3 }); edited.NextFireAt != nil {
		t.Errorf("the next fire is %v, want none", edited.NextFireAt)
	}
	s.mustClaim(id)
}

// Another schedule has other fires; and a pause ends what was planned for good.
func TestEditOfTheFiresSupersedes(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]func(*firjob.Job){
		"another schedule": {func(j *firjob.Job) { j.Schedule.Interval *= 2 }},
		"pause":            {func(j *firjob.Job) { j.Enabled = false }},
		"pause and resume": {func(j *firjob.Job) { j.Enabled = false }, func(j *firjob.Job) { j.Enabled = true }},
		"schedule, then name": {func(j *firjob.Job) { j.Schedule.Interval *= 2 },
			func(j *firjob.Job) { j.Name = "another" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			job := s.job(func(j *firjob.Job) { j.Misfire.Policy = firjob.MisfireFireAll })
			now := s.now()
			ids := s.plan(job, now.Add(-10*time.Minute), now.Add(-time.Second))
			for _, change := range changes {
				s.edit(job.ID, change)
			}
			s.wantState(ids[1], firjob.StateSuperseded)
			s.wantState(ids[0], firjob.StatePlanned) // too old to be looked for
			wantIDs(t, "dropped", s.claim(ids...).Dropped, ids...)
			s.wantState(ids[0], firjob.StateSuperseded)
		})
	}
}

// Planning what an older version has planned, and what is still good, leaves it
// as it is.
func TestPlanningWhatAnOlderVersionPlanned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, id := s.fire(nil)
	edited := s.edit(job.ID, func(j *firjob.Job) { j.Priority = 3 })
	wantIDs(t, "planned again", s.plan(edited, id.ScheduledAt()))
	if e := s.wantState(id, firjob.StatePlanned); e.JobVersion != 1 {
		t.Errorf("got version %d, want 1", e.JobVersion)
	}
	edited = s.edit(job.ID, func(j *firjob.Job) { j.Schedule.Interval *= 2 })
	s.exec(`UPDATE executions SET state = 'planned', finished_at = NULL`) // as if the edit had not found it
	wantIDs(t, "planned by version 3", s.plan(edited, id.ScheduledAt()), id)
	if e := s.wantState(id, firjob.StatePlanned); e.JobVersion != 3 {
		t.Errorf("got version %d, want 3", e.JobVersion)
	}
}

// What an edit ends may have kept others back: the caller is told who goes on.
func TestEditTellsWhatFollows(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	queued := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	now := s.now()
	ids := s.plan(queued, now.Add(-time.Millisecond), now)
	manual, _ := s.trigger(ports.TriggerRequest{Job: queued.ID})
	released := s.mustClaim(ids[0])
	wantIDs(t, "dropped, to wait", s.claim(ids[1], manual.ID).Dropped, ids[1], manual.ID)
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{released}, 0, "no executor"); err != nil {
		t.Fatal(err)
	}
	_, followed := s.editAll(queued.ID, func(j *firjob.Job) { j.Enabled = false })
	wantIDs(t, "let in by the pause", idsOf(followed.Announce), manual.ID)
	s.mustClaim(manual.ID)

	chain, id := s.fire(delayed)
	_, followed, err := s.CancelExecution(t.Context(), id)
	if err != nil || !slices.Equal(followed.Plan, []firjob.JobID{chain.ID}) {
		t.Errorf("after the cancel: got %+v, %v; want job %d to be planned", followed, err, chain.ID)
	}

	deleted := s.job(func(j *firjob.Job) { j.Overlap = firjob.OverlapQueue })
	holder := s.plan(deleted, now)[0]
	behind, _ := s.trigger(ports.TriggerRequest{Job: deleted.ID})
	if _, err := s.Release(t.Context(), []firjob.AttemptRef{s.mustClaim(holder)}, 0, "no executor"); err != nil {
		t.Fatal(err)
	}
	s.claim(behind.ID)
	if followed, err = s.delete(deleted.ID); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "let in by the delete", idsOf(followed.Announce), behind.ID)
}

// A refusal to delete a parent names its children, the first ten of many.
func TestARefusedDeletionNamesTheChildren(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	parent := s.job(nil)
	var names []string
	for n := range 12 {
		child := s.child("", firjob.OnSuccess, parent)
		names = append(names, fmt.Sprintf("%d (%s/%s)", child.ID, child.App, child.Name))
		if n == 0 {
			_, err := s.delete(parent.ID)
			wantMessage(t, err, "triggers 1 other jobs: "+names[0]+"; take it out of their parents first")
		}
	}
	_, err := s.delete(parent.ID)
	wantMessage(t, err, "triggers 12 other jobs: "+strings.Join(names[:10], ", ")+" and 2 more; take it out of their parents first")
}

func wantMessage(t *testing.T, err error, want string) {
	t.Helper()
	if firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a conflict that says %q", err, want)
	}
}

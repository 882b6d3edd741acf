package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func anyApp(firjob.App) error { return nil }

// An app with jobs stays; one without is gone for everybody, its history is not, and
// its name can be taken again.
func TestDeleteApp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	job := s.job(nil)
	ran := s.plan(job, s.now())[0]
	err := s.DeleteApp(ctx, app, anyApp)
	if firjob.CodeOf(err) != firjob.CodeConflict || !strings.Contains(err.Error(), "jobs (1)") {
		t.Fatalf("with a job: %v, want a conflict that counts it", err)
	}
	if _, err := s.DeleteJob(ctx, job.ID, func(firjob.Job) error { return nil }); err != nil {
		t.Fatal(err)
	}
	mark := firjob.Mark{App: app, Address: executor.Address, State: firjob.ExecutorCordoned}
	if _, err := s.MarkExecutor(ctx, mark); err != nil {
		t.Fatal(err)
	}
	fault := errors.New("another version")
	if err := s.DeleteApp(ctx, app, func(firjob.App) error { return fault }); !errors.Is(err, fault) {
		t.Fatalf("checked: %v, want the check's own error", err)
	}
	if err := s.DeleteApp(ctx, app, anyApp); err != nil {
		t.Fatal(err)
	}

	for what, err := range map[string]error{
		"read":         second(s.App(ctx, app)),
		"authenticate": second(s.AppAuthHash(ctx, app)),
		"mark":         second(s.MarkExecutor(ctx, mark)),
		"delete again": s.DeleteApp(ctx, app, anyApp),
		"change":       second(s.UpdateApp(ctx, app, func(*firjob.App) error { return nil })),
	} {
		if firjob.CodeOf(err) != firjob.CodeNotFound {
			t.Errorf("%s: %v, want that there is no such app", what, err)
		}
	}
	keys, err := s.SigningKeys(ctx)
	if _, there := keys[app]; err != nil || there {
		t.Errorf("it still has a key, or %v", err)
	}
	if list, _, err := s.Apps(ctx, ports.AppFilter{PageSize: 10}); err != nil || len(list) != 0 {
		t.Errorf("listed: %v, %v; want none", list, err)
	}
	next := firjob.NewJob()
	next.App, next.Name, next.Handler, next.Schedule.Kind = app, "next", "report", firjob.ScheduleManual
	if _, err := s.CreateJob(ctx, next); firjob.CodeOf(err) != firjob.CodeInvalid {
		t.Errorf("a job in it: %v, want it refused", err)
	}
	if e, err := s.Execution(ctx, ran); err != nil || e.App != app {
		t.Errorf("its history: %+v, %v", e, err)
	}

	made, err := s.CreateApp(ctx, app, []byte("other hash"), []byte("other key"))
	if err != nil || made.Version < 3 {
		t.Fatalf("made again: %+v, %v; want a later version", made, err)
	}
	if marks, err := s.Marks(ctx); err != nil || len(marks) != 0 {
		t.Errorf("marks of the app before: %v, %v; want none", marks, err)
	}
	if _, err := s.CreateJob(ctx, next); err != nil {
		t.Errorf("a job in the new one: %v", err)
	}
	if _, err := s.CreateApp(ctx, app, []byte("hash"), []byte("key")); firjob.CodeOf(err) != firjob.CodeConflict {
		t.Errorf("made a third time: %v, want a conflict", err)
	}
}

// Of an app that is deleted while jobs are made in it, one of the two is refused.
func TestDeleteAppWhileJobsAreMade(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	other := s.open()
	for range 20 {
		name := "brief"
		if _, err := s.CreateApp(ctx, name, []byte("hash"), []byte("key")); err != nil {
			t.Fatal(err)
		}
		var made, deleted error
		var job firjob.Job
		together(2, func(i int) {
			if i == 0 {
				j := firjob.NewJob()
				j.App, j.Name, j.Handler, j.Schedule.Kind = name, "one", "report", firjob.ScheduleManual
				job, made = s.CreateJob(ctx, j)
				return
			}
			deleted = other.DeleteApp(ctx, name, anyApp)
		})
		if made == nil && deleted == nil || made != nil && deleted != nil {
			t.Fatalf("job made: %v, app deleted: %v; want one of the two", made, deleted)
		}
		if made == nil {
			if _, err := s.DeleteJob(ctx, job.ID, func(firjob.Job) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteApp(ctx, name, anyApp); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

package storage_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func (s *store) marks() []firjob.Mark {
	s.t.Helper()
	list, err := s.Marks(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestMarks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "e-mail", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	drain := firjob.Mark{App: app, Address: "10.0.0.8:1", State: firjob.ExecutorDraining}
	cordon := firjob.Mark{App: app, Address: "10.0.0.7:1", State: firjob.ExecutorCordoned, Reason: "disk \x00full"}
	other := firjob.Mark{App: "e-mail", Address: "10.0.0.7:1", State: firjob.ExecutorCordoned}
	before := s.now()
	for _, m := range []firjob.Mark{drain, other, {App: app, Address: cordon.Address, State: firjob.ExecutorDraining, Reason: "old"}, cordon} {
		got, err := s.MarkExecutor(t.Context(), m)
		if err != nil || got.CreatedAt.Before(before) || got.State != m.State {
			t.Fatalf("mark %+v: got %+v, %v", m, got, err)
		}
	}
	cordon.Reason = "disk �full"
	at := cmpopts.IgnoreFields(firjob.Mark{}, "CreatedAt")
	if diff := cmp.Diff([]firjob.Mark{cordon, drain, other}, s.marks(), at); diff != "" {
		t.Errorf("marks, as of another replica (-want +got):\n%s", diff)
	}
	cordon.State = firjob.ExecutorActive
	for range 2 {
		if got, err := s.MarkExecutor(t.Context(), cordon); err != nil || got.CreatedAt.Before(before) {
			t.Fatalf("take a mark away: got %+v, %v", got, err)
		}
	}
	if diff := cmp.Diff([]firjob.Mark{drain, other}, s.marks(), at); diff != "" {
		t.Errorf("marks after one was taken away (-want +got):\n%s", diff)
	}
}

func TestMarkOfNoApp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, state := range firjob.ExecutorStates() {
		_, err := s.MarkExecutor(t.Context(), firjob.Mark{App: "nobody", Address: "a:1", State: state})
		if firjob.CodeOf(err) != firjob.CodeNotFound {
			t.Errorf("mark %s of an app that is not there: %v, want not_found", state, err)
		}
	}
	if list := s.marks(); len(list) != 0 {
		t.Errorf("marks %v, want none", list)
	}
}

func TestDryRunOfAMark(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := ports.WithWrite(t.Context(), ports.Write{DryRun: true})
	got, err := s.MarkExecutor(ctx, firjob.Mark{App: app, Address: "a:1", State: firjob.ExecutorCordoned})
	if err != nil || got.CreatedAt.IsZero() {
		t.Errorf("dry run: got %+v, %v", got, err)
	}
	if list := s.marks(); len(list) != 0 {
		t.Errorf("a dry run left %v", list)
	}
}

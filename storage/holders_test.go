package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Only attempts that are current and that a beat has named have a holder.
func TestHolders(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, first := s.fire(nil)
	_, second := s.fire(nil)
	_, third := s.fire(nil)
	named, unnamed, ended := s.mustClaim(first), s.mustClaim(second), s.mustClaim(third)
	if _, err := s.Hold(t.Context(), []ports.Held{hold(named, executor), hold(ended, executor)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lose(t.Context(), []firjob.AttemptRef{ended}, "gone"); err != nil {
		t.Fatal(err)
	}
	stale := firjob.AttemptRef{ID: first, Token: named.Token - 1}
	got, err := s.Holders(t.Context(), app, []firjob.AttemptRef{named, stale, unnamed, ended})
	if want := []ports.Held{hold(named, executor)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Holders = %+v, %v; want %+v", got, err, want)
	}
}

package storage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// A beat that names very many is no transaction of very many: one row that cannot
// be had keeps no more than its own batch from being renewed.
func TestABeatOfManyRenewsWhatItCan(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const many = firjob.MaxBatch + 100
	now := s.now()
	at := make([]time.Time, many)
	for i := range at {
		at[i] = now.Add(time.Duration(i-many) * time.Millisecond)
	}
	var held []ports.Held
	for part := range slices.Chunk(s.plan(s.job(nil), at...), firjob.MaxBatch) {
		claimed, err := s.Claim(t.Context(), part, claimBy("r1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range claimed.Claimed {
			held = append(held, hold(firjob.AttemptRef{ID: c.Trigger.ID, Token: c.Trigger.Token}, executor))
		}
	}
	if len(held) != many {
		t.Fatalf("%d of %d were claimed", len(held), many)
	}
	slices.Reverse(held) // the order of a beat is that of a map

	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	latest := [16]byte(held[0].Attempt.ID)
	if _, err := conn.Exec(t.Context(), `BEGIN`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT FROM executions WHERE id = $1 FOR UPDATE`, latest); err != nil {
		t.Fatal(err)
	}
	_, err = s.Hold(t.Context(), held, time.Minute)
	wantCode(t, err, firjob.CodeUnavailable)
	s.wantNamed(firjob.MaxBatch)
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(t.Context(), held, time.Minute); err != nil {
		t.Fatal(err)
	}
	s.wantNamed(many)
}

func (s *store) wantNamed(want int) {
	s.t.Helper()
	var named int
	s.query(`SELECT count(*) FROM executions WHERE executor = '`+executor.Address+`'`, &named)
	if named != want {
		s.t.Errorf("%d rows name the executor, want %d", named, want)
	}
}

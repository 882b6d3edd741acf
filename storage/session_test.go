package storage_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

// A server has a session as long as its process has the store open, also if it has
// asked it nothing yet, and whatever its name.
func TestHasSession(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	has := func(replica string) bool {
		t.Helper()
		got, err := s.HasSession(t.Context(), replica)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	wait := func(replica string, want bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); has(replica) != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q has a session: %v, want %v", replica, !want, want)
			}
		}
	}
	unique := strings.TrimPrefix(t.Name(), "Test") + time.Now().Format("150405.000000")
	long := strings.Repeat("long", 20) + unique
	for _, replica := range []string{unique, "zürich " + unique, long} {
		if has(replica) || has(replica+"x") {
			t.Errorf("%q has a session before it has opened the store", replica)
		}
		db, err := storage.Open(t.Context(), storage.Options{URL: s.url, MaxConns: 4, Replica: replica})
		if err != nil {
			t.Fatal(err)
		}
		wait(replica, true)
		if has(replica + "x") {
			t.Errorf("%q passes for another", replica)
		}
		db.Close()
		wait(replica, false)
	}
}

// What is in question is what LoseReplica ends.
func TestInQuestion(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	inQuestion := func(replica string, before time.Time, wantN int, wantApps ...string) {
		t.Helper()
		n, apps, err := s.InQuestion(t.Context(), replica, before)
		if err != nil || n != wantN || !slices.Equal(apps, wantApps) {
			t.Errorf("InQuestion(%s) = %d, %v, %v; want %d, %v", replica, n, apps, err, wantN, wantApps)
		}
	}
	inQuestion("r1", time.Now(), 0)
	_, id := s.fire(nil)
	s.mustClaim(id)
	_, named := s.fire(nil)
	held := s.mustClaim(named)
	_, call := s.fire(nil)
	called := s.mustClaim(call)
	before := time.Now().Add(time.Second)
	inQuestion("r1", before, 3, app)
	inQuestion("r1", before.Add(-time.Minute), 0)
	inQuestion("r2", before, 0)
	_, err := s.Hold(t.Context(), []ports.Held{
		{Executor: executor, Attempt: held},
		{Executor: firjob.ExecutorKey{App: app, Address: "server", Incarnation: "r1"}, Attempt: called},
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	inQuestion("r1", before, 2, app)
	s.exec(`UPDATE executions SET executor = 'server', incarnation = 'r1' WHERE id = $1`, [16]byte(id))
	inQuestion("r1", before, 2) // calls: no executor has them
	if _, err := s.LoseReplica(t.Context(), "r1", before, "gone"); err != nil {
		t.Fatal(err)
	}
	inQuestion("r1", before, 0)
}

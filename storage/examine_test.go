package storage_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	idle, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close(t.Context())
	if _, err := idle.Exec(t.Context(), `SET application_name = 'dawdler'; BEGIN; SELECT 1`); err != nil {
		t.Fatal(err)
	}
	s.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	got, err := s.open().Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.VersionNum < 140000 || got.Version == "" || got.Recovery || got.MaxConns < 100 || got.Connections < 2 {
		t.Errorf("got %+v, want a server of 14 or newer with room for connections", got)
	}
	if got.OldestTx <= 0 || got.OldestBy != "dawdler" {
		t.Errorf("the oldest transaction: got %v of %q, want that of dawdler", got.OldestTx, got.OldestBy)
	}
	if got.Settings["synchronous_commit"] != "off" || got.Settings["autovacuum"] != "on" || got.Settings["fsync"] == "" {
		t.Errorf("settings: got %v, want those of this database", got.Settings)
	}
}

// A role that may not see the sessions of others still counts them.
func TestFactsOfAnOrdinaryRole(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 20 {
		other, err := pgx.Connect(t.Context(), s.url)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close(context.WithoutCancel(t.Context()))
	}
	s.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = pg_signal_backend', current_database()); END $$`)
	got, err := s.open().Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Connections < 20 {
		t.Errorf("%d connections are in use, want 20 at least", got.Connections)
	}
}

func TestPartitionFacts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	look := func() (missing, expired int, standard string, filled bool) {
		t.Helper()
		f, err := s.PartitionFacts(t.Context(), 3, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return len(f.Missing), len(f.Expired), f.Default, f.Filled
	}
	if missing, expired, standard, filled := look(); missing+expired != 0 || standard != "" || filled {
		t.Errorf("after the migration: %d missing, %d expired, default %q; want nothing to find", missing, expired, standard)
	}
	s.exec(`DO $$ BEGIN EXECUTE format('DROP TABLE executions_%s', to_char((now() AT TIME ZONE 'UTC') + interval '2 days', 'YYYYMMDD')); END $$`)
	if missing, _, _, _ := look(); missing != 1 {
		t.Errorf("%d missing, want 1", missing)
	}
	if err := s.MaintainPartitions(t.Context(), 3, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	old := firjob.FirstIDAt(s.now().AddDate(0, 0, -40)).String()
	s.exec(`CREATE TABLE executions_20200101 PARTITION OF executions FOR VALUES FROM ('00000000-0000-0000-0000-000000000000') TO ('` + old + `')`)
	if missing, expired, _, _ := look(); missing != 0 || expired != 1 {
		t.Errorf("%d missing, %d expired; want none, 1", missing, expired)
	}
	s.exec(`CREATE TABLE executions_rest PARTITION OF executions DEFAULT`)
	if _, _, standard, filled := look(); standard != "executions_rest" || filled {
		t.Errorf("default %q, filled %t; want executions_rest, empty", standard, filled)
	}
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at) VALUES ('ffffffff-ffff-8fff-bfff-ffffffffffff', 1, 1, now())`)
	if _, _, _, filled := look(); !filled {
		t.Error("a default partition with a row is taken to be empty")
	}
}

func TestJobsDue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.job(nil)
	s.job(nil)
	s.job(func(j *firjob.Job) { j.Handler, j.HTTP = "", &firjob.HTTPCall{URL: "https://example.com/"} })
	s.job(func(j *firjob.Job) {
		j.Schedule = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(48 * time.Hour)}
	})
	s.exec(`UPDATE jobs SET next_fire_at = now() + interval '1 day' WHERE schedule::text LIKE '%48h%'`)
	got, err := s.JobsDue(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{app: 2}, got); diff != "" {
		t.Errorf("jobs for executors that are due (-want +got):\n%s", diff)
	}
	if names, err := s.AppNames(t.Context()); err != nil || !slices.Equal(names, []string{app}) {
		t.Errorf("apps: got %v, %v", names, err)
	}
}

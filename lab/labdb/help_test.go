package labdb_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/lab/labdb"
	"github.com/firjob/firjob/storage"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

const app = "billing"

// store is a database of the test's own.
type store struct {
	*labdb.DB
	t    testing.TB
	url  string
	made int // jobs
}

func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{t: t, url: stacktest.Database(t, storage.Migrate)}
	var err error
	if s.DB, err = labdb.Open(t.Context(), storage.Options{URL: s.url, MaxConns: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.CreateApp(t.Context(), app, []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	return s
}

// job makes a job of kind every, due now, as edited by change.
func (s *store) job(change func(*firjob.Job)) firjob.Job {
	s.t.Helper()
	s.made++
	job := firjob.NewJob()
	job.App, job.Name, job.Handler = app, fmt.Sprintf("made-%d", s.made), "report"
	job.Schedule = firjob.Schedule{Kind: firjob.ScheduleEvery, Interval: firjob.Duration(time.Second)}
	if change != nil {
		change(&job)
	}
	job, err := s.CreateJob(s.t.Context(), job)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.dueNow(job.ID)
}

// dueNow makes a job's next fire the present instant, whatever its schedule says.
func (s *store) dueNow(id firjob.JobID) firjob.Job {
	s.t.Helper()
	s.exec(`UPDATE jobs SET next_fire_at = date_trunc('milliseconds', now()) WHERE id = $1`, int32(id))
	job, _, err := s.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return job
}

// exec runs SQL that no method offers, to set a scene.
func (s *store) exec(sql string, args ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.t.Context()))
	if _, err := conn.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// query reads one row of SQL that no method offers.
func (s *store) query(sql string, into ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.t.Context()))
	if err := conn.QueryRow(s.t.Context(), sql).Scan(into...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

func (s *store) now() time.Time {
	s.t.Helper()
	now, err := s.Now(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return now.Truncate(time.Millisecond)
}

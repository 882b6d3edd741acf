package storage_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

const app = "billing"

var executor = firjob.ExecutorKey{App: app, Address: "10.0.0.7:9999", Incarnation: "one"}

// store is a database of the test's own.
type store struct {
	*storage.DB
	t   testing.TB
	url string
}

func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{t: t, url: stacktest.Database(t, storage.Migrate)}
	s.DB = s.open()
	if _, err := s.CreateApp(t.Context(), app, []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	return s
}

// open returns another handle on the database, as another server has.
func (s *store) open() *storage.DB {
	s.t.Helper()
	db, err := storage.Open(s.t.Context(), storage.Options{URL: s.url, MaxConns: 8})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(db.Close)
	return db
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

func (s *store) now() time.Time {
	s.t.Helper()
	now, err := s.Now(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return now.Truncate(time.Millisecond)
}

var jobNames = struct {
	sync.Mutex
	n int
}{}

// job makes a job of kind every, due now, as edited by change.
func (s *store) job(change func(*firjob.Job)) firjob.Job {
	s.t.Helper()
	jobNames.Lock()
	jobNames.n++
	n := jobNames.n
	jobNames.Unlock()
	job := firjob.NewJob()
	job.App, job.Name, job.Handler = app, fmt.Sprintf("job-%d", n), "report"
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

// plan records the fires of a job at the given instants, its next one being a
// minute from now.
func (s *store) plan(job firjob.Job, at ...time.Time) []firjob.ExecutionID {
	s.t.Helper()
	next := s.now().Add(time.Minute)
	due, err := s.PlanJobs(s.t.Context(), []firjob.JobID{job.ID}, time.Hour,
		func(time.Time, firjob.Job, time.Time) (ports.Plan, error) {
			return ports.Plan{Fires: at, Next: next}, nil
		})
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make([]firjob.ExecutionID, len(due))
	for i, d := range due {
		ids[i] = d.ID
	}
	return ids
}

// fire makes a job and one fire of it that is due now.
func (s *store) fire(change func(*firjob.Job)) (firjob.Job, firjob.ExecutionID) {
	s.t.Helper()
	job := s.job(change)
	ids := s.plan(job, s.now())
	if len(ids) != 1 {
		s.t.Fatalf("planned %d executions, want 1", len(ids))
	}
	return job, ids[0]
}

func claimBy(replica string) ports.ClaimBy {
	return ports.ClaimBy{Replica: replica, Lease: 30 * time.Second}
}

func (s *store) claim(ids ...firjob.ExecutionID) ports.ClaimResult {
	s.t.Helper()
	r, err := s.Claim(s.t.Context(), ids, claimBy("r1"))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// mustClaim claims one execution and returns its attempt.
func (s *store) mustClaim(id firjob.ExecutionID) firjob.AttemptRef {
	s.t.Helper()
	r := s.claim(id)
	if len(r.Claimed) != 1 {
		s.t.Fatalf("claim of %s: got %+v, state %+v; want it claimed", id, r, s.get(id))
	}
	return firjob.AttemptRef{ID: id, Token: r.Claimed[0].Trigger.Token}
}

func (s *store) get(id firjob.ExecutionID) firjob.Execution {
	s.t.Helper()
	e, err := s.Execution(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

func (s *store) wantState(id firjob.ExecutionID, want firjob.State) firjob.Execution {
	s.t.Helper()
	e := s.get(id)
	if e.State != want {
		s.t.Fatalf("execution %s is %s (%s), want %s", id, e.State, e.Reason, want)
	}
	return e
}

func (s *store) finish(a firjob.AttemptRef, outcome firjob.Outcome) (firjob.Receipt, ports.Followed) {
	s.t.Helper()
	r := firjob.Result{ID: a.ID, Token: a.Token, Outcome: outcome, StartedAt: s.now(), FinishedAt: s.now()}
	if outcome == firjob.OutcomeFailed {
		r.Error = "no paper"
	}
	got, err := s.Finish(s.t.Context(), []ports.FinishItem{{Executor: executor, Result: r}})
	if err != nil {
		s.t.Fatal(err)
	}
	return got.Receipts[0], got.Followed
}

func (s *store) wantReceipt(a firjob.AttemptRef, outcome firjob.Outcome, want firjob.Receipt) ports.Followed {
	s.t.Helper()
	receipt, followed := s.finish(a, outcome)
	if receipt != want {
		s.t.Fatalf("receipt for %s of %v: got %s, want %s; execution %+v", outcome, a, receipt, want, s.get(a.ID))
	}
	return followed
}

func wantCode(t *testing.T, err error, want firjob.Code) {
	t.Helper()
	if got := firjob.CodeOf(err); got != want {
		t.Fatalf("got the error %v of code %q, want code %q", err, got, want)
	}
}

func idsOf(due []firjob.Due) []firjob.ExecutionID {
	var ids []firjob.ExecutionID
	for _, d := range due {
		ids = append(ids, d.ID)
	}
	return ids
}

// together runs n functions at once and waits for them.
func together(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { fn(i) })
	}
	all.Wait()
}

func wantIDs(t *testing.T, what string, got []firjob.ExecutionID, want ...firjob.ExecutionID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
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

// lockExecutions holds a read lock on every partition until it is released.
func (s *store) lockExecutions() (release func()) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := conn.Exec(s.t.Context(), `BEGIN; SELECT count(*) FROM executions`); err != nil {
		s.t.Fatal(err)
	}
	return func() { _ = conn.Close(context.WithoutCancel(s.t.Context())) }
}

// awaitLockWait waits until a session of this database waits for a lock.
func (s *store) awaitLockWait() { s.t.Helper(); s.awaitLockWaits(1) }

// awaitLockWaits waits until n sessions do.
func (s *store) awaitLockWaits(n int) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		var waiting int
		s.query(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, &waiting)
		if waiting >= n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d sessions wait for a lock, want %d", waiting, n)
		}
	}
}

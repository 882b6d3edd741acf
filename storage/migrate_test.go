package storage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

func TestReplicasMigrateTogether(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(`DROP SCHEMA public CASCADE`)
	s.exec(`CREATE SCHEMA public`)
	wantCode(t, s.SchemaReady(t.Context()), firjob.CodeUnavailable)
	together(4, func(int) {
		if err := storage.Migrate(t.Context(), s.url); err != nil {
			t.Error(err)
		}
	})
	if err := s.open().Ready(t.Context()); err != nil {
		t.Errorf("after the migration: %v", err)
	}
	list, err := storage.MigrationStatus(t.Context(), s.url)
	if err != nil || len(list) == 0 {
		t.Fatalf("status: got %v, %v", list, err)
	}
	for _, m := range list {
		if m.AppliedAt.IsZero() || !strings.HasSuffix(m.Name, ".sql") {
			t.Errorf("status: got %+v", m)
		}
	}
}

// A build of an index that was interrupted leaves one of its name which serves
// nobody. The next attempt replaces it.
func TestMigrateReplacesWhatAnInterruptedBuildLeft(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(`DELETE FROM goose_db_version WHERE version_id >= 3`) // and what came after
	s.exec(`ALTER TABLE apps DROP COLUMN deleted_at`)
	s.exec(`DROP INDEX jobs_deleted`)
	s.exec(`CREATE INDEX jobs_deleted ON jobs (app, id) WHERE deleted_at IS NOT NULL`)
	s.exec(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobs_deleted'::regclass`)
	if err := storage.Migrate(t.Context(), s.url); err != nil {
		t.Fatal(err)
	}
	var valid bool
	s.query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'jobs_deleted'::regclass`, &valid)
	if !valid {
		t.Error("the index is still the one that the interrupted build left")
	}
}

func TestMigrationStatusOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(`DROP SCHEMA public CASCADE`)
	s.exec(`CREATE SCHEMA public`)
	list, err := storage.MigrationStatus(t.Context(), s.url)
	if err != nil || len(list) == 0 || !list[0].AppliedAt.IsZero() {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestPartitionsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job := s.job(nil)
	now := s.now()
	old := s.plan(job, now.AddDate(0, 0, -40))
	s.plan(job, now)
	if err := s.MaintainPartitions(t.Context(), 7, 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err := s.Execution(t.Context(), old[0])
	wantCode(t, err, firjob.CodeNotFound)
	var names string
	s.query(`SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'executions'::regclass`, &names)
	var want []string
	for d := -1; d <= 7; d++ {
		want = append(want, "executions_"+now.AddDate(0, 0, d).Format("20060102"))
	}
	if names != strings.Join(want, " ") {
		t.Errorf("partitions: got %s, want %s", names, want)
	}
	together(4, func(int) {
		if err := s.MaintainPartitions(t.Context(), 9, 30*24*time.Hour); err != nil {
			t.Error(err)
		}
	})
}

// A drop that cannot have its lock gives up, so that it blocks nobody for long,
// and keeps nothing else from being forgotten.
func TestDropDoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.plan(s.job(nil), s.now().AddDate(0, 0, -40))
	s.exec(`INSERT INTO executors (app, address, incarnation, version, capacity, queue, running, state, started_at, last_beat)
		VALUES ('a', '10.0.0.7:1', 'gone', 'v1', 1, 1, 0, 'active', now(), now() - interval '2 days')`)
	release := s.lockExecutions()
	wantCode(t, s.MaintainPartitions(t.Context(), 3, 30*24*time.Hour), firjob.CodeUnavailable)
	release()
	var executors int
	s.query(`SELECT count(*) FROM executors`, &executors)
	if executors != 0 {
		t.Errorf("%d old executors are still known", executors)
	}
	if err := s.MaintainPartitions(t.Context(), 3, 30*24*time.Hour); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if v, err := s.Setting(t.Context(), "shards"); err != nil || v != "" {
		t.Errorf("before: got %q, %v", v, err)
	}
	got := make([]string, 4)
	together(len(got), func(i int) {
		var err error
		if got[i], err = s.EnsureSetting(t.Context(), "shards", string(rune('1'+i))); err != nil {
			t.Error(err)
		}
	})
	for _, v := range got {
		if v != got[0] || v == "" {
			t.Errorf("writers got %q, want one value for all", got)
		}
	}
	if err := s.SetSetting(t.Context(), "shards", "64"); err != nil {
		t.Fatal(err)
	}
	if v, err := s.EnsureSetting(t.Context(), "shards", "8"); err != nil || v != "64" {
		t.Errorf("after: got %q, %v; want 64", v, err)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	url := "postgres://firjob:" + secret + "@127.0.0.1:1/firjob?connect_timeout=2"
	db, err := storage.Open(t.Context(), storage.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	_, claim := db.Claim(t.Context(), []firjob.ExecutionID{firjob.Fire(1, time.Now())}, claimBy("r"))
	_, _, list := db.Apps(t.Context(), ports.AppFilter{})
	_, malformed := storage.Open(t.Context(), storage.Options{URL: "postgres://firjob:" + secret + "@host:port:/%zz"})
	for what, err := range map[string]error{"claim": claim, "list": list, "ready": db.Ready(t.Context()), "migrate": storage.Migrate(t.Context(), url)} {
		if firjob.CodeOf(err) != firjob.CodeUnavailable {
			t.Errorf("%s: got %v of code %q, want unavailable", what, err, firjob.CodeOf(err))
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the password: %v", what, err)
		}
	}
	if malformed == nil || strings.Contains(malformed.Error(), secret) {
		t.Errorf("malformed URL: got %v", malformed)
	}
}

func TestServerThatStops(t *testing.T) {
	t.Parallel()
	pg := stacktest.Postgres(t)
	url := pg.URL("postgres")
	if err := storage.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), storage.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantCode(t, db.Ready(t.Context()), firjob.CodeUnavailable)
		_, err := db.Finish(t.Context(), []ports.FinishItem{{Executor: executor, Result: firjob.Result{
			ID: firjob.Fire(1, time.Now()), Token: 1, Outcome: firjob.OutcomeSucceeded}}})
		wantCode(t, err, firjob.CodeUnavailable)
	}
}

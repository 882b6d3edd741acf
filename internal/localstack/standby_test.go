package localstack

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// replicates makes the primary acknowledge nothing that its standby has not.
func replicates(t *testing.T, primary *Postgres) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "ALTER SYSTEM SET synchronous_standby_names = '*'"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby is a synchronous one", func() bool {
		state, err := query(t.Context(), primary, "SELECT sync_state FROM pg_stat_replication")
		return err == nil && state == "sync"
	})
}

func TestAStandbyTakesOverAndTheOldPrimaryComesBackAsStandby(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	options := func(name string, follow *Postgres) PostgresOptions {
		return PostgresOptions{Dir: filepath.Join(dir, name), Follow: follow}
	}
	first := startPostgres(t, options("first", nil))
	if !first.Binaries().CanFollow() {
		t.Skip("these binaries have no pg_basebackup")
	}
	second := startPostgres(t, options("second", first))
	replicates(t, first)
	wantQuery(t, first, write, "4711")
	if _, err := query(t.Context(), second, write); err == nil {
		t.Error("a standby takes writes")
	}
	if err := first.Promote(t.Context()); err == nil {
		t.Error("a primary was promoted")
	}

	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := second.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantQuery(t, second, read, "1")
	wantQuery(t, second, "SELECT lo_create(4712)::text", "4712")

	stopPostgres(t, first) // gives its folder back
	third := startPostgres(t, options("first", second))
	replicates(t, second)
	wantQuery(t, second, "SELECT lo_create(4713)::text", "4713")
	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := third.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantQuery(t, third, "SELECT count(*)::text FROM pg_largeobject_metadata WHERE oid BETWEEN 4711 AND 4713", "3")
}

package localstack

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func startPostgres(t *testing.T, opts PostgresOptions) *Postgres {
	t.Helper()
	pg, err := StartPostgres(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopPostgres(t, pg) })
	return pg
}

func stopPostgres(t *testing.T, pg *Postgres) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// query runs a statement that gives one text.
func query(ctx context.Context, pg *Postgres, statement string) (string, error) {
	conn, err := pgx.Connect(ctx, pg.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var text string
	err = conn.QueryRow(ctx, statement).Scan(&text)
	return text, err
}

func wantQuery(t *testing.T, pg *Postgres, statement, want string) {
	t.Helper()
	if got, err := query(t.Context(), pg, statement); err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %q", statement, got, err, want)
	}
}

const (
	write = "WITH made AS (SELECT set_config('a.b', 'x', false)) SELECT lo_create(4711)::text FROM made"
	read  = "SELECT count(*)::text FROM pg_largeobject_metadata WHERE oid = 4711"
)

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	opts := PostgresOptions{Dir: filepath.Join(openFolder(t), "new", "pg")}
	pg := startPostgres(t, opts)
	url := pg.URL("postgres")
	wantQuery(t, pg, write, "4711")

	if err := pg.Restart(t.Context()); err != nil {
		t.Fatalf("restart a running server: %v", err)
	}
	wantQuery(t, pg, read, "1")

	if err := pg.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := query(t.Context(), pg, read); err == nil {
		t.Error("a killed server still answers")
	}
	if err := pg.Restart(t.Context()); err != nil {
		t.Fatalf("restart a killed server: %v", err)
	}
	wantQuery(t, pg, read, "1")
	if got := pg.URL("postgres"); got != url {
		t.Errorf("URL after restarts: got %s, want %s", got, url)
	}

	stopPostgres(t, pg)
	if err := pg.Restart(t.Context()); err == nil {
		t.Error("a stopped server was restarted")
	}
	again := startPostgres(t, opts)
	wantQuery(t, again, read, "1")
}

func TestPostgresRunsUnprivileged(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t, PostgresOptions{Ephemeral: true})
	info, err := os.Stat("/proc/" + strconv.Itoa(pg.PID()))
	if err != nil {
		t.Skip("this system does not tell who owns a process")
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the postmaster runs as root")
	}
	socket, err := os.Stat(pg.socket)
	if err != nil || socket.Mode().Perm() != 0o700 {
		t.Errorf("mode of the socket's folder: got %v, %v; want 0700", socket.Mode().Perm(), err)
	}
	wantQuery(t, pg, "SHOW listen_addresses", "")
}

func TestEphemeralPostgresLeavesNothing(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t, PostgresOptions{Ephemeral: true, Settings: map[string]string{"max_connections": "17"}})
	wantQuery(t, pg, "SHOW max_connections", "17")
	wantQuery(t, pg, "SHOW fsync", "off")
	wantQuery(t, pg, "SHOW synchronous_commit", "on")
	if err := pg.Kill(); err != nil {
		t.Fatal(err)
	}
	stopPostgres(t, pg)
	if _, err := os.Stat(pg.folder.path); !os.IsNotExist(err) {
		t.Errorf("scratch folder after Stop: got %v, want it gone", err)
	}
}

func TestPausedPostgresHangs(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t, PostgresOptions{Ephemeral: true})
	conn, err := pgx.Connect(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := pg.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("a paused server answers on an open connection")
	}
	if err := pg.Resume(); err != nil {
		t.Fatal(err)
	}
	wantQuery(t, pg, "SELECT 'awake'", "awake")

	if err := pg.Pause(); err != nil {
		t.Fatal(err)
	}
	stopPostgres(t, pg) // a paused server can be stopped
}

func TestPostgresFolderHasOneOwner(t *testing.T) {
	t.Parallel()
	opts := PostgresOptions{Dir: filepath.Join(openFolder(t), "pg")}
	startPostgres(t, opts)
	_, err := StartPostgres(t.Context(), opts)
	if err == nil || !strings.Contains(err.Error(), "in use by another firjob process") {
		t.Errorf("second owner: got %v, want an error that says the folder is in use", err)
	}
}

func TestPostgresOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), "pg")
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "was written by PostgreSQL 9, but") {
		t.Errorf("got %v, want an error that names both versions", err)
	}
}

// A container counts its pids from 1 again, so the pid in a file left by a crash
// is often that of another program.
func TestPostgresClearsStalePidFile(t *testing.T) {
	t.Parallel()
	opts := PostgresOptions{Dir: filepath.Join(openFolder(t), "pg")}
	first := startPostgres(t, opts)
	stopPostgres(t, first)
	stale := strconv.Itoa(os.Getpid()) + "\n" + first.data() + "\n"
	if err := os.WriteFile(first.pidPath(), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	wantQuery(t, startPostgres(t, opts), "SELECT 'up'", "up")
}

func TestPostgresSaysItsLastWords(t *testing.T) {
	t.Parallel()
	_, err := StartPostgres(t.Context(), PostgresOptions{Ephemeral: true, Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v, want an error that repeats what postgres printed", err)
	}
}

package stacktest_test

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob/internal/localstack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

func migrate(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE notes (text text)")
	return err
}

func TestDatabasesAreMigratedAndPrivate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "b", "c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), stacktest.Database(t, migrate))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			var count int
			err = conn.QueryRow(t.Context(), "WITH added AS (INSERT INTO notes VALUES ('x') RETURNING 1) SELECT count(*) FROM notes").Scan(&count)
			if err != nil || count != 0 {
				t.Fatalf("rows before the first insert: got %d, %v; want 0", count, err)
			}
		})
	}
}

func TestDatabaseWithoutMigrationIsEmpty(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), stacktest.Database(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var exists bool
	err = conn.QueryRow(t.Context(), "SELECT to_regclass('notes') IS NOT NULL").Scan(&exists)
	if err != nil || exists {
		t.Fatalf("table of the migration exists: got %v, %v; want false", exists, err)
	}
}

func TestRedisClusterServesEverySlot(t *testing.T) {
	t.Parallel()
	addrs := stacktest.RedisCluster(t)
	if len(addrs) != 3 {
		t.Fatalf("addresses: got %q, want three", addrs)
	}
	cli := func(args ...string) string { return redisCLI(t, addrs[0], append([]string{"-c"}, args...)...) }
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		if got := cli("SET", key, "value-"+key); got != "OK" {
			t.Errorf("SET %s: got %q, want OK", key, got)
		}
		if got := cli("GET", key); got != "value-"+key {
			t.Errorf("GET %s: got %q, want %q", key, got, "value-"+key)
		}
	}
}

func TestRedisSentinelFailsOver(t *testing.T) {
	t.Parallel()
	rawURL, primary, replica := stacktest.RedisSentinel(t)
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(replica.Addr())
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got := redisCLI(t, u.Host, "SENTINEL", "get-master-addr-by-name", u.Query().Get("master"))
		if got == "127.0.0.1\n"+port {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("primary after the failover: got %q, want port %s", got, port)
		case <-tick.C:
		}
	}
}

func redisCLI(t *testing.T, addr string, args ...string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	cli := "redis-cli"
	if _, err := exec.LookPath(cli); err != nil {
		cli = "valkey-cli"
	}
	out, err := exec.CommandContext(t.Context(), cli, append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", cli, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

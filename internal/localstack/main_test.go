package localstack

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds what a test waits for on a busy machine.
const patience = time.Minute

func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCALSTACK_OWNER"); dir != "" {
		os.Exit(runOwner(dir))
	}
	goleak.VerifyTestMain(m)
}

// runOwner is the program that a test starts in order to kill it: it owns a
// Postgres with its data in dir and a Redis, tells their pids, and waits.
func runOwner(dir string) int {
	ctx := context.Background()
	pg, err := StartPostgres(ctx, PostgresOptions{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	redis, err := StartRedis(ctx, RedisOptions{Ephemeral: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("pids", pg.PID(), redis.PID(), redis.folder.path)
	select {}
}

// openFolder is a folder that the user to whom Postgres drops can enter, which
// t.TempDir is not.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "localstack-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eventually waits for something that only an outside process decides.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("after %v still not: %s", patience, what)
		case <-tick.C:
		}
	}
}

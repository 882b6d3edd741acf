package redisq_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
)

var block = regexp.MustCompile("(?m)^```sh\n(.*)\n```$")

// The lines that docs/redis-keys.md offers to copy work on a queue in use, and
// its least user can do all that a client does.
func TestDocumentedLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-cli"); err != nil {
		t.Skip("redis-cli is not installed")
	}
	server := stacktest.Redis(t)
	inUse(t, open(t, redisq.Options{URL: server.URL(), Shards: 16}))
	must(t, connect(t, server.URL()).ZIncrBy(t.Context(), "fj:beats:{billing}", -5000, "10.0.0.7:9999").Err())
	doc, err := os.ReadFile("../docs/redis-keys.md")
	must(t, err)
	_, port, _ := strings.Cut(server.Addr(), ":")
	lines := block.FindAllStringSubmatch(string(doc), -1)
	if len(lines) < 11 {
		t.Fatalf("found %d lines, want the user and ten more", len(lines))
	}
	for _, line := range lines {
		out := runShell(t, strings.ReplaceAll(line[1], "redis-cli", "redis-cli -p "+port))
		t.Logf("%s\n%s", line[1], out)
		if strings.TrimSpace(out) == "" || strings.Contains(out, "ERR") {
			t.Errorf("%s\nanswers %q", line[1], out)
		}
	}
	least := open(t, redisq.Options{URL: "redis://firjob:secret@" + server.Addr(), Shards: shards})
	for method, err := range every(t.Context(), least) {
		if err != nil {
			t.Errorf("%s as the least user: %v", method, err)
		}
	}
}

// inUse puts something into every key, so that no line answers nothing.
func inUse(t *testing.T, c *redisq.Client) {
	t.Helper()
	ctx := t.Context()
	const job = 42 // of shard 12
	at := time.Now().Add(-time.Minute)
	_, _, err := c.Epoch(ctx)
	must(t, err)
	must(t, c.Announce(ctx, []firjob.Due{{ID: firjob.NewExecutionID(job, at, firjob.KindManual, 1), At: at}}))
	_, err = c.Claim(ctx, []int{12}, 1, 0, -time.Hour)
	must(t, err)
	must(t, c.Announce(ctx, []firjob.Due{{ID: firjob.NewExecutionID(job, at, firjob.KindManual, 2), At: at}}))
	must(t, c.Beat(ctx, executor("billing", "10.0.0.7:9999", "a", at)))
	_, _, _, err = c.BeatReplica(ctx, "r1", time.Minute, time.Second)
	must(t, err)
	_, err = c.Turns(ctx, map[ports.Ring]int{{App: "billing"}: 1})
	must(t, err)
	_, err = c.Choose(ctx, choicesOf(job, "10.0.0.7:9999"))
	must(t, err)
}

// runShell runs a line, for a moment only if it does not end by itself.
func runShell(t *testing.T, line string) string {
	t.Helper()
	moment := instant
	if strings.Contains(line, "SUBSCRIBE") {
		moment, line = time.Second, "exec "+line // so that it is the one to be ended
	}
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", "exec 2>&1; "+line)
	shell.Dir = ".."
	shell.WaitDelay = 100 * time.Millisecond
	out, err := shell.Output()
	if err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

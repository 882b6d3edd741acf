package redisq_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/redisq"
)

const (
	shards  = 4
	instant = 10 * time.Second // no test waits longer for anything
)

// places are the kinds of server on which every contract must hold: each starts
// one and returns its URL.
func places() map[string]func(*testing.T) string {
	all := map[string]func(*testing.T) string{
		"redis":     func(t *testing.T) string { return stacktest.Redis(t).URL() },
		"cluster":   func(t *testing.T) string { return "redis+cluster://" + strings.Join(stacktest.RedisCluster(t), ",") },
		"miniredis": startMiniredis,
	}
	if binary, err := exec.LookPath("valkey-server"); err == nil {
		all["valkey"] = func(t *testing.T) string { return startBinary(t, binary).URL() }
	}
	return all
}

func startMiniredis(t *testing.T) string {
	t.Helper()
	m, err := localstack.StartMiniredis(context.WithoutCancel(t.Context()), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Errorf("stop miniredis: %v", err)
		}
	})
	return m.URL()
}

func startBinary(t *testing.T, binary string, args ...string) *localstack.Redis {
	t.Helper()
	r, err := localstack.StartRedis(t.Context(), localstack.RedisOptions{Binary: binary, Ephemeral: true, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Errorf("stop %s: %v", binary, err)
		}
	})
	return r
}

// harness is a client with a prefix of its own, and a bare connection to look
// behind it.
type harness struct {
	*redisq.Client
	raw    redis.UniversalClient
	url    string
	prefix string
	logged *logged
}

// everywhere runs each contract on each kind of server.
func everywhere(t *testing.T, contracts map[string]func(*testing.T, harness)) {
	t.Helper()
	for place, start := range places() {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			for name, contract := range contracts {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					contract(t, newHarness(t, url))
				})
			}
		})
	}
}

func newHarness(t testing.TB, url string) harness {
	t.Helper()
	h := harness{url: url, prefix: rand.Text(), logged: &logged{}}
	h.Client = open(t, redisq.Options{URL: url, Prefix: h.prefix, Shards: shards, Log: newLog(h.logged)})
	h.raw = connect(t, url)
	return h
}

func open(t testing.TB, o redisq.Options) *redisq.Client {
	t.Helper()
	c, err := redisq.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func connect(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	c := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: strings.Split(rest, ","), IsClusterMode: scheme == "redis+cluster",
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// logged is a place to log to.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func newLog(l *logged) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await polls a server until done, which may fail the test itself.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(instant)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for: %s", instant, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// jobOn returns a job whose executions are on the shard.
func jobOn(shard int) firjob.JobID {
	job := firjob.JobID(1)
	for job.Shard(shards) != shard {
		job++
	}
	return job
}

// dueIn returns an execution of a job on the shard that is due from now.
func dueIn(shard int, d time.Duration) firjob.Due {
	at := time.Now().Add(d).Truncate(time.Millisecond)
	return firjob.Due{ID: firjob.Fire(jobOn(shard), at), At: at}
}

func allShards() []int {
	list := make([]int, shards)
	for i := range list {
		list[i] = i
	}
	return list
}

func (h harness) key(format string) string { return h.prefix + ":" + format }

func (h harness) depth(t *testing.T) (due, leased int64) {
	t.Helper()
	dues, leases, err := h.Depth(t.Context())
	must(t, err)
	for i := range dues {
		due, leased = due+dues[i], leased+leases[i]
	}
	return due, leased
}

func (h harness) wantDepth(t *testing.T, due, leased int64) {
	t.Helper()
	if gotDue, gotLeased := h.depth(t); gotDue != due || gotLeased != leased {
		t.Errorf("depth: got %d due, %d leased; want %d, %d", gotDue, gotLeased, due, leased)
	}
}

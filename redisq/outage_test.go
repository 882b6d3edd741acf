package redisq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
)

// every calls each method once.
func every(ctx context.Context, c *redisq.Client) map[string]error {
	d := dueIn(0, -time.Second)
	e := executor("billing", "a:1", "a", time.Now())
	errs := map[string]error{
		"Announce":      c.Announce(ctx, []firjob.Due{d}),
		"Return":        c.Return(ctx, []firjob.Due{d}),
		"Ack":           c.Ack(ctx, []firjob.ExecutionID{d.ID}),
		"Beat":          c.Beat(ctx, e),
		"Leave":         c.Leave(ctx, e.Key()),
		"ForgetReplica": c.ForgetReplica(ctx, "r"),
		"Nudge":         c.Nudge(ctx, "billing"),
	}
	_, errs["Claim"] = c.Claim(ctx, allShards(), 1, 0, time.Minute)
	_, errs["Reap"] = c.Reap(ctx, allShards(), 1)
	_, _, errs["Epoch"] = c.Epoch(ctx)
	_, _, errs["Depth"] = c.Depth(ctx)
	_, errs["Executors"] = c.Executors(ctx, []string{"billing"}, time.Minute)
	_, _, _, errs["BeatReplica"] = c.BeatReplica(ctx, "r", time.Minute, time.Second)
	_, errs["Turns"] = c.Turns(ctx, map[ports.Ring]int{{App: "billing"}: 1, {App: "billing", Selector: "zone=eu"}: 1})
	_, errs["Choose"] = c.Choose(ctx, choicesOf(42, "a:1"))
	_, errs["Entries"] = c.Entries(ctx, 10)
	_, errs["Find"] = c.Find(ctx, []firjob.ExecutionID{d.ID})
	_, errs["Check"] = c.Check(ctx)
	_, errs["Now"] = c.Now(ctx)
	return errs
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	l.Close()

	for _, scheme := range []string{"redis", "redis+cluster"} {
		log := &logged{}
		c := open(t, redisq.Options{URL: scheme + "://user:s3cret@" + address, Shards: shards, Log: newLog(log)})
		if !strings.Contains(log.String(), address) {
			t.Errorf("%s: log %q does not name the address", scheme, log)
		}
		for method, err := range every(t.Context(), c) {
			if err == nil {
				t.Errorf("%s: %s: no error", scheme, method)
				continue
			}
			if !strings.Contains(err.Error(), address) || strings.Contains(err.Error()+log.String(), "s3cret") {
				t.Errorf("%s: %s: error %q, want the address and not the password", scheme, method, err)
			}
		}
		if c.IsStandIn(t.Context()) {
			t.Errorf("%s: a server that is away is taken for the stand-in", scheme)
		}
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	server := stacktest.Redis(t)
	must(t, connect(t, server.URL()).ConfigSet(t.Context(), "requirepass", "p/@ss:s3cret").Err())

	right := "redis://default:" + url.PathEscape("p/@ss:s3cret") + "@" + server.Addr() + "/0"
	client := open(t, redisq.Options{URL: right, Shards: shards})
	for method, err := range every(t.Context(), client) {
		if err != nil {
			t.Errorf("%s with the password: %v", method, err)
		}
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "p/@ss:s3cret"})
	defer admin.Close()
	must(t, admin.ConfigSet(t.Context(), "requirepass", "another").Err())
	must(t, admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err())
	for method, err := range every(t.Context(), client) {
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), server.Addr()) {
			t.Errorf("%s after the password was changed: %v", method, err)
		}
	}
}

// Redis that is away comes back; a wrong password does not become right.
func TestOpenRefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	server := stacktest.Redis(t)
	admin := connect(t, server.URL())
	must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">right", "~*", "+get").Err())
	must(t, admin.ConfigSet(t.Context(), "requirepass", "right").Err())
	for name, user := range map[string]string{
		"wrong password (WRONGPASS)": "default:s3cret@", "no password (NOAUTH)": "",
		"unknown user (WRONGPASS)": "nobody:s3cret@", "no rights (NOPERM)": "limited:right@",
	} {
		c, err := redisq.Open(t.Context(), redisq.Options{URL: "redis://" + user + server.Addr(), Shards: shards})
		if err == nil {
			c.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		text := err.Error()
		if firjob.CodeOf(err) != firjob.CodeInvalid || !strings.Contains(text, "FIRJOB_REDIS_URL") || !strings.Contains(text, server.Addr()) {
			t.Errorf("%s: got %v, want faulty settings that name the variable and the address", name, err)
		}
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestCancelledContextIsTold(t *testing.T) {
	t.Parallel()
	c := open(t, redisq.Options{URL: stacktest.Redis(t).URL(), Shards: shards})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, err := range every(ctx, c) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", method, err)
		}
	}
}

// An hour of Redis in a second: killed while in use, back empty, frozen, thawed,
// flushed.
func TestOutages(t *testing.T) {
	t.Parallel()
	server := stacktest.Redis(t)
	h := newHarness(t, server.URL())
	ctx := t.Context()
	wakes := h.wakes(t, ctx)
	first, _, err := h.Epoch(ctx)
	must(t, err)

	must(t, server.Kill())
	for method, err := range every(ctx, h.Client) {
		if err == nil {
			t.Errorf("%s while Redis is dead: no error", method)
		}
	}
	must(t, server.Restart(ctx))
	// The driver tries once a second whether a server that refused it is back.
	await(t, "the client to reconnect", func() bool { _, _, err := h.Depth(ctx); return err == nil })
	h.wantWhole(t)
	second, fresh, err := h.Epoch(ctx)
	if err != nil || !fresh || second == first {
		t.Errorf("epoch after an empty restart: %q, fresh %t, %v; want another that is fresh", second, fresh, err)
	}
	h.awaitSubscriber(t, 1)
	drain(wakes)
	d := dueIn(3, 0)
	must(t, h.Announce(ctx, []firjob.Due{d}))
	wantWake(t, wakes, d)

	must(t, server.Pause())
	started := time.Now()
	if _, err := h.Claim(ctx, allShards(), 1, 0, time.Minute); err == nil {
		t.Error("claim while Redis is frozen: no error")
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("claim while Redis is frozen took %v, want about a second", took)
	}
	must(t, server.Resume())
	must(t, h.raw.FlushAll(ctx).Err())
	must(t, h.raw.ScriptFlush(ctx).Err())
	h.wantWhole(t)
	if _, fresh, err := h.Epoch(ctx); err != nil || !fresh {
		t.Errorf("epoch after FLUSHALL: fresh %t, %v; want a fresh one", fresh, err)
	}
}

// wantWhole checks that everything works at once, without a further error.
func (h harness) wantWhole(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	d := dueIn(1, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{d}))
	got, err := h.Claim(ctx, allShards(), 1, 0, time.Minute)
	must(t, err)
	if !slices.Equal(got.IDs, []firjob.ExecutionID{d.ID}) {
		t.Errorf("claimed %v, want %v", got.IDs, d.ID)
	}
	must(t, h.Ack(ctx, got.IDs))
	must(t, h.Beat(ctx, executor("billing", "a:1", "a", time.Now())))
	if list := h.executors(t, "billing"); len(list) != 1 {
		t.Errorf("executors %v, want one", list)
	}
}

func drain(wakes <-chan ports.Wake) {
	for len(wakes) > 0 {
		<-wakes
	}
}

// One node of three away: the shards of the others go on, and the error says so.
func TestClusterNodeAway(t *testing.T) {
	t.Parallel()
	addrs := stacktest.RedisCluster(t)
	h := newHarness(t, "redis+cluster://"+strings.Join(addrs, ","))
	ctx := t.Context()
	victim, err := h.raw.(*redis.ClusterClient).MasterForKey(ctx, h.key("{s0}:due"))
	must(t, err)
	lost := 0
	for shard := range shards {
		must(t, h.Announce(ctx, []firjob.Due{dueIn(shard, -time.Second)}))
		owner, err := h.raw.(*redis.ClusterClient).MasterForKey(ctx, h.key(fmt.Sprintf("{s%d}:due", shard)))
		must(t, err)
		if owner.Options().Addr == victim.Options().Addr {
			lost++
		}
	}
	// It answers no client; the other nodes do not notice.
	must(t, victim.ClientPause(ctx, 10*time.Second).Err())
	got, err := h.Claim(ctx, allShards(), 1, 0, time.Minute)
	if err == nil {
		t.Error("claim with a node away: no error")
	}
	if lost == shards || len(got.IDs) != shards-lost {
		t.Errorf("claimed %d, want the %d of the other nodes", len(got.IDs), shards-lost)
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	sentinel, primary, _ := stacktest.RedisSentinel(t)
	c := open(t, redisq.Options{URL: sentinel, Shards: shards})
	ctx := t.Context()
	for method, err := range every(ctx, c) {
		if err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	must(t, primary.Kill())
	await(t, "the failover", func() bool { return c.Announce(ctx, []firjob.Due{dueIn(0, -time.Second)}) == nil })
	for method, err := range every(ctx, c) {
		if err != nil {
			t.Errorf("%s after the failover: %v", method, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for place, start := range places() {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			c := open(t, redisq.Options{URL: start(t), Shards: shards})
			servers, err := c.Check(t.Context())
			must(t, err)
			want := map[string]int{"cluster": 3}[place]
			if len(servers) != max(want, 1) {
				t.Errorf("%d servers, want %d: %+v", len(servers), max(want, 1), servers)
			}
			for _, s := range servers {
				if s.Address == "" || s.Software == "" || s.Version == "" || s.Mode == "" {
					t.Errorf("a field is empty: %+v", s)
				}
				if place != "miniredis" && s.Eviction != "noeviction" {
					t.Errorf("eviction %q, want noeviction", s.Eviction)
				}
			}
			if got := c.IsStandIn(t.Context()); got != (place == "miniredis") {
				t.Errorf("IsStandIn = %t on %s", got, place)
			}
		})
	}
}

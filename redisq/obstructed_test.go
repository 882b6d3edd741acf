package redisq_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/redisq"
)

func TestKeysOfAnotherType(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"are removed by whoever meets them": obstructedKeys,
		"keep nothing from being claimed":   obstructedClaim,
	})
}

// Each call that meets a key of ours with another type in it removes that key,
// says so once and does its work.
func obstructedKeys(t *testing.T, h harness) {
	ctx := t.Context()
	d := dueIn(0, -time.Second)
	e := executor("billing", "a:1", "a", time.Now())
	tests := []struct {
		name, key string
		call      func() error
	}{
		{"Announce", "{s0}:due", func() error { return h.Announce(ctx, []firjob.Due{d}) }},
		{"Return", "{s0}:lease", func() error { return h.Return(ctx, []firjob.Due{d}) }},
		{"Ack", "{s0}:lease", func() error { return h.Ack(ctx, []firjob.ExecutionID{d.ID}) }},
		{"Reap", "{s0}:lease", func() error { _, err := h.Reap(ctx, allShards(), 1); return err }},
		{"Claim", "{s0}:due", func() error { _, err := h.Claim(ctx, allShards(), 1, 0, time.Minute); return err }},
		{"Depth", "{s0}:lease", func() error { _, _, err := h.Depth(ctx); return err }},
		{"Beat", "executor:{billing}:a:1", func() error { return h.Beat(ctx, e) }},
		{"Beat of the app", "beats:{billing}", func() error { return h.Beat(ctx, e) }},
		{"Executors", "executor:{billing}:a:1", func() error { _, err := h.Executors(ctx, []string{"billing"}, time.Minute); return err }},
		{"Executors of the app", "beats:{billing}", func() error { _, err := h.Executors(ctx, []string{"billing"}, time.Minute); return err }},
		{"Leave", "executor:{billing}:a:1", func() error { return h.Leave(ctx, e.Key()) }},
		{"BeatReplica", "replicas", func() error { _, _, _, err := h.BeatReplica(ctx, "r", time.Minute, time.Second); return err }},
		{"ForgetReplica", "replicas", func() error { return h.ForgetReplica(ctx, "r") }},
		{"Epoch", "meta", func() error { _, _, err := h.Epoch(ctx); return err }},
		{"Choose by lru", "lru:{billing}:42", func() error { _, err := h.Choose(ctx, choicesOf(42, "a:1")[:1]); return err }},
		{"Choose by lfu", "lfu:{billing}:42", func() error { _, err := h.Choose(ctx, choicesOf(42, "a:1")[1:2]); return err }},
	}
	for i, tt := range tests {
		key := h.key(tt.key)
		must(t, h.raw.Set(ctx, key, "x", 0).Err())
		if err := tt.call(); err != nil {
			t.Errorf("%s with a text at %s: %v", tt.name, key, err)
		}
		if got := h.raw.Type(ctx, key).Val(); got == "string" {
			t.Errorf("%s left the text at %s", tt.name, key)
		}
		log := h.logged.String()
		if got := strings.Count(log, "removed a key of ours"); got != i+1 || !strings.Contains(log, "key="+key+" found=string wanted=") {
			t.Fatalf("%s: %d keys are said to be removed, want %d, the last one %s:\n%s", tt.name, got, i+1, key, log)
		}
	}
}

// What was due is claimed although the place of the leases was taken, and what
// was lost with the place of the due can be announced again.
func obstructedClaim(t *testing.T, h harness) {
	ctx := t.Context()
	d := dueIn(0, -time.Second)
	must(t, h.raw.Set(ctx, h.key("{s0}:due"), "x", 0).Err())
	must(t, h.raw.LPush(ctx, h.key("{s0}:lease"), "x").Err())
	must(t, h.Announce(ctx, []firjob.Due{d}))
	h.wantDepth(t, 1, 0)
	batch, err := h.Claim(ctx, allShards(), 10, 0, time.Minute)
	must(t, err)
	if len(batch.IDs) != 1 || batch.IDs[0] != d.ID {
		t.Errorf("claimed %v, want %v", batch.IDs, d.ID)
	}
	h.wantDepth(t, 0, 1)
}

// A user without the right to remove the key says once what is to be done.
func TestKeyOfAnotherTypeThatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := stacktest.Redis(t)
	raw := connect(t, server.URL())
	must(t, raw.Do(ctx, "ACL", "SETUSER", "meek", "on", ">secret", "~*", "&*", "+@all", "-del").Err())
	must(t, raw.Set(ctx, "fj:replicas", "x", 0).Err())
	log := &logged{}
	c := open(t, redisq.Options{URL: "redis://meek:secret@" + server.Addr(), Shards: shards, Log: newLog(log)})
	for range 3 {
		if _, _, _, err := c.BeatReplica(ctx, "r", time.Minute, time.Second); !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Errorf("beat: error %v, want WRONGTYPE", err)
		}
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "DEL it, or RENAME it") || !strings.Contains(text, "key=fj:replicas") {
		t.Errorf("logged %q, want one line with the key and what to do", text)
	}
}

package redisq_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"entries of both sets":    entriesOfBoth,
		"entries of a long queue": entriesOfMany,
		"find what is there":      findThere,
		"strangers are counted":   strangersCounted,
		"strays":                  straysFound,
		"replicas that live":      replicasCounted,
	})
}

func entriesOfBoth(t *testing.T, h harness) {
	ctx := t.Context()
	past, leased, future := dueIn(0, -time.Minute), dueIn(1, -time.Minute), dueIn(2, time.Minute)
	must(t, h.Announce(ctx, []firjob.Due{leased}))
	_, err := h.Claim(ctx, []int{1}, 10, 0, 2*time.Minute)
	must(t, err)
	must(t, h.Announce(ctx, []firjob.Due{past, future}))
	must(t, h.raw.ZAdd(ctx, h.key("{s3}:due"), redis.Z{Member: "a stranger"}).Err())

	got, err := h.Entries(ctx, 10)
	must(t, err)
	if len(got) != 3 {
		t.Fatalf("got %+v, want three entries", got)
	}
	for _, e := range got {
		want := map[firjob.ExecutionID]time.Duration{past.ID: time.Minute, leased.ID: -2 * time.Minute, future.ID: -time.Minute}[e.ID]
		if (e.Leased != (e.ID == leased.ID)) || (e.Past-want).Abs() > instant {
			t.Errorf("entry %+v, want it past by about %v", e, want)
		}
	}
	if n := h.raw.ZCard(ctx, h.key("{s3}:due")).Val(); n != 1 {
		t.Errorf("looking has changed the queue: %d members", n)
	}
}

// Of a long queue the earliest are in every look, and others in turn.
func entriesOfMany(t *testing.T, h harness) {
	var due []firjob.Due
	for i := range 100 {
		due = append(due, dueIn(0, time.Hour+time.Duration(i)*time.Second))
	}
	must(t, h.Announce(t.Context(), due))
	seen := map[firjob.ExecutionID]bool{}
	await(t, "a look at every entry", func() bool {
		got, err := h.Entries(t.Context(), 5)
		must(t, err)
		if len(got) < 6 || len(got) > 10 || !slices.ContainsFunc(got, func(e ports.IndexEntry) bool { return e.ID == due[0].ID }) {
			t.Fatalf("got %d entries, want 6 to 10 and the earliest among them", len(got))
		}
		for _, e := range got {
			seen[e.ID] = true
		}
		return len(seen) == len(due)
	})
}

func findThere(t *testing.T, h harness) {
	ctx := t.Context()
	due, leased, absent := dueIn(0, time.Minute), dueIn(1, -time.Minute), dueIn(0, 2*time.Minute)
	must(t, h.Announce(ctx, []firjob.Due{leased}))
	_, err := h.Claim(ctx, []int{1}, 10, 0, 2*time.Minute)
	must(t, err)
	must(t, h.Announce(ctx, []firjob.Due{due}))
	got, err := h.Find(ctx, []firjob.ExecutionID{due.ID, leased.ID, absent.ID})
	must(t, err)
	found := map[firjob.ExecutionID]bool{}
	for _, e := range got {
		found[e.ID] = e.Leased
	}
	if diff := cmp.Diff(map[firjob.ExecutionID]bool{due.ID: false, leased.ID: true}, found); diff != "" {
		t.Errorf("found, and whether leased (-want +got):\n%s", diff)
	}
	if got, err := h.Find(ctx, nil); err != nil || got != nil {
		t.Errorf("find none: %v, %v", got, err)
	}
}

func strangersCounted(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.raw.ZAdd(ctx, h.key("{s0}:due"), redis.Z{Member: "one"}, redis.Z{Member: "two"}).Err())
	_, err := h.Claim(ctx, []int{0}, 10, 0, time.Minute)
	must(t, err)
	if got := h.Removed(); got != 2 {
		t.Errorf("removed %d, want 2", got)
	}
}

func straysFound(t *testing.T, h harness) {
	ctx := t.Context()
	other := redisq.Options{URL: h.url, Prefix: h.prefix, Shards: 16}
	inUse(t, open(t, other))
	ours, _, all, err := h.Strays(ctx, 16, []string{"billing"}, 1000)
	must(t, err)
	if len(ours) != 0 || !all {
		t.Fatalf("of a queue in use: %+v, all %t; want no strays among all", ours, all)
	}
	for _, key := range []string{"{s0}:due2", "{s07}:due", "{sx}:lease", "extra", "beats:{billing"} {
		must(t, h.raw.Set(ctx, h.key(key), "x", 0).Err())
	}
	found, seen, all, err := h.Strays(ctx, 2, []string{"another"}, 1000)
	must(t, err)
	count := map[string]int{}
	for _, s := range found {
		count[s.Why] = s.Count
		if !strings.HasPrefix(s.First, h.prefix) {
			t.Errorf("example %q, want a key", s.First)
		}
	}
	// due and lease of one shard; beats, executor, turn, lru, lfu and sticky of billing.
	want := map[string]int{"no such shard": 2, "no such app": 6, "no key of ours": 5}
	if diff := cmp.Diff(want, count); diff != "" || !all || seen != 15 {
		t.Errorf("strays of %d keys, all %t (-want +got):\n%s", seen, all, diff)
	}
	if _, _, all, err := h.Strays(ctx, 2, nil, 1); err != nil || all {
		t.Errorf("up to one key: all %t, %v; want not all", all, err)
	}
}

func replicasCounted(t *testing.T, h harness) {
	for _, replica := range []string{"r1", "r2"} {
		_, _, _, err := h.BeatReplica(t.Context(), replica, time.Minute, time.Second)
		must(t, err)
	}
	must(t, h.raw.ZAdd(t.Context(), h.key("replicas"), redis.Z{Member: "old", Score: 1}).Err())
	if got, err := h.Replicas(t.Context(), time.Minute); err != nil || got != 2 {
		t.Errorf("got %d, %v; want 2 replicas", got, err)
	}
}

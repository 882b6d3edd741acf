package redisq_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/redisq"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"claim takes what is due, earliest first": claimTakesDue,
		"claim takes n and says that it is full":  claimTakesN,
		"claim of an empty queue":                 claimEmpty,
		"claim within the lead":                   claimWithinLead,
		"announce moves, from a lease, too":       announceMoves,
		"announce and claim by the thousands":     announceThousands,
		"ack ends leases only":                    ackEndsLeases,
		"return puts back":                        returnPutsBack,
		"return keeps the earlier time":           returnKeepsEarlier,
		"reap takes ended leases":                 reapTakesEnded,
		"lease counts from the due time":          leaseFromDue,
		"strangers are removed":                   strangersRemoved,
		"absurd scores do no harm":                absurdScores,
		"prefixes do not meet":                    prefixesApart,
		"nothing to do is no error":               nothingToDo,
		"a shard beyond the last is refused":      shardRefused,
		"epoch":                                   epochOnce,
		"epoch of other shards":                   epochOfShards,
	})
}

func claimTakesDue(t *testing.T, h harness) {
	ctx := t.Context()
	late, later, future := dueIn(1, -2*time.Second), dueIn(1, -time.Second), dueIn(1, time.Hour)
	must(t, h.Announce(ctx, []firjob.Due{future, later, late}))

	got, err := h.Claim(ctx, allShards(), 10, 0, time.Minute)
	must(t, err)
	if diff := cmp.Diff([]firjob.ExecutionID{late.ID, later.ID}, got.IDs); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	if got.Full {
		t.Error("Full although no more are due")
	}
	if got.Next > time.Hour || got.Next < time.Hour-instant {
		t.Errorf("Next = %v, want just under 1h", got.Next)
	}
	if at := got.Now.Add(got.Next); at.Sub(future.At).Abs() > instant {
		t.Errorf("Now + Next = %v, want the next head's %v", at, future.At)
	}
	h.wantDepth(t, 1, 2)
}

func claimTakesN(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.Announce(ctx, []firjob.Due{dueIn(0, -3*time.Second), dueIn(0, -2*time.Second), dueIn(0, -time.Second)}))
	got, err := h.Claim(ctx, []int{0}, 2, 0, time.Minute)
	must(t, err)
	if len(got.IDs) != 2 || !got.Full || got.Next != 0 {
		t.Errorf("first claim: %d ids, full %t, next %v; want 2, true, 0s", len(got.IDs), got.Full, got.Next)
	}
	got, err = h.Claim(ctx, []int{0}, 2, 0, time.Minute)
	must(t, err)
	if len(got.IDs) != 1 || got.Full || got.Next >= 0 {
		t.Errorf("second claim: %d ids, full %t, next %v; want 1, false, none", len(got.IDs), got.Full, got.Next)
	}
}

func claimEmpty(t *testing.T, h harness) {
	got, err := h.Claim(t.Context(), allShards(), 10, time.Hour, time.Minute)
	must(t, err)
	if len(got.IDs) != 0 || got.Full || got.Next >= 0 {
		t.Errorf("got %+v, want no ids, not full, no next", got)
	}
}

func claimWithinLead(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.Announce(ctx, []firjob.Due{dueIn(2, time.Minute), dueIn(3, 3*time.Minute)}))
	got, err := h.Claim(ctx, allShards(), 10, 2*time.Minute, time.Minute)
	must(t, err)
	if len(got.IDs) != 1 || got.IDs[0].Job() != jobOn(2) {
		t.Errorf("claimed %v, want only the one that is due in a minute", got.IDs)
	}
}

func announceMoves(t *testing.T, h harness) {
	ctx := t.Context()
	d := dueIn(0, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{d}))
	_, err := h.Claim(ctx, []int{0}, 1, 0, time.Minute)
	must(t, err)
	h.wantDepth(t, 0, 1)

	must(t, h.Announce(ctx, []firjob.Due{{ID: d.ID, At: time.Now().Add(time.Hour)}}))
	h.wantDepth(t, 1, 0)
	must(t, h.Announce(ctx, []firjob.Due{{ID: d.ID, At: time.Now().Add(2 * time.Hour)}, {ID: d.ID, At: time.Now().Add(-time.Hour)}}))
	h.wantDepth(t, 1, 0)
	got, err := h.Claim(ctx, []int{0}, 1, 0, time.Minute)
	must(t, err)
	if !slices.Equal(got.IDs, []firjob.ExecutionID{d.ID}) {
		t.Errorf("claimed %v, want %v by the last time that was announced", got.IDs, d.ID)
	}
}

func announceThousands(t *testing.T, h harness) {
	ctx := t.Context()
	const count = 1100 // of one shard: more than two scripts take
	at := time.Now().Add(-time.Minute)
	due := make([]firjob.Due, count)
	for i := range due {
		due[i] = firjob.Due{ID: firjob.NewExecutionID(jobOn(0), at, firjob.KindManual, uint32(i)), At: at}
	}
	must(t, h.Announce(ctx, due))

	seen := map[firjob.ExecutionID]bool{}
	for range count { // far more than it may take
		got, err := h.Claim(ctx, allShards(), 10_000, 0, time.Minute)
		must(t, err)
		for _, id := range got.IDs {
			seen[id] = true
		}
		if len(got.IDs) > 512 {
			t.Fatalf("one claim took %d, more than the cap", len(got.IDs))
		}
		if !got.Full {
			break
		}
	}
	if len(seen) != count {
		t.Errorf("claimed %d different ids, want %d", len(seen), count)
	}
	ids := make([]firjob.ExecutionID, 0, count)
	for id := range seen {
		ids = append(ids, id)
	}
	must(t, h.Ack(ctx, ids))
	h.wantDepth(t, 0, 0)
}

func ackEndsLeases(t *testing.T, h harness) {
	ctx := t.Context()
	gone, again := dueIn(0, -2*time.Second), dueIn(0, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{gone, again}))
	_, err := h.Claim(ctx, []int{0}, 2, 0, time.Minute)
	must(t, err)
	must(t, h.Announce(ctx, []firjob.Due{{ID: again.ID, At: time.Now().Add(time.Hour)}}))

	must(t, h.Ack(ctx, []firjob.ExecutionID{gone.ID, again.ID}))
	h.wantDepth(t, 1, 0)
	must(t, h.Ack(ctx, []firjob.ExecutionID{gone.ID}))
}

func returnPutsBack(t *testing.T, h harness) {
	ctx := t.Context()
	leased, lost := dueIn(1, -time.Second), dueIn(2, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{leased}))
	_, err := h.Claim(ctx, allShards(), 2, 0, time.Minute)
	must(t, err)

	must(t, h.Return(ctx, []firjob.Due{leased, lost}))
	h.wantDepth(t, 2, 0)
	got, err := h.Claim(ctx, allShards(), 2, 0, time.Minute)
	must(t, err)
	if len(got.IDs) != 2 {
		t.Errorf("claimed %v after Return, want both", got.IDs)
	}
}

func returnKeepsEarlier(t *testing.T, h harness) {
	ctx := t.Context()
	d := dueIn(0, time.Minute)
	must(t, h.Announce(ctx, []firjob.Due{d}))
	must(t, h.Return(ctx, []firjob.Due{{ID: d.ID, At: d.At.Add(time.Hour)}}))
	if got := h.raw.ZScore(ctx, h.key("{s0}:due"), d.ID.String()).Val(); got != float64(d.At.UnixMilli()) {
		t.Errorf("a later Return moved the due time to %.0f, want %d", got, d.At.UnixMilli())
	}
	must(t, h.Return(ctx, []firjob.Due{{ID: d.ID, At: d.At.Add(-time.Hour)}}))
	if got := h.raw.ZScore(ctx, h.key("{s0}:due"), d.ID.String()).Val(); got != float64(d.At.Add(-time.Hour).UnixMilli()) {
		t.Errorf("an earlier Return left the due time at %.0f", got)
	}
}

func reapTakesEnded(t *testing.T, h harness) {
	ctx := t.Context()
	short, long := dueIn(0, -2*time.Second), dueIn(1, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{short, long}))
	_, err := h.Claim(ctx, []int{0}, 1, 0, 0)
	must(t, err)
	_, err = h.Claim(ctx, []int{1}, 1, 0, time.Minute)
	must(t, err)

	reaped := 0
	await(t, "the short lease to be reaped", func() bool {
		n, err := h.Reap(ctx, allShards(), 10)
		must(t, err)
		reaped += n
		return reaped > 0
	})
	if reaped != 1 {
		t.Errorf("reaped %d, want 1", reaped)
	}
	h.wantDepth(t, 1, 1)
	got, err := h.Claim(ctx, allShards(), 10, 0, time.Minute)
	must(t, err)
	if !slices.Equal(got.IDs, []firjob.ExecutionID{short.ID}) {
		t.Errorf("claimed %v after Reap, want %v at once", got.IDs, short.ID)
	}
}

func leaseFromDue(t *testing.T, h harness) {
	ctx := t.Context()
	early, late := dueIn(0, time.Hour), dueIn(0, -time.Hour)
	must(t, h.Announce(ctx, []firjob.Due{early, late}))
	from := time.Now().Truncate(time.Millisecond)
	_, err := h.Claim(ctx, []int{0}, 2, 2*time.Hour, time.Minute)
	must(t, err)
	until := time.Now()

	ends := map[string]float64{}
	for _, z := range h.raw.ZRangeWithScores(ctx, h.key("{s0}:lease"), 0, -1).Val() {
		ends[z.Member.(string)] = z.Score
	}
	if got, want := ends[early.ID.String()], float64(early.At.Add(time.Minute).UnixMilli()); got != want {
		t.Errorf("lease of one claimed early ends at %.0f, want %.0f: its due time and a minute", got, want)
	}
	got := time.UnixMilli(int64(ends[late.ID.String()])).Add(-time.Minute)
	if got.Before(from) || got.After(until) {
		t.Errorf("lease of one claimed late counts from %v, want from the claim, %v to %v", got, from, until)
	}
}

func strangersRemoved(t *testing.T, h harness) {
	ctx := t.Context()
	real, misplaced := dueIn(0, -time.Second), dueIn(1, -time.Second)
	must(t, h.Announce(ctx, []firjob.Due{real}))
	for _, member := range []string{"", "no id", strings.Repeat("x", 10_000), misplaced.ID.String(), strings.ToUpper(real.ID.String()) + " "} {
		must(t, h.raw.ZAdd(ctx, h.key("{s0}:due"), redis.Z{Score: 1, Member: member}).Err())
	}
	got, err := h.Claim(ctx, []int{0}, 100, 0, time.Minute)
	must(t, err)
	if !slices.Equal(got.IDs, []firjob.ExecutionID{real.ID}) {
		t.Errorf("claimed %v, want %v", got.IDs, real.ID)
	}
	h.wantDepth(t, 0, 1)
	if _, err := h.Claim(ctx, []int{0}, 100, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	log := h.logged.String()
	if strings.Count(log, "removed members") != 1 || !strings.Contains(log, "count=5") || len(log) > 500 {
		t.Errorf("want one short line that counts 5, got %d bytes: %.500s", len(log), log)
	}
}

func absurdScores(t *testing.T, h harness) {
	ctx := t.Context()
	for i, score := range []string{"-inf", "+inf", "-5", "1e300", "1.5"} {
		id := firjob.NewExecutionID(jobOn(0), time.UnixMilli(0), firjob.KindManual, uint32(i))
		must(t, h.raw.Do(ctx, "ZADD", h.key("{s0}:due"), score, id.String()).Err())
	}
	got, err := h.Claim(ctx, []int{0}, 100, 0, time.Minute)
	must(t, err)
	if len(got.IDs) != 3 || got.Full || got.Next < 24*time.Hour {
		t.Errorf("got %+v, want the 3 that are past and a next far away", got)
	}
	if got := h.raw.ZCount(ctx, h.key("{s0}:lease"), "(0", "+inf").Val(); got != 3 {
		t.Errorf("%d of 3 leases end after the epoch", got)
	}
}

func prefixesApart(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.Announce(ctx, []firjob.Due{dueIn(0, -time.Second)}))
	other := open(t, redisq.Options{URL: h.url, Prefix: h.prefix + "x", Shards: shards})
	got, err := other.Claim(ctx, allShards(), 10, 0, time.Minute)
	must(t, err)
	if len(got.IDs) != 0 {
		t.Errorf("claimed %v of another prefix", got.IDs)
	}
}

func nothingToDo(t *testing.T, h harness) {
	ctx := t.Context()
	must(t, h.Announce(ctx, nil))
	must(t, h.Return(ctx, nil))
	must(t, h.Ack(ctx, nil))
	if _, err := h.Claim(ctx, nil, 1, 0, 0); err != nil {
		t.Errorf("claim of no shard: %v", err)
	}
	if n, err := h.Reap(ctx, nil, 1); n != 0 || err != nil {
		t.Errorf("reap of no shard: %d, %v", n, err)
	}
	if list, err := h.Executors(ctx, nil, time.Minute); len(list) != 0 || err != nil {
		t.Errorf("executors of no app: %v, %v", list, err)
	}
}

func shardRefused(t *testing.T, h harness) {
	for _, shard := range []int{-1, shards} {
		if _, err := h.Claim(t.Context(), []int{shard}, 1, 0, 0); err == nil {
			t.Errorf("claim of shard %d of %d: no error", shard, shards)
		}
	}
}

func epochOnce(t *testing.T, h harness) {
	ctx := t.Context()
	first, fresh, err := h.Epoch(ctx)
	must(t, err)
	if !fresh || first == "" {
		t.Errorf("first epoch: %q, fresh %t; want one that is fresh", first, fresh)
	}
	again, fresh, err := h.Epoch(ctx)
	must(t, err)
	if fresh || again != first {
		t.Errorf("second call: %q, fresh %t; want %q, which is not", again, fresh, first)
	}
	meta := h.raw.HGetAll(ctx, h.key("meta")).Val()
	if diff := cmp.Diff(map[string]string{"epoch": first, "schema": "1", "shards": "4"}, meta); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	must(t, h.raw.Del(ctx, h.key("meta")).Err())
	if other, fresh, err := h.Epoch(ctx); err != nil || !fresh || other == first {
		t.Errorf("after it was lost: %q, fresh %t, %v; want another that is fresh", other, fresh, err)
	}
}

func epochOfShards(t *testing.T, h harness) {
	ctx := t.Context()
	first, _, err := h.Epoch(ctx)
	must(t, err)
	more := open(t, redisq.Options{URL: h.url, Prefix: h.prefix, Shards: 2 * shards})
	if other, fresh, err := more.Epoch(ctx); err != nil || !fresh || other == first {
		t.Errorf("with more shards: %q, fresh %t, %v; want another that is fresh", other, fresh, err)
	}
}

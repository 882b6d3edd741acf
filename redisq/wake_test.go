package redisq_test

import (
	"context"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
)

func TestWakes(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"an earlier head wakes":           earlierWakes,
		"return and reap wake":            returnAndReapWake,
		"strange signals are ignored":     strangeSignals,
		"a full channel loses signals":    fullChannel,
		"the channel closes with its ctx": closesWithContext,
		"the channel closes with Close":   closesWithClient,
	})
}

// wakes subscribes and waits until Redis knows it.
func (h harness) wakes(t *testing.T, ctx context.Context) <-chan ports.Wake {
	t.Helper()
	ch := h.Wakes(ctx)
	h.awaitSubscriber(t, 1)
	return ch
}

func (h harness) awaitSubscriber(t *testing.T, want int64) {
	t.Helper()
	await(t, "the subscription", func() bool { return h.subscribers(t) == want })
}

// subscribers counts them by publishing a signal that is ignored.
func (h harness) subscribers(t *testing.T) int64 {
	t.Helper()
	n, err := h.raw.Publish(t.Context(), h.key("wake"), "are you there").Result()
	must(t, err)
	return n
}

func wantWake(t *testing.T, ch <-chan ports.Wake, want firjob.Due) {
	t.Helper()
	select {
	case got, open := <-ch:
		if !open {
			t.Fatal("the channel is closed")
		}
		if got.Shard != want.ID.Job().Shard(shards) || !got.At.Equal(want.At) {
			t.Errorf("woken for shard %d at %v, want shard %d at %v", got.Shard, got.At, want.ID.Job().Shard(shards), want.At)
		}
	case <-time.After(instant):
		t.Fatalf("no wake-up for %v", want)
	}
}

func earlierWakes(t *testing.T, h harness) {
	ctx := t.Context()
	ch := h.wakes(t, ctx)
	first, earlier, later := dueIn(0, time.Hour), dueIn(0, time.Minute), dueIn(0, 2*time.Hour)
	other := dueIn(1, time.Hour)
	must(t, h.Announce(ctx, []firjob.Due{later, first}))
	wantWake(t, ch, first)
	must(t, h.Announce(ctx, []firjob.Due{later, first}))
	must(t, h.Announce(ctx, []firjob.Due{earlier}))
	wantWake(t, ch, earlier)
	must(t, h.Announce(ctx, []firjob.Due{other}))
	wantWake(t, ch, other)
	if len(ch) != 0 {
		t.Errorf("%d more signals than heads that became earlier", len(ch))
	}
}

func returnAndReapWake(t *testing.T, h harness) {
	ctx := t.Context()
	ch := h.wakes(t, ctx)
	d := dueIn(2, -time.Minute)
	must(t, h.Announce(ctx, []firjob.Due{d}))
	wantWake(t, ch, d) // a cluster's nodes pass signals on late: one sent before the subscription may still come
	_, err := h.Claim(ctx, []int{2}, 1, 0, 0)
	must(t, err)
	back := firjob.Due{ID: d.ID, At: d.At.Add(time.Second)}
	must(t, h.Return(ctx, []firjob.Due{back}))
	wantWake(t, ch, back)

	_, err = h.Claim(ctx, []int{2}, 1, 0, 0)
	must(t, err)
	await(t, "the lease to be reaped", func() bool {
		n, err := h.Reap(ctx, []int{2}, 1)
		must(t, err)
		return n == 1
	})
	select {
	case got := <-ch:
		if got.Shard != 2 || got.At.After(time.Now()) {
			t.Errorf("reap woke %+v, want shard 2, due already", got)
		}
	case <-time.After(instant):
		t.Error("reap did not wake")
	}
}

func strangeSignals(t *testing.T, h harness) {
	ctx := t.Context()
	ch := h.wakes(t, ctx)
	for _, payload := range []string{"", "1", "x y", "-1 5", "4 5", "1 5 6", "99999999999999999999 1"} {
		must(t, h.raw.Publish(ctx, h.key("wake"), payload).Err())
	}
	must(t, h.raw.Publish(ctx, h.key("wake"), "3 1732255200000").Err())
	want := firjob.Due{ID: dueIn(3, 0).ID, At: time.UnixMilli(1732255200000)}
	wantWake(t, ch, want)
}

func fullChannel(t *testing.T, h harness) {
	ctx := t.Context()
	ch := h.wakes(t, ctx)
	for range 2 * cap(ch) {
		must(t, h.raw.Publish(ctx, h.key("wake"), "3 1732255200000").Err())
	}
	await(t, "the channel to fill", func() bool { return len(ch) == cap(ch) })
	must(t, h.Announce(ctx, []firjob.Due{dueIn(0, 0)})) // nobody waits for the reader
}

func closesWithContext(t *testing.T, h harness) {
	ctx, cancel := context.WithCancel(t.Context())
	ch := h.wakes(t, ctx)
	cancel()
	select {
	case _, open := <-ch:
		if open {
			t.Error("a signal came, want a closed channel")
		}
	case <-time.After(instant):
		t.Error("the channel is not closed")
	}
	h.awaitSubscriber(t, 0)
}

func closesWithClient(t *testing.T, h harness) {
	c, err := redisq.Open(t.Context(), redisq.Options{URL: h.url, Prefix: h.prefix, Shards: shards})
	must(t, err)
	ch := c.Wakes(context.Background())
	h.awaitSubscriber(t, 1)
	must(t, c.Close())
	if _, open := <-ch; open {
		t.Error("a signal came, want a closed channel")
	}
	h.awaitSubscriber(t, 0)
}

package scheduler

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

func newPeers(replica string, shards int, live ...string) *peers {
	p := &peers{replica: replica, total: shards, local: time.Now}
	p.share(live)
	return p
}

// Replicas that know of each other divide the shards without gap or overlap,
// and one that leaves changes nothing for the shards of the others.
func TestShardsAreShared(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		live := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{3,8}`), 1, 6, rapid.ID).Draw(t, "live")
		shards := rapid.IntRange(1, 64).Draw(t, "shards")
		owners := make([]string, shards)
		for _, replica := range live {
			for _, shard := range newPeers(replica, shards, live...).shards() {
				if owners[shard] != "" {
					t.Fatalf("shard %d belongs to %s and %s", shard, owners[shard], replica)
				}
				owners[shard] = replica
			}
		}
		gone := live[0]
		for shard, who := range owners {
			if who == "" {
				t.Fatalf("shard %d belongs to nobody of %v", shard, live)
			}
			if now := owner(live[1:], shard); len(live) > 1 && who != gone && now != who {
				t.Fatalf("shard %d went from %s to %s because %s left", shard, who, now, gone)
			}
		}
	})
}

func TestALonelyReplicaOwnsAll(t *testing.T) {
	t.Parallel()
	p := newPeers("a", 4)
	if diff := cmp.Diff([]int{0, 1, 2, 3}, p.shards()); diff != "" {
		t.Errorf("shards of a replica that knows nobody (-want +got):\n%s", diff)
	}
}

// Claims made before a pause of the beats are in doubt for good: the others may
// have given them up meanwhile.
func TestProofOfLife(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	p := &peers{replica: "a", total: 1, local: func() time.Time { return now }}
	p.noted(now)
	now = now.Add(time.Second)
	p.noted(now)
	before := now
	if !p.provenAlive(before) {
		t.Error("with a beat of this moment the replica does not count as alive")
	}
	now = now.Add(5 * time.Second) // paused
	if p.provenAlive(before) {
		t.Error("five seconds after the latest beat the replica counts as alive")
	}
	p.noted(now)
	now = now.Add(time.Millisecond)
	if p.provenAlive(before) {
		t.Error("a claim from before the pause counts as safe after the first beat")
	}
	if !p.provenAlive(now) {
		t.Error("a claim from after the pause does not count as safe")
	}
}

// What a replica had claimed is not given up before every executor that lives has
// had its say about what it holds, half a second ago at least, so that this is on
// record; but an executor that says nothing does not put that off for ever.
func TestClaimsAreGivenUpWhenExecutorsHaveSpoken(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	const half = 500 * time.Millisecond
	for name, tt := range map[string]struct {
		beat func(now time.Time) time.Time // the latest of the executor that beat longest ago
		want time.Duration                 // after the replica was first missed; one look each half second
	}{
		"all have beaten":         {func(now time.Time) time.Time { return now }, half},
		"the latest is seen late": {func(now time.Time) time.Time { return now.Add(-1400 * time.Millisecond) }, 2 * half},
		"one missed a beat":       {func(now time.Time) time.Time { return now.Add(-1900 * time.Millisecond) }, 3 * half},
		"one beat just now": {func(now time.Time) time.Time { // between the first look and the second
			if now.After(start) {
				return now
			}
			return start.Add(-time.Minute)
		}, 2 * half},
		"one has not beaten any more": {func(time.Time) time.Time { return start.Add(-1100 * time.Millisecond) }, namingPatience + half},
		"one that beat after the end": {func(time.Time) time.Time { return start.Add(-900 * time.Millisecond) }, half},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := start
			p := &peers{named: func(since time.Time) bool { return tt.beat(now).After(since) }}
			for ; ; now = now.Add(half) {
				if list := p.judged([]string{"b"}, now); len(list) > 0 {
					break
				}
				if now.Sub(start) > time.Minute {
					t.Fatal("it is never judged")
				}
			}
			if after := now.Sub(start); after != tt.want {
				t.Errorf("judged after %v, want %v", after, tt.want)
			}
			p.judged(nil, now) // it came back
			if list := p.judged([]string{"b"}, now.Add(half)); len(list) > 0 {
				t.Error("a replica that came back and is missed again is judged at once")
			}
		})
	}
}

func TestBeatenSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		view := newLine(t, "a:1", "b:1").executors
		since := time.Now()
		if view.beatenSince(since) {
			t.Error("executors that beat before count as having beaten since")
		}
		time.Sleep(time.Second)
		view.seenNow(t.Context(), firjob.Executor{App: "app", Address: "a:1", Incarnation: "i-a:1", State: firjob.ExecutorActive})
		if view.beatenSince(since) {
			t.Error("one of two has beaten and it counts for both")
		}
		view.verdict(t.Context(), doubt{Executor: firjob.Executor{App: "app", Address: "b:1", Incarnation: "i-b:1"}}, time.Hour)
		if view.beatenSince(since) {
			t.Error("an answer to a probe counts as a beat")
		}
		time.Sleep(time.Second)
		view.seenNow(t.Context(), firjob.Executor{App: "app", Address: "b:1", Incarnation: "i-b:1", State: firjob.ExecutorActive})
		if !view.beatenSince(since) {
			t.Error("both have beaten and it does not count")
		}
	})
}

// lastBeats is a registry of which replica b beats no more, ever.
type lastBeats struct {
	Registry
	forgotten bool
}

func (*lastBeats) BeatReplica(context.Context, string, time.Duration) (live, gone []string, err error) {
	return []string{"a"}, []string{"b"}, nil
}

func (r *lastBeats) ForgetReplica(context.Context, string) error {
	r.forgotten = true
	return nil
}

// What was known of a replica before Redis was away does not count after that.
func TestAnAbsenceDoesNotOutlastAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := new(lastBeats)
		p := newPeers("a", 1)
		p.registry, p.queue, p.log = registry, new(guardedQueue), slog.New(slog.DiscardHandler)
		p.gone = func(context.Context, string) error { return nil }
		p.named = func(time.Time) bool { return false } // so far
		beat := func(d time.Duration) {
			for range d / replicaBeat {
				p.pass(t.Context())
				time.Sleep(replicaBeat)
			}
		}
		settled := replicaDeadAfter + 3*replicaBeat
		beat(settled)
		if len(p.missing) != 1 || registry.forgotten {
			t.Fatalf("after %v of beats %v is missing, forgotten %v; want b, missed and not given up", settled, p.missing, registry.forgotten)
		}
		p.queue.degraded.Store(true)
		beat(time.Minute)
		p.queue.degraded.Store(false)
		beat(settled)
		if registry.forgotten {
			t.Error("a replica that was missed before an outage is given up at once after it")
		}
		beat(namingPatience + replicaBeat)
		if !registry.forgotten {
			t.Error("it is never given up")
		}
	})
}

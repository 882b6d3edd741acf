package scheduler

import (
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
	now = now.Add(replicaBeat)
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

// Where an executor does not say what it holds, the claims of a server that is gone
// wait until the beats have named it, half a second ago at least, so that this is on
// record; but an executor that says nothing does not put that off for ever.
func TestClaimsAreGivenUpWhenExecutorsHaveSpoken(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	const half = 500 * time.Millisecond
	until := func(last time.Duration) func(time.Time) time.Time {
		return func(now time.Time) time.Time {
			if latest := start.Add(last); now.After(latest) {
				return latest
			}
			return now
		}
	}
	for name, tt := range map[string]struct {
		beat func(now time.Time) time.Time // the latest of the executor that beat longest ago
		want time.Duration                 // after the server was first missed; one look each half second
	}{
		"all beat":                          {until(time.Hour), 5 * half},
		"the latest is seen late":           {func(now time.Time) time.Time { return now.Add(-700 * time.Millisecond) }, 6 * half},
		"one beat late enough and no more":  {until(1600 * time.Millisecond), 5 * half},
		"one beat a little before, no more": {until(1400 * time.Millisecond), namingPatience + half},
		"one has not beaten any more":       {until(-time.Second), namingPatience + half},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := start
			local := func() time.Time { return now }
			p := &peers{clock: newStoreClock(local), local: local, named: func(since time.Time) bool { return tt.beat(now).After(since) }}
			for ; ; now = now.Add(half) {
				dead := p.confirmedDead([]string{"b"}, nil)
				if settled := now.Sub(start) >= settlingTime; settled != (len(dead) == 1) {
					t.Fatalf("after %v the dead are %+v; want b once it has been missed for %v", now.Sub(start), dead, settlingTime)
				}
				if len(dead) > 0 && dead[0].waited {
					break
				}
				if now.Sub(start) > time.Minute {
					t.Fatal("it is never judged")
				}
			}
			if after := now.Sub(start); after != tt.want {
				t.Errorf("judged after %v, want %v", after, tt.want)
			}
			p.confirmedDead(nil, nil) // it came back
			now = now.Add(half)
			if dead := p.confirmedDead([]string{"b"}, nil); len(dead) > 0 {
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

// A server that dies leaves shards to others, who look at once.
func TestGainedShardsAreTold(t *testing.T) {
	t.Parallel()
	p := newPeers("a", 16, "a", "b")
	p.gained = newWake()
	told := func() bool {
		select {
		case <-p.gained:
			return true
		default:
			return false
		}
	}
	for _, tt := range []struct {
		live []string
		want bool
	}{{[]string{"a", "b"}, false}, {[]string{"a"}, true}, {[]string{"a"}, false}, {[]string{"a", "b"}, false}, {nil, true}} {
		p.share(tt.live)
		if got := told(); got != tt.want {
			t.Errorf("shards of a with %v alive: told %v that it gained some, want %v", tt.live, got, tt.want)
		}
	}
}

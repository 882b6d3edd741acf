package scheduler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

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

package redisq_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/redisq"
)

// While leases hold, concurrent servers never get the same id, also when the
// scripts are forgotten in between, and together they get every id.
func TestClaimersShareWithoutOverlap(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){"claimers": claimers})
}

func claimers(t *testing.T, h harness) {
	const count, replicas = 3000, 4
	at := time.Now().Add(-time.Minute)
	due := make([]firjob.Due, count)
	for i := range due {
		due[i] = firjob.Due{ID: firjob.Fire(firjob.JobID(i), at), At: at}
	}
	var mu sync.Mutex
	claims := map[firjob.ExecutionID]int{}
	total := func() int { mu.Lock(); defer mu.Unlock(); return len(claims) }

	g, ctx := errgroup.WithContext(t.Context())
	for chunk := range 10 {
		g.Go(func() error { return h.Announce(ctx, due[chunk*count/10:(chunk+1)*count/10]) })
	}
	for range replicas {
		replica := open(t, redisq.Options{URL: h.url, Prefix: h.prefix, Shards: shards})
		g.Go(func() error {
			for total() < count {
				got, err := replica.Claim(ctx, allShards(), 1+rand.IntN(40), 0, time.Hour)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, id := range got.IDs {
					claims[id]++
				}
				mu.Unlock()
				if err := replica.Ack(ctx, got.IDs[:len(got.IDs)/2]); err != nil {
					return err
				}
				if rand.IntN(10) == 0 {
					if err := h.raw.ScriptFlush(ctx).Err(); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	await(t, "every id to be claimed", func() bool { return total() == count || context.Cause(ctx) != nil })
	must(t, g.Wait())
	for id, n := range claims {
		if n != 1 {
			t.Errorf("%v was claimed %d times", id, n)
		}
	}
}

package redisq

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Claim moves up to n executions of each shard, 512 at most, that are due
// before now+lead from the delay queue to the leases, where each stays until
// its due time, or now if that is later, plus lease. The ids come shard by
// shard, the earliest of each first; none due is an empty batch and no error.
//
// On error the batch holds what the shards that answered gave, to be used: in a
// cluster one node may be away. What a lost reply held comes back when its
// lease ends. Any number of servers may claim at a time; while leases hold, no
// two of them get the same id.
func (c *Client) Claim(ctx context.Context, shards []int, n int, lead, lease time.Duration) (ports.Batch, error) {
	batch := ports.Batch{Next: -1}
	calls, err := c.shardCalls(c.lua.Claim, shards, min(n, batchCap), lead.Milliseconds(), lease.Milliseconds())
	if err != nil {
		return batch, err
	}
	err = c.run(ctx, calls)
	var strange []unknownIDs
	for _, k := range calls {
		if s := c.collect(&batch, k); len(s.members) > 0 {
			strange = append(strange, s)
		}
	}
	c.discard(ctx, strange)
	return batch, c.failed(err, "claim executions from redis")
}

// collect adds one shard's reply to the batch and returns the members that are
// no executions of that shard.
func (c *Client) collect(batch *ports.Batch, k call) unknownIDs {
	strange := unknownIDs{key: c.keys.lease(k.shard)}
	r := k.reply()
	if len(r) < 3 {
		return strange
	}
	now := time.Duration(r.number(0)) * time.Microsecond
	batch.Now = time.UnixMicro(r.number(0))
	batch.Full = batch.Full || r.number(1) == 1
	if head, ok := r.score(2); ok {
		if next := untilMillis(now, head); batch.Next < 0 || next < batch.Next {
			batch.Next = next
		}
	}
	for i := 3; i < len(r); i++ {
		id, err := firjob.ParseExecutionID(r.text(i))
		if err != nil || id.Job().Shard(c.shards) != k.shard {
			strange.members = append(strange.members, r.text(i))
			continue
		}
		batch.IDs = append(batch.IDs, id)
	}
	return strange
}

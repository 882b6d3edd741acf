package redisq

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lua"
)

// batchCap is how many executions one script takes; lua/ holds it, too.
const batchCap = 512

// Announce adds executions to the delay queue, or moves those that are there
// already, leased ones included, and wakes the servers whose head became
// earlier. If an id is given twice, its last time counts. On error some shards
// may have taken theirs; announcing again is harmless.
func (c *Client) Announce(ctx context.Context, due []firjob.Due) error {
	return c.failed(c.add(ctx, c.lua.Announce, due), "announce %d executions to redis", len(due))
}

// Return puts claimed executions back, to be due as given, also those whose
// lease is gone; servers are woken as by Announce. Where an execution was
// announced or reaped meanwhile, the earlier time stays. On error some shards
// may have taken theirs; the leases bring back the others.
func (c *Client) Return(ctx context.Context, due []firjob.Due) error {
	return c.failed(c.add(ctx, c.lua.Return, due), "return %d executions to redis", len(due))
}

func (c *Client) add(ctx context.Context, script lua.Script, due []firjob.Due) error {
	calls := c.addCalls(script, due)
	err := c.run(ctx, calls)
	if lost := c.wakeEarlier(ctx, calls); err == nil {
		err = lost
	}
	return err
}

// addCalls spreads due over the shards, in scripts of at most batchCap.
func (c *Client) addCalls(script lua.Script, due []firjob.Due) []call {
	args := make([][]any, c.shards)
	for _, d := range due {
		shard := d.ID.Job().Shard(c.shards)
		args[shard] = append(args[shard], d.At.UnixMilli(), d.ID.String())
	}
	var calls []call
	for shard, list := range args {
		for chunk := range slices.Chunk(list, 2*batchCap) {
			calls = append(calls, call{shard: shard, script: script, keys: c.queueKeys(shard), args: chunk})
		}
	}
	return calls
}

func (c *Client) queueKeys(shard int) []string {
	return []string{c.keys.due(shard), c.keys.lease(shard)}
}

// Ack ends the leases of executions that need no more waking: they are running,
// final or not to be run. It leaves alone those that are due and not leased,
// because they were announced again after they were claimed, and that wake-up
// is still needed. One that became final before it was claimed leaves when it
// is due: it is claimed, found to be final, and acknowledged then.
func (c *Client) Ack(ctx context.Context, ids []firjob.ExecutionID) error {
	if len(ids) == 0 {
		return nil
	}
	members := make([][]any, c.shards)
	for _, id := range ids {
		shard := id.Job().Shard(c.shards)
		members[shard] = append(members[shard], id.String())
	}
	err := c.exec(ctx, func(p redis.Pipeliner) {
		for shard, list := range members {
			for chunk := range slices.Chunk(list, batchCap) {
				p.ZRem(ctx, c.keys.lease(shard), chunk...)
			}
		}
	})
	return c.failed(err, "acknowledge %d executions to redis", len(ids))
}

// Reap puts executions whose lease ended back into the delay queue, due now: up
// to n of each shard, 512 at most. It returns how many. Replicas are woken as
// by Announce. On error the number is of the shards that answered.
func (c *Client) Reap(ctx context.Context, shards []int, n int) (int, error) {
	calls, err := c.shardCalls(c.lua.Reap, shards, min(n, batchCap))
	if err != nil {
		return 0, err
	}
	err = c.run(ctx, calls)
	reaped := 0
	for _, k := range calls {
		reaped += int(k.reply().number(0))
	}
	if lost := c.wakeEarlier(ctx, calls); err == nil {
		err = lost
	}
	return reaped, c.failed(err, "reap leases in redis")
}

// shardCalls is the same call for each of the shards.
func (c *Client) shardCalls(script lua.Script, shards []int, args ...any) ([]call, error) {
	calls := make([]call, len(shards))
	for i, shard := range shards {
		if shard < 0 || shard >= c.shards {
			return nil, fmt.Errorf("%s: shard %d is not one of %d", script.Name, shard, c.shards)
		}
		calls[i] = call{shard: shard, script: script, keys: c.queueKeys(shard), args: args}
	}
	return calls, nil
}

// Depth returns how many executions each shard holds, due and leased.
func (c *Client) Depth(ctx context.Context) (due, leased []int64, err error) {
	var counts []*redis.IntCmd
	err = c.exec(ctx, func(p redis.Pipeliner) {
		counts = counts[:0]
		for shard := range c.shards {
			counts = append(counts, p.ZCard(ctx, c.keys.due(shard)), p.ZCard(ctx, c.keys.lease(shard)))
		}
	})
	if err != nil {
		return nil, nil, c.failed(err, "read the depth of the queue in redis")
	}
	due, leased = make([]int64, c.shards), make([]int64, c.shards)
	for shard := range c.shards {
		due[shard], leased[shard] = counts[2*shard].Val(), counts[2*shard+1].Val()
	}
	return due, leased, nil
}

// untilMillis returns the time from now to an instant that Redis wrote as a
// score, 0 if that is past. Both are since the epoch. It bounds absurd scores.
func untilMillis(now time.Duration, score float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	ahead := score - float64(now)/float64(time.Millisecond)
	return time.Duration(min(max(ahead, 0), float64(century/time.Millisecond)) * float64(time.Millisecond))
}

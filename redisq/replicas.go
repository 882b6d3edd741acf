package redisq

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// BeatReplica notes that a replica lives and returns, sorted, every replica
// that beat within maxAge, this one included, and those that did so before but
// not since. The latter stay until they are forgotten; 512 of each are
// returned at most.
func (c *Client) BeatReplica(ctx context.Context, replica string, maxAge time.Duration) (live, gone []string, err error) {
	got, err := c.runOne(ctx, c.lua.Replica, []string{c.keys.replicas()}, replica, maxAge.Milliseconds())
	if err != nil {
		return nil, nil, c.failed(err, "beat replica %s to redis", replica)
	}
	live, gone = got.list(0), got.list(1)
	slices.Sort(live)
	slices.Sort(gone)
	return live, gone, nil
}

// ForgetReplica removes a replica; its next beat, should it come, puts it back.
func (c *Client) ForgetReplica(ctx context.Context, replica string) error {
	err := c.exec(ctx, func(p redis.Pipeliner) { p.ZRem(ctx, c.keys.replicas(), replica) })
	return c.failed(err, "forget replica %s in redis", replica)
}

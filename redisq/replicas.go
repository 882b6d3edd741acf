package redisq

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// BeatReplica notes that a server lives and returns, sorted, every server that
// does, this one included; those that are gone: they have not beaten within maxAge;
// and those that have, but not within endedAge, and whose line (HoldLine) has ended
// since. The gone stay until they are forgotten; some 512 of each are returned at
// most.
func (c *Client) BeatReplica(ctx context.Context, replica string, maxAge,
	endedAge time.Duration) (live, gone, ended []string, err error) {
	got, err := c.runOne(ctx, c.lua.Replica, []string{c.keys.replicas()}, replica, maxAge.Milliseconds(),
		endedAge.Milliseconds(), c.keys.line(""))
	if err != nil {
		return nil, nil, nil, c.failed(err, "write the beat of server %s to redis", replica)
	}
	live, gone, ended = got.list(0), got.list(1), got.list(2)
	slices.Sort(live)
	slices.Sort(gone)
	slices.Sort(ended)
	return live, gone, ended, nil
}

// HoldLine keeps a line open, a connection by whose end the others see soon that
// this process has ended, until ctx or the client ends: a subscription to a channel
// on which nothing is ever said. It returns at once and connects in the background,
// again whenever the connection was lost.
func (c *Client) HoldLine(ctx context.Context, replica string) {
	subscribe(ctx, c, c.keys.line(replica), func(string) (struct{}, error) { return struct{}{}, nil })
}

// ForgetReplica removes a server; its next beat, should it come, puts it back.
func (c *Client) ForgetReplica(ctx context.Context, replica string) error {
	err := c.exec(ctx, func(p redis.Pipeliner) { p.ZRem(ctx, c.keys.replicas(), replica) })
	return c.failed(err, "forget server %s in redis", replica)
}

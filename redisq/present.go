package redisq

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Present returns the epoch of the index that Redis holds, "" if it holds none.
// Unlike Epoch it begins none.
func (c *Client) Present(ctx context.Context) (epoch string, err error) {
	epoch, err = c.rdb.HGet(ctx, c.keys.meta(), "epoch").Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return epoch, c.failed(err, "read the epoch in redis")
}

package redisq

import (
	"context"
	"crypto/rand"
)

// schema is the version of the layout that keys.go describes, for people.
const schema = 1

// Epoch returns the id of the index's present life, and whether this call has
// begun it, because Redis held none or one spread over another number of
// shards: then the index must be rebuilt.
func (c *Client) Epoch(ctx context.Context) (epoch string, fresh bool, err error) {
	got, err := c.runOne(ctx, c.lua.Epoch, []string{c.keys.meta()}, rand.Text(), schema, c.shards)
	if err != nil {
		return "", false, c.failed(err, "read the epoch in redis")
	}
	return got.text(0), got.number(1) == 1, nil
}

package redisq

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A key may hold another type than firjob's, because it was written by hand or because
// another program uses the same prefix. Every command on such a key fails. It is
// removed, since any key of firjob may vanish at any time.

// wrongType reports whether Redis refused a command, or one inside a script,
// because of the type of its key. Of a script, miniredis says so in the midst of
// other words.
func wrongType(err error) bool { return err != nil && strings.Contains(err.Error(), "WRONGTYPE ") }

// blocked reports whether a key of the call holds another type than firjob's.
func blocked(k call) bool { return wrongType(k.cmd.Err()) }

func keysOf(calls []*call) []string {
	var list []string
	for _, k := range calls {
		list = append(list, k.keys...)
	}
	return list
}

// exec runs the pipeline that fill fills, and once more if a key had to be
// cleared of what is not ours; fill is then called again. The error is the
// first command's that has one.
func (c *Client) exec(ctx context.Context, fill func(redis.Pipeliner)) error {
	cmds, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { fill(p); return nil })
	var keys []string
	for _, cmd := range cmds {
		if wrongType(cmd.Err()) {
			keys = append(keys, cmd.Args()[1].(string)) // commands on one key have it there
		}
	}
	if len(keys) == 0 || !c.evict(ctx, keys) {
		return err
	}
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { fill(p); return nil })
	return err
}

// evict removes those of the keys that hold another type than ours, and says
// so. It reports whether the keys are clear now.
func (c *Client) evict(ctx context.Context, keys []string) bool {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	calls := make([]call, len(keys))
	for i, key := range keys {
		calls[i] = call{script: c.lua.Evict, keys: []string{key}, args: []any{c.keys.kind(key)}}
	}
	c.runOnce(ctx, refs(calls, func(call) bool { return true }))
	done := true
	for i, k := range calls {
		if err := k.cmd.Err(); err != nil {
			done = false
			if c.told.first(keys[i]) {
				c.log.WarnContext(ctx,
					"a key of ours may hold another type and could not be removed: DEL it, or RENAME it",
					"key", keys[i], "wanted", c.keys.kind(keys[i]), "error", err)
			}
		} else if found := k.cmd.Val(); found != "" {
			c.log.WarnContext(ctx, "removed a key of ours that held another type", "key", keys[i], "found", found,
				"wanted", c.keys.kind(keys[i]))
		}
	}
	return done
}

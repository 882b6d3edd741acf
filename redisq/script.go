package redisq

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob/lua"
)

// pipelined is how many calls are sent before their replies are read. With 512
// executions in each, that is some 30 ms of Redis's time: far from the timeout.
const pipelined = 32

// call is one run of one script in one slot.
type call struct {
	shard  int // of the delay queue, where the script is of that
	script lua.Script
	keys   []string
	args   []any
	cmd    *redis.Cmd // the reply, once run
}

// run sends the calls, and those again whose keys had to be cleared of what is
// not ours; each may be run twice. A call that failed has its error in cmd. The
// error is the first of them, with their number.
func (c *Client) run(ctx context.Context, calls []call) error {
	c.runOnce(ctx, refs(calls, func(call) bool { return true }))
	if wrong := refs(calls, blocked); len(wrong) > 0 && c.evict(ctx, keysOf(wrong)) {
		c.runOnce(ctx, wrong)
	}
	return firstError(calls)
}

// runOnce sends the calls, in one round trip while they are few; in a cluster,
// one to each node.
//
// Scripts go by hash. Redis knows none of them after a restart, a failover or a
// SCRIPT FLUSH; the calls it refused for that have done nothing, and are sent
// again with their source, which cannot be refused so.
func (c *Client) runOnce(ctx context.Context, calls []*call) {
	for batch := range slices.Chunk(calls, pipelined) {
		c.send(ctx, batch, func(p redis.Pipeliner, k *call) *redis.Cmd {
			return p.EvalSha(ctx, k.script.SHA1, k.keys, k.args...)
		})
		refused := slices.DeleteFunc(slices.Clone(batch), func(k *call) bool { return !unknown(*k) })
		c.send(ctx, refused, func(p redis.Pipeliner, k *call) *redis.Cmd {
			return p.Eval(ctx, k.script.Source, k.keys, k.args...)
		})
	}
}

func (c *Client) send(ctx context.Context, calls []*call, as func(redis.Pipeliner, *call) *redis.Cmd) {
	if len(calls) == 0 {
		return
	}
	p := c.rdb.Pipeline()
	for _, k := range calls {
		k.cmd = as(p, k)
	}
	_, err := p.Exec(ctx)
	for _, k := range calls {
		// Each command has its own error, but for one: where a connection could
		// not be had because the server refused it, as for a wrong password,
		// only Exec says so. Our scripts always reply something.
		if err != nil && k.cmd.Err() == nil && k.cmd.Val() == nil {
			k.cmd.SetErr(err)
		}
	}
}

func refs(calls []call, want func(call) bool) []*call {
	var list []*call
	for i := range calls {
		if want(calls[i]) {
			list = append(list, &calls[i])
		}
	}
	return list
}

func unknown(k call) bool { return redis.HasErrorPrefix(k.cmd.Err(), "NOSCRIPT") }

func firstError(calls []call) error {
	var first error
	failed := 0
	for _, k := range calls {
		if err := k.cmd.Err(); err != nil {
			failed++
			if first == nil {
				first = err
			}
		}
	}
	if failed < 2 {
		return first
	}
	return fmt.Errorf("%d of %d calls failed, the first with: %w", failed, len(calls), first)
}

// runOne runs one script and returns its reply.
func (c *Client) runOne(ctx context.Context, script lua.Script, keys []string, args ...any) (reply, error) {
	calls := []call{{script: script, keys: keys, args: args}}
	if err := c.run(ctx, calls); err != nil {
		return nil, err
	}
	return calls[0].reply(), nil
}

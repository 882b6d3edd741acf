package redisq

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/lua"
)

// turnsOfSelector is how long the count of a ring is kept that is not a whole
// app: selectors come and go.
const turnsOfSelector = 24 * time.Hour

// Turns takes the next turns of each ring, as many as are asked for, and returns
// the number of the first of them. Over all servers each number is given once;
// they begin at 0 again when the key is gone. On error the map holds what the
// nodes that answered gave.
func (c *Client) Turns(ctx context.Context, counts map[ports.Ring]int) (map[ports.Ring]uint64, error) {
	for ring := range counts {
		if err := checkApp(ring.App); err != nil {
			return nil, fmt.Errorf("take turns: %w", err)
		}
	}
	firsts, broken, err := c.takeTurns(ctx, counts)
	if len(broken) > 0 && c.beginAnew(ctx, broken) {
		var more map[ports.Ring]uint64
		more, _, err = c.takeTurns(ctx, broken)
		maps.Copy(firsts, more)
	}
	return firsts, c.failed(err, "take turns in redis")
}

// takeTurns also returns the rings whose key holds no number that can be
// counted on.
func (c *Client) takeTurns(ctx context.Context, counts map[ports.Ring]int) (firsts map[ports.Ring]uint64,
	broken map[ports.Ring]int, err error) {
	var after map[ports.Ring]*redis.IntCmd
	err = c.exec(ctx, func(p redis.Pipeliner) {
		after = make(map[ports.Ring]*redis.IntCmd, len(counts))
		for ring, n := range counts {
			key := c.keys.turn(ring)
			after[ring] = p.IncrBy(ctx, key, int64(n))
			if ring.Selector != "" {
				p.PExpire(ctx, key, turnsOfSelector)
			}
		}
	})
	firsts, broken = make(map[ports.Ring]uint64, len(counts)), make(map[ports.Ring]int)
	for ring, cmd := range after {
		first := cmd.Val() - int64(counts[ring])
		switch {
		case noNumber(cmd.Err()), cmd.Err() == nil && first < 0:
			broken[ring] = counts[ring]
		case cmd.Err() == nil:
			firsts[ring] = uint64(first)
		}
	}
	return firsts, broken, err
}

// noNumber reports that a counter holds a text, or a number at its very end.
func noNumber(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "not an integer") || strings.Contains(err.Error(), "overflow"))
}

// beginAnew removes counts that are not of our writing and reports whether they
// are gone.
func (c *Client) beginAnew(ctx context.Context, rings map[ports.Ring]int) bool {
	err := c.exec(ctx, func(p redis.Pipeliner) {
		for ring := range rings {
			p.Del(ctx, c.keys.turn(ring))
		}
	})
	for ring := range rings {
		if key := c.keys.turn(ring); c.told.first(key) {
			c.log.WarnContext(ctx, "turns were counted by what is no count; they begin anew", "key", key, "error", err)
		}
	}
	return err == nil
}

// Choose picks an address for each choice by what is remembered of its job, and
// remembers that it was picked. The picks are in the order of the choices. On
// error those that may or may not have been made are "".
func (c *Client) Choose(ctx context.Context, choices []ports.Choice) ([]string, error) {
	calls := make([]call, len(choices))
	for i, choice := range choices {
		script, key, err := c.memoryOf(choice)
		if err != nil {
			return nil, fmt.Errorf("choose executors: %w", err)
		}
		calls[i] = call{script: script, keys: []string{key}, args: texts(choice.Among)}
	}
	err := c.run(ctx, calls)
	picks := make([]string, len(choices))
	for i, k := range calls {
		picks[i] = k.reply().text(0)
	}
	return picks, c.failed(err, "choose executors by redis")
}

// memoryOf returns what picks for a choice and where it remembers.
func (c *Client) memoryOf(choice ports.Choice) (lua.Script, string, error) {
	if err := checkApp(choice.App); err != nil {
		return lua.Script{}, "", err
	}
	switch choice.Route {
	case firjob.RouteLeastRecent:
		return c.lua.LRU, c.keys.lru(choice.App, choice.Job), nil
	case firjob.RouteLeastFrequent:
		return c.lua.LFU, c.keys.lfu(choice.App, choice.Job), nil
	case firjob.RouteSticky:
		return c.lua.Sticky, c.keys.sticky(choice.App, choice.Job), nil
	}
	return lua.Script{}, "", fmt.Errorf("route %q remembers nothing", choice.Route)
}

func texts(list []string) []any {
	args := make([]any, len(list))
	for i, text := range list {
		args[i] = text
	}
	return args
}

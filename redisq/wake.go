package redisq

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob/internal/ports"
)

// Wakes delivers a signal for each change that gave a shard an earlier head.
// The channel is closed when ctx or the client ends. It returns at once and
// subscribes in the background, again whenever the connection was lost. Signals
// that come while there is none are lost, and so are those that find the
// channel's 256 places taken: that costs punctuality only.
func (c *Client) Wakes(ctx context.Context) <-chan ports.Wake {
	return subscribe(ctx, c, c.keys.wake(), c.parseWake)
}

func (c *Client) parseWake(payload string) (ports.Wake, error) {
	first, second, _ := strings.Cut(payload, " ")
	shard, err := strconv.Atoi(first)
	ms, errMS := strconv.ParseInt(second, 10, 64)
	if err != nil || errMS != nil || shard < 0 || shard >= c.shards {
		return ports.Wake{}, fmt.Errorf("%q is not \"shard due\" with a shard below %d", clip(payload), c.shards)
	}
	return ports.Wake{Shard: shard, At: time.UnixMilli(ms)}, nil
}

// wakeEarlier tells the servers of each shard whose head became earlier by the
// calls, whose replies end with the head before and the head after.
func (c *Client) wakeEarlier(ctx context.Context, calls []call) error {
	earlier := map[int]float64{}
	for _, k := range calls {
		r := k.reply()
		if len(r) < 2 {
			continue // it failed
		}
		before, was := r.score(len(r) - 2)
		after, is := r.score(len(r) - 1)
		if is && (!was || after < before) {
			earlier[k.shard] = after // of several calls the last has the earliest
		}
	}
	if len(earlier) == 0 {
		return nil
	}
	p := c.rdb.Pipeline()
	for shard, head := range earlier {
		p.Publish(ctx, c.keys.wake(), fmt.Sprintf("%d %d", shard, int64(head)))
	}
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("wake replicas: %w", err)
	}
	return nil
}

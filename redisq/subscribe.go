package redisq

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// signalBuffer is how many signals wait for a slow reader. It need not follow
// every one: after a full buffer it looks anyway.
const signalBuffer = 256

// subscribe delivers what parse makes of the messages of a channel, until ctx or
// the client ends; then it closes the channel that it returned. It returns at
// once and subscribes in the background, again whenever the connection was lost.
// Messages that come while there is none are lost, and so are those that find no
// place.
func subscribe[T any](ctx context.Context, c *Client, channel string, parse func(string) (T, error)) <-chan T {
	out := make(chan T, signalBuffer)
	c.loops.Go(func() {
		defer close(out)
		sub := c.rdb.Subscribe(ctx, channel)
		defer sub.Close()
		forward(ctx, c, sub.Channel(redis.WithChannelSize(signalBuffer)), out, parse)
	})
	return out
}

func forward[T any](ctx context.Context, c *Client, in <-chan *redis.Message, out chan<- T,
	parse func(string) (T, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.closed:
			return
		case m, open := <-in:
			if !open {
				return
			}
			signal, err := parse(m.Payload)
			if err != nil {
				c.log.WarnContext(ctx, "ignored a strange signal", "channel", m.Channel, "error", err)
				continue
			}
			select {
			case out <- signal:
			default:
			}
		}
	}
}

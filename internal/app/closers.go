package app

import (
	"context"
	"log/slog"
)

// closers are the clean-ups of what was acquired, each registered on the line
// after, and run in the reverse order: also when construction fails half-way.
type closers struct {
	list []closer
	log  *slog.Logger
}

type closer struct {
	name string
	f    func(context.Context) error
}

func (c *closers) add(name string, f func(context.Context) error) {
	c.list = append(c.list, closer{name, f})
}

// close runs the clean-ups; one that fails is logged and does not keep the
// others from running.
func (c *closers) close(ctx context.Context) {
	for i := len(c.list) - 1; i >= 0; i-- {
		if err := c.list[i].f(ctx); err != nil {
			c.log.WarnContext(ctx, "clean-up failed", "of", c.list[i].name, "error", err)
		}
	}
	c.list = nil
}

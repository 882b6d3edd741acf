package client

import (
	"context"
	"fmt"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// WatchFlag makes a command show again and again what it shows.
type WatchFlag struct {
	Watch bool `short:"w" help:"Show it again every 2 s, in place on a terminal, until Ctrl-C."`
}

const watchPause = 2 * time.Second

// Repeat runs show once, or with --watch until ctx ends. A server that cannot be
// reached meanwhile does not end it.
func (f WatchFlag) Repeat(ctx context.Context, p *console.Process, out *console.Output, show func() error) error {
	if !f.Watch {
		return show()
	}
	for first := true; ; first = false {
		out.Clock = p.Clock()
		switch {
		case p.Width > 0:
			fmt.Fprint(p.Stdout, "\x1b[H\x1b[J")
		case !first:
			fmt.Fprintln(p.Stdout)
		}
		err := show()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !Passing(err):
			return err
		case err != nil:
			fmt.Fprintf(p.Stderr, "firjob: %v\n", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPause):
		}
	}
}

package main

import (
	"context"
	"fmt"
	"time"
)

// watchFlag makes a command show again and again what it shows.
type watchFlag struct {
	Watch bool `short:"w" help:"Show it again every 2 s, in place on a terminal, until Ctrl-C."`
}

const watchPause = 2 * time.Second

// watch runs show once, or with --watch until ctx ends. A server that cannot be
// reached meanwhile does not end it.
func (f watchFlag) watch(ctx context.Context, p *process, out *output, show func() error) error {
	if !f.Watch {
		return show()
	}
	for first := true; ; first = false {
		out.clock = p.clock()
		switch {
		case p.width > 0:
			fmt.Fprint(p.stdout, "\x1b[H\x1b[J")
		case !first:
			fmt.Fprintln(p.stdout)
		}
		err := show()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !passing(err):
			return err
		case err != nil:
			fmt.Fprintf(p.stderr, "firjob: %v\n", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPause):
		}
	}
}

package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watched is a process that Supervise keeps alive: a server, a worker or a
// private store.
type watched struct {
	name string
	process
	start func(context.Context) error // anew, once it has ended
}

// process is what tells of a process whether it runs.
type process interface {
	PID() int
	Done() <-chan struct{} // closed once the one that runs now has ended
}

// Supervise starts each process anew, the private stores included, after a
// pause, when it has ended, until ctx ends. It tells report what it saw and did,
// and returns when it watches nobody any more.
func (c *Cluster) Supervise(ctx context.Context, pause time.Duration, report func(text string)) {
	var watchers sync.WaitGroup
	for _, w := range c.watched() {
		watchers.Go(func() { w.keepAlive(ctx, pause, report) })
	}
	watchers.Wait()
}

func (c *Cluster) watched() []watched {
	var list []watched
	if c.Postgres != nil {
		list = append(list, watched{"postgres", c.Postgres, c.Postgres.Restart})
	}
	if c.Redis != nil {
		list = append(list, watched{"redis", c.Redis, c.Redis.Restart})
	}
	for _, group := range [][]*Process{c.Servers, c.Workers} {
		for _, p := range group {
			list = append(list, watched{p.Name, p, func(context.Context) error { return p.Start() }})
		}
	}
	return list
}

// keepAlive starts the process whenever it has ended, again after a start that
// failed, until ctx ends.
func (w watched) keepAlive(ctx context.Context, pause time.Duration, report func(text string)) {
	for awaitEnd(ctx, w) {
		report(fmt.Sprintf("%s (pid %d) has ended; it starts again in %v", w.name, w.PID(), pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		switch err := w.start(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			report(err.Error())
		default:
			report(fmt.Sprintf("%s is back as pid %d", w.name, w.PID()))
		}
	}
}

// awaitEnd waits for the end of a process and reports whether ctx still goes on.
func awaitEnd(ctx context.Context, p process) bool {
	select {
	case <-p.Done():
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

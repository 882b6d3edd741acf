package scheduler

import (
	"context"
	"slices"
	"sync"
	"time"
)

// group turns concurrent small requests into few large ones (group commit).
// Whoever finds a free slot carries everything that waits, its own items or
// not; the others wait for the outcome. No timer is involved: while one call is
// under way the next one fills up, so batches grow with the load.
//
// It has no goroutine of its own, and so nothing to stop.
type group[T, R any] struct {
	do    func(ctx context.Context, items []T) ([]R, error) // one result for each item
	limit int                                               // items in one call
	slots chan struct{}                                     // calls at a time

	mu      sync.Mutex
	waiting []*groupCall[T, R]
}

type groupCall[T, R any] struct {
	items   []T
	results []R
	err     error
	done    chan struct{}
}

// groupTimeout bounds a call. It has no caller's context: it works for many.
const groupTimeout = 10 * time.Second

func newGroup[T, R any](limit, calls int, do func(context.Context, []T) ([]R, error)) *group[T, R] {
	return &group[T, R]{do: do, limit: limit, slots: make(chan struct{}, calls)}
}

// Do returns the results of items once the call that carried them is over. An
// error while ctx ends does not tell whether that call took place.
func (g *group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	call := &groupCall[T, R]{items: items, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, call)
	g.mu.Unlock()
	for {
		select {
		case <-call.done:
			return call.results, call.err
		case g.slots <- struct{}{}:
			g.carry(context.WithoutCancel(ctx))
			<-g.slots
		case <-ctx.Done():
			g.abandon(call)
			return nil, context.Cause(ctx)
		}
	}
}

// abandon takes a call that nobody waits for out of the queue, unless it is
// under way already.
func (g *group[T, R]) abandon(call *groupCall[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(c *groupCall[T, R]) bool { return c == call })
}

// carry takes what waits, up to the limit, and does it in one call.
func (g *group[T, R]) carry(ctx context.Context) {
	calls := g.take()
	if len(calls) == 0 {
		return
	}
	var items []T
	for _, c := range calls {
		items = append(items, c.items...)
	}
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	results, err := g.do(ctx, items)
	for _, c := range calls {
		if c.err = err; err == nil {
			c.results, results = results[:len(c.items)], results[len(c.items):]
		}
		close(c.done)
	}
}

func (g *group[T, R]) take() []*groupCall[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+len(g.waiting[n].items) <= g.limit) {
		size += len(g.waiting[n].items)
		n++
	}
	taken := g.waiting[:n:n]
	g.waiting = append([]*groupCall[T, R](nil), g.waiting[n:]...)
	return taken
}

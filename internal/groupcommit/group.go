// Package groupcommit carries many small requests in few large transactions.
package groupcommit

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// Group turns concurrent small requests into few large ones. No timer is
// involved: while the calls that are allowed at a time are under way, the next one
// fills up, so batches grow with the load. It is safe for concurrent use.
type Group[T, R any] struct {
	do    func(ctx context.Context, items []T) ([]R, error) // one result for each item
	limit int                                               // items in one call
	most  int                                               // calls at a time
	calls sync.WaitGroup

	mu      sync.Mutex
	waiting []*request[T, R]
	running int // carriers
	closed  bool
}

type request[T, R any] struct {
	items   []T
	results []R
	err     error
	done    chan struct{}
}

// Timeout bounds a call. A call has no caller's context: it works for many.
const Timeout = 10 * time.Second

// New returns a group that makes at most that many calls of do at a time, each
// with at most limit items, or those of one request if they are more. do returns one
// result for each item.
func New[T, R any](limit, calls int, do func(context.Context, []T) ([]R, error)) *Group[T, R] {
	return &Group[T, R]{do: do, limit: limit, most: calls}
}

// Do returns the results of items once the call that carried them is over. An
// error while ctx ends does not tell whether that call took place.
func (g *Group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	call := &request[T, R]{items: items, done: make(chan struct{})}
	g.enqueue(context.WithoutCancel(ctx), call)
	select {
	case <-call.done:
		return call.results, call.err
	case <-ctx.Done():
		g.abandon(call)
		return nil, context.Cause(ctx)
	}
}

// enqueue lets a call wait, and starts a carrier unless enough of them run.
func (g *Group[T, R]) enqueue(ctx context.Context, call *request[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		call.err = firjob.Errorf(firjob.CodeUnavailable, "this server is stopping; another one takes it")
		close(call.done)
		return
	}
	g.waiting = append(g.waiting, call)
	if g.running < g.most {
		g.running++
		g.calls.Go(func() { g.carryAll(ctx) })
	}
}

// carryAll carries what waits until nothing does.
func (g *Group[T, R]) carryAll(ctx context.Context) {
	for calls := g.take(); len(calls) > 0; calls = g.take() {
		g.carry(ctx, calls)
	}
}

// take removes what goes into one call. When nothing waits the carrier that
// asks is counted out.
func (g *Group[T, R]) take() []*request[T, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+len(g.waiting[n].items) <= g.limit) {
		size += len(g.waiting[n].items)
		n++
	}
	if n == 0 {
		g.running--
	}
	taken := g.waiting[:n:n]
	g.waiting = slices.Clone(g.waiting[n:])
	return taken
}

func (g *Group[T, R]) carry(ctx context.Context, calls []*request[T, R]) {
	var items []T
	for _, c := range calls {
		items = append(items, c.items...)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	results, err := g.do(ctx, items)
	for _, c := range calls {
		if c.err = err; err == nil {
			c.results, results = results[:len(c.items)], results[len(c.items):]
		}
		close(c.done)
	}
}

// abandon takes a call that nobody waits for out of the queue, unless it is
// under way already.
func (g *Group[T, R]) abandon(call *request[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(c *request[T, R]) bool { return c == call })
}

// Close lets no call begin any more and returns when none is under way.
func (g *Group[T, R]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.calls.Wait()
}

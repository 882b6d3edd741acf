package scheduler

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// group turns concurrent small requests into few large ones (group commit). No
// timer is involved: while the calls that are allowed at a time are under way,
// the next one fills up, so batches grow with the load.
type group[T, R any] struct {
	do    func(ctx context.Context, items []T) ([]R, error) // one result for each item
	limit int                                               // items in one call
	most  int                                               // calls at a time
	calls sync.WaitGroup

	mu      sync.Mutex
	waiting []*groupCall[T, R]
	running int // carriers
	closed  bool
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
	return &group[T, R]{do: do, limit: limit, most: calls}
}

// Do returns the results of items once the call that carried them is over. An
// error while ctx ends does not tell whether that call took place.
func (g *group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	call := &groupCall[T, R]{items: items, done: make(chan struct{})}
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
func (g *group[T, R]) enqueue(ctx context.Context, call *groupCall[T, R]) {
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
func (g *group[T, R]) carryAll(ctx context.Context) {
	for calls := g.take(); len(calls) > 0; calls = g.take() {
		g.carry(ctx, calls)
	}
}

// take removes what goes into one call. When nothing waits the carrier that
// asks is counted out.
func (g *group[T, R]) take() []*groupCall[T, R] {
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

func (g *group[T, R]) carry(ctx context.Context, calls []*groupCall[T, R]) {
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

// abandon takes a call that nobody waits for out of the queue, unless it is
// under way already.
func (g *group[T, R]) abandon(call *groupCall[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(c *groupCall[T, R]) bool { return c == call })
}

// close lets no call begin any more and returns when none is under way.
func (g *group[T, R]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.calls.Wait()
}

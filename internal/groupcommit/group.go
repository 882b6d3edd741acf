// Package groupcommit carries many small requests in few large transactions.
package groupcommit

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// Group turns concurrent small requests into few large ones: while a call is under
// way, the next one fills up, so batches grow with the load. It is safe for
// concurrent use.
type Group[T, R any] struct {
	do    func(ctx context.Context, items []T) ([]R, error) // one result for each item
	sizes Sizes
	calls sync.WaitGroup

	mu      sync.Mutex
	waiting []*request[T, R]
	size    int       // items that wait
	running int       // carriers
	began   time.Time // the last call
	closed  bool
}

// Sizes bound the calls of a Group.
type Sizes struct {
	Limit  int // items in one call, unless one request has more
	Calls  int // at a time
	Enough int // items that must wait for a call to begin beside another that is not late; 0: Limit

	// Gap is the least time from the beginning of one call to that of the next, for
	// it to fill up, unless Enough items wait. A request after a quiet time does not
	// wait.
	Gap time.Duration
}

type request[T, R any] struct {
	items   []T
	results []R
	err     error
	done    chan struct{}
}

// Timeout bounds a call. A call has no caller's context: it works for many.
const Timeout = 10 * time.Second

// New returns a group that calls do, which returns one result for each item.
func New[T, R any](sizes Sizes, do func(context.Context, []T) ([]R, error)) *Group[T, R] {
	if sizes.Enough == 0 {
		sizes.Enough = sizes.Limit
	}
	return &Group[T, R]{do: do, sizes: sizes}
}

// Do returns the results of items once the call that carried them is over. An
// error while ctx ends does not tell whether that call took place.
func (g *Group[T, R]) Do(ctx context.Context, items []T) ([]R, error) {
	call := &request[T, R]{items: items, done: make(chan struct{})}
	shared := context.WithoutCancel(ctx)
	g.enqueue(shared, call)
	impatient := time.NewTicker(patience)
	defer impatient.Stop()
	for {
		select {
		case <-call.done:
			return call.results, call.err
		case <-ctx.Done():
			g.abandon(call)
			return nil, context.Cause(ctx)
		case <-impatient.C:
			g.mu.Lock()
			g.launch(shared)
			g.mu.Unlock()
		}
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
	g.size += len(call.items)
	g.launch(ctx)
}

// patience is how long a call may take before another begins beside it, however
// little waits: one that waits for a lock must not keep the others.
const patience = 50 * time.Millisecond

// launch starts a carrier if there is reason to. mu is held.
func (g *Group[T, R]) launch(ctx context.Context) {
	if len(g.waiting) > 0 && (g.running == 0 || g.running < g.sizes.Calls && g.enough()) {
		g.running++
		g.calls.Go(func() { g.carryAll(ctx) })
	}
}

// enough reports whether what waits is worth a call beside others. mu is held.
func (g *Group[T, R]) enough() bool {
	return g.size >= g.sizes.Enough || time.Since(g.began) >= patience
}

// carryAll carries what waits until there is no need of this carrier.
func (g *Group[T, R]) carryAll(ctx context.Context) {
	for {
		calls, pause := g.take()
		switch {
		case len(calls) > 0:
			g.carry(ctx, calls)
		case pause > 0:
			time.Sleep(pause)
		default:
			return
		}
	}
}

// take removes what goes into one call, or returns how long that should wait for
// more. With neither the carrier that asks is counted out: nothing waits, or too
// little for a carrier beside others.
func (g *Group[T, R]) take() (taken []*request[T, R], pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	enough := g.enough()
	if len(g.waiting) == 0 || g.running > 1 && !enough {
		g.running--
		return nil, 0
	}
	if pause = time.Until(g.began.Add(g.sizes.Gap)); pause > 0 && !enough {
		return nil, pause
	}
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+len(g.waiting[n].items) <= g.sizes.Limit) {
		size += len(g.waiting[n].items)
		n++
	}
	taken = g.waiting[:n:n]
	g.waiting = slices.Clone(g.waiting[n:])
	g.size -= size
	g.began = time.Now()
	return taken, 0
}

func (g *Group[T, R]) carry(ctx context.Context, calls []*request[T, R]) {
	var items []T
	for _, c := range calls {
		items = append(items, c.items...)
	}
	results, err := g.call(ctx, items)
	for _, c := range calls {
		if c.err = err; err == nil {
			c.results, results = results[:len(c.items)], results[len(c.items):]
		}
		close(c.done)
	}
}

// call returns one result for each item, or an error, whatever do does: a fault of
// it must not end a process that works for others, too.
func (g *Group[T, R]) call(ctx context.Context, items []T) (results []R, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	defer func() {
		if fault := recover(); fault != nil {
			results, err = nil, fmt.Errorf("a panic in a shared call: %v\n%s", fault, debug.Stack())
		}
	}()
	results, err = g.do(ctx, items)
	if err == nil && len(results) != len(items) {
		err = fmt.Errorf("a shared call gave %d results for %d items", len(results), len(items))
	}
	return results, err
}

// abandon takes a call that nobody waits for out of the queue, unless it is
// under way already.
func (g *Group[T, R]) abandon(call *request[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, call); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.size -= len(call.items)
	}
}

// Close lets no call begin any more and returns when none is under way.
func (g *Group[T, R]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.calls.Wait()
}

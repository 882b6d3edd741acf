package scheduler

import "sync"

// background runs what follows from a commit beside the caller who has waited
// for it long enough. The zero value is ready to use.
type background struct {
	mu     sync.Mutex
	closed bool
	tasks  sync.WaitGroup
}

// Go runs f on a goroutine of its own. After close it does nothing: what is
// left out is advice, and found by the sweep.
func (b *background) Go(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.tasks.Go(f)
	}
}

// close waits for what runs and lets nothing more begin.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.tasks.Wait()
}

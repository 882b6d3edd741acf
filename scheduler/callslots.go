package scheduler

import (
	"context"
	"sync"
	"time"
)

// Bounds of HTTP calls under way on one replica: in all, and to one host, so
// that one that does not answer leaves room for the others.
const (
	callsAtATime = 256
	callsPerHost = 64
	// callPatience is how long a call waits for room here before another server
	// may have it.
	callPatience = time.Second
)

// callSlots counts calls under way.
type callSlots struct {
	all     chan struct{}
	perHost int

	mu    sync.Mutex
	hosts map[string]*hostSlots
}

// hostSlots are the places of one host.
type hostSlots struct {
	taken chan struct{}
	users int // who have a place or wait for one; guarded by callSlots.mu
}

func newCallSlots(all, perHost int) *callSlots {
	return &callSlots{all: make(chan struct{}, all), perHost: perHost, hosts: make(map[string]*hostSlots)}
}

// take waits for a place until ctx ends and returns how to give it back, nil if
// there was none.
func (c *callSlots) take(ctx context.Context, host string) (release func()) {
	h := c.enter(host)
	if !enter(ctx, h.taken) {
		c.leave(host, h)
		return nil
	}
	if !enter(ctx, c.all) {
		<-h.taken
		c.leave(host, h)
		return nil
	}
	return func() {
		<-c.all
		<-h.taken
		c.leave(host, h)
	}
}

func enter(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *callSlots) enter(host string) *hostSlots {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hosts[host]
	if h == nil {
		h = &hostSlots{taken: make(chan struct{}, c.perHost)}
		c.hosts[host] = h
	}
	h.users++
	return h
}

// leave forgets a host that nobody calls.
func (c *callSlots) leave(host string, h *hostSlots) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(c.hosts, host)
	}
}

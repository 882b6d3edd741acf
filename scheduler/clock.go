package scheduler

import (
	"sync"
	"time"
)

// storeClock estimates the store's clock and is never ahead of it, so that
// nothing fires early. A sample is a reading of the store's clock and the local
// instant at which it arrived: by then the store's clock showed that much or
// more. The highest such bound is the best one; it errs by the shortest trip of
// an answer, some 0.1 ms on a local network.
//
// Bounds age, because the two clocks drift and because the store's may be set
// back: only those of the present and the previous window count.
type storeClock struct {
	local func() time.Time // monotonic; its wall reading decides nothing

	mu       sync.Mutex
	origin   time.Time // local
	rotated  time.Time // local
	now, was time.Time // bounds of the store's clock at origin, of this window and the one before
}

const clockWindow = 5 * time.Second

func newStoreClock(local func() time.Time) *storeClock {
	at := local()
	return &storeClock{local: local, origin: at, rotated: at}
}

// Observe takes a reading that has just arrived.
func (c *storeClock) Observe(reading time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.local()
	if at.Sub(c.rotated) >= clockWindow {
		c.was, c.now, c.rotated = c.now, time.Time{}, at
	}
	if bound := reading.Add(-at.Sub(c.origin)); bound.After(c.now) {
		c.now = bound
	}
}

// Now returns the store's clock, or a little less; the zero time before the
// first reading.
func (c *storeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	bound := c.now
	if c.was.After(bound) {
		bound = c.was
	}
	if bound.IsZero() {
		return bound
	}
	return bound.Add(c.local().Sub(c.origin))
}

// Until returns how long it is until the store's clock certainly shows t.
func (c *storeClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

package scheduler

import (
	"sync"
	"time"
)

// storeClock estimates the store's clock and is never ahead of it, so that
// nothing fires early. A reading of the store's clock is a lower bound: when it
// arrives the store shows that much or more. A bound errs by the trip of the
// answer, some 0.1 ms on a local network, and loses by maxDrift for each second
// of its age. The highest of the latest bounds counts.
type storeClock struct {
	local func() time.Time // monotonic; its wall reading decides nothing

	mu     sync.Mutex
	bounds [8]bound // of the latest readings, so that a step back is forgotten with them
	next   int
}

type bound struct {
	store, at time.Time // the store's clock was at least so much at this local instant
}

// maxDrift is how much faster than the store's clock the local one may run, as
// a divisor: 1/5000 = 200 ppm. Crystals stay below 50 ppm.
const maxDrift = 5000

func newStoreClock(local func() time.Time) *storeClock { return &storeClock{local: local} }

// Observe takes a reading that has just arrived.
func (c *storeClock) Observe(reading time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounds[c.next] = bound{reading, c.local()}
	c.next = (c.next + 1) % len(c.bounds)
}

// Now returns the store's clock, or a little less; the zero time before the
// first reading.
func (c *storeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	local := c.local()
	var best time.Time
	for _, b := range c.bounds {
		if b.store.IsZero() {
			continue
		}
		age := local.Sub(b.at)
		if now := b.store.Add(age - age/maxDrift); now.After(best) {
			best = now
		}
	}
	return best
}

// Silent returns how long ago the latest reading arrived.
func (c *storeClock) Silent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	latest := c.bounds[(c.next+len(c.bounds)-1)%len(c.bounds)]
	return c.local().Sub(latest.at)
}

// Until returns how long it is until the store's clock certainly shows t.
func (c *storeClock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

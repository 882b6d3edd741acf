package worker

import (
	"sync/atomic"
	"time"
)

// clockSamples is how many beats the estimate of the server's clock looks back.
const clockSamples = 8

// serverClock estimates the server's clock. The local wall clock is read once,
// at the start; from then on only the monotonic clock counts, so that setting
// the machine's time changes nothing.
type serverClock struct {
	origin time.Time
	offset atomic.Int64 // nanoseconds that the server is ahead of origin's clock
	known  atomic.Bool  // there was a sample

	samples []clockSample // the latest, oldest first; only the beat loop touches them
}

type clockSample struct {
	offset, trip time.Duration
}

func newServerClock(origin time.Time) *serverClock { return &serverClock{origin: origin} }

// at returns the server's time at the local instant t, in UTC. Before the first
// sample that is the local time.
func (c *serverClock) at(t time.Time) time.Time {
	return c.origin.Round(0).Add(t.Sub(c.origin) + time.Duration(c.offset.Load())).UTC()
}

// set reports whether the server has told its time yet.
func (c *serverClock) set() bool { return c.known.Load() }

// observe takes the server's time out of an answer. As in NTP (RFC 5905,
// section 8) it is taken to be the time half-way between request and answer,
// which is wrong by half the round trip at most; of the latest samples the one
// with the shortest trip is therefore the best.
func (c *serverClock) observe(sent, received, server time.Time) {
	trip := received.Sub(sent)
	local := c.origin.Round(0).Add(sent.Sub(c.origin) + trip/2)
	c.samples = append(c.samples, clockSample{offset: server.Sub(local), trip: trip})
	if len(c.samples) > clockSamples {
		c.samples = append(c.samples[:0], c.samples[1:]...)
	}
	best := c.samples[0]
	for _, s := range c.samples[1:] {
		if s.trip <= best.trip {
			best = s
		}
	}
	c.offset.Store(int64(best.offset))
	c.known.Store(true)
}

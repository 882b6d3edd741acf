package worker

import (
	"sync/atomic"
	"time"

	"github.com/firjob/firjob/internal/clockfault"
)

// clockSamples is how many beats the estimate of the server's clock looks back.
const clockSamples = 8

// serverClock estimates the server's clock. The local wall clock is read once,
// at the start; from then on only the monotonic clock counts, so that setting
// the machine's time changes nothing.
type serverClock struct {
	origin time.Time
	fault  clockfault.Fault // none but in tests
	offset atomic.Int64     // nanoseconds that the server is ahead of the local clock; 0: not told yet
	known  atomic.Bool      // there was a sample

	samples []clockSample // the latest, oldest first; only the beat loop touches them
}

type clockSample struct {
	offset, trip time.Duration
}

func newServerClock(origin time.Time) *serverClock { return &serverClock{origin: origin} }

// at returns the server's time at the local instant t, in UTC. Before the server
// has told it, that is the local time.
func (c *serverClock) at(t time.Time) time.Time {
	return c.local(t).Add(time.Duration(c.offset.Load())).UTC()
}

// local returns what the local wall clock shows at t, if nobody has set it since
// the start.
func (c *serverClock) local(t time.Time) time.Time {
	elapsed := t.Sub(c.origin)
	return c.origin.Round(0).Add(c.fault.Offset + elapsed + elapsed*time.Duration(c.fault.Drift)/1e6)
}

// set reports whether the server has told its time yet.
func (c *serverClock) set() bool { return c.known.Load() }

// hear takes the server's time out of a request that has come before any answer,
// so that what is reported until then is not told by a local clock that may be
// wrong. It is late by the request's way here; the first answer replaces it.
func (c *serverClock) hear(received, server time.Time) {
	if !server.IsZero() && !c.known.Load() {
		c.offset.CompareAndSwap(0, int64(server.Sub(c.local(received))))
	}
}

// observe takes the server's time out of an answer. As in NTP (RFC 5905,
// section 8) it is taken to be the time half-way between request and answer,
// which is wrong by half the round trip at most; of the latest samples the one
// with the shortest trip is therefore the best.
func (c *serverClock) observe(sent, received, server time.Time) {
	trip := received.Sub(sent)
	c.samples = append(c.samples, clockSample{offset: server.Sub(c.local(sent.Add(trip / 2))), trip: trip})
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

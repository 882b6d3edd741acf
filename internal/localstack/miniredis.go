package localstack

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// expiryEvery is how finely the stand-in's keys expire. Each pass costs about
// 1.4 ms at 5,000 keys.
const expiryEvery = 50 * time.Millisecond

// Miniredis is a Redis stand-in inside this process, for machines without one.
// It is slow beyond some 10,000 entries, keeps nothing, and accepts commands
// that a cluster would refuse.
type Miniredis struct {
	server *miniredis.Miniredis
	addr   string
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once
}

// StartMiniredis starts the stand-in on a loopback address; "127.0.0.1:0" takes
// a free port. It runs until Stop or until ctx ends.
func StartMiniredis(ctx context.Context, addr string) (*Miniredis, error) {
	m := &Miniredis{server: miniredis.NewMiniRedis(), quit: make(chan struct{}), done: make(chan struct{})}
	if err := m.server.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("start miniredis: %w", err)
	}
	m.addr = m.server.Addr() // it has none once it is stopped
	go m.run(ctx)
	return m, nil
}

// run moves the stand-in's clock: its keys expire only when told how much time
// has passed.
func (m *Miniredis) run(ctx context.Context) {
	defer close(m.done)
	defer m.server.Close()
	tick := time.NewTicker(expiryEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-m.quit:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			m.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// URL is the address as clients take it: redis://127.0.0.1:PORT.
func (m *Miniredis) URL() string { return "redis://" + m.Addr() }

// Addr is 127.0.0.1:PORT.
func (m *Miniredis) Addr() string { return m.addr }

// Stop closes every connection and waits until the stand-in has ended, or ctx.
func (m *Miniredis) Stop(ctx context.Context) error {
	m.once.Do(func() { close(m.quit) })
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop miniredis: %w", context.Cause(ctx))
	}
}

package chaos

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Fault is what a link does to the bytes that pass.
type Fault struct {
	Delay   time.Duration // of each piece, in both directions
	Cut     bool          // connections break, and new ones are refused
	Swallow Direction     // what goes this way is taken and never delivered; the connections stay up
	// HalfOpen makes connections, the new ones, too, take everything and answer
	// nothing. Nothing ever ends them but their caller, also after the fault: so it
	// is when the other machine has vanished.
	HalfOpen bool
	Loss     float64 // this share of pieces is lost, as TCP shows it: they come late, and what is behind them, too
}

// Direction is a way through a link.
type Direction int

// The directions, for Fault.Swallow.
const (
	Neither Direction = iota
	ToTarget
	FromTarget
	Both
)

func (d Direction) includes(other Direction) bool { return d == other || d == Both }

// Link is a TCP proxy to one target that can be told to misbehave. netem, which
// would do this in the kernel, is not to be had everywhere.
type Link struct {
	listener        net.Listener
	network, target string

	mu      sync.Mutex
	random  *rand.Rand
	fault   Fault
	changed chan struct{} // closed when fault changes
	open    map[net.Conn]struct{}
	closed  bool
	pumps   sync.WaitGroup
}

// NewLink listens at a free port of 127.0.0.1 and passes on to the target.
// network is "tcp" or "unix"; random decides which pieces are lost.
func NewLink(network, target string, random *rand.Rand) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a link: %w", err)
	}
	l := &Link{listener: listener, network: network, target: target, random: random, changed: make(chan struct{}),
		open: map[net.Conn]struct{}{}}
	l.pumps.Go(l.accept)
	return l, nil
}

// Addr is where the link is reached.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Set makes the link behave as f says from now on; the zero Fault is none.
func (l *Link) Set(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
	close(l.changed)
	l.changed = make(chan struct{})
	if f.Cut {
		l.breakAll()
	}
}

// breakAll closes every connection; mu is held.
func (l *Link) breakAll() {
	for conn := range l.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as a dead peer's network gives
		}
		_ = conn.Close()
	}
}

func (l *Link) state() (Fault, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault, l.changed
}

// Close breaks every connection and waits for the pumps.
func (l *Link) Close() error {
	err := l.listener.Close()
	l.mu.Lock()
	l.closed = true
	close(l.changed)
	l.changed = make(chan struct{})
	l.breakAll()
	l.mu.Unlock()
	l.pumps.Wait()
	return err
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l.pumps.Go(func() { l.serve(conn) })
	}
}

func (l *Link) serve(near net.Conn) {
	defer near.Close()
	f, _ := l.state()
	if f.Cut || !l.enter(near) {
		return
	}
	defer l.leave(near)
	if f.HalfOpen {
		_, _ = io.Copy(io.Discard, near) // until the caller or Close ends it
		return
	}
	far, err := net.Dial(l.network, l.target)
	if err != nil || !l.enter(far) {
		return
	}
	defer far.Close()
	defer l.leave(far)
	var both sync.WaitGroup
	both.Go(func() { l.pump(far, near, ToTarget) })
	both.Go(func() { l.pump(near, far, FromTarget) })
	both.Wait()
}

// enter notes a connection, unless the link is closed.
func (l *Link) enter(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

func (l *Link) leave(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
}

// pump carries bytes one way until either side ends.
func (l *Link) pump(to, from net.Conn, way Direction) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if err := l.deliver(to, buffer[:n], way); errors.Is(err, errVanished) {
				_, _ = io.Copy(io.Discard, from)
				return
			} else if err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver passes a piece on as the present fault allows. What is swallowed stays
// swallowed: a stream that has lost a piece is broken when the fault is undone,
// as after a partition that outlasted the peer's patience.
func (l *Link) deliver(to net.Conn, piece []byte, way Direction) error {
	fault, changed := l.state()
	if fault.HalfOpen {
		return errVanished
	}
	if delay := fault.Delay + l.retransmission(fault.Loss); delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-changed:
		}
	}
	if fault.Swallow.includes(way) && fault.Swallow != Neither {
		<-changed
		return io.ErrClosedPipe
	}
	_, err := to.Write(piece)
	return err
}

// errVanished says that nothing is to go through a connection any more.
var errVanished = errors.New("the other side has vanished")

// firstRetransmission is the least that TCP waits before it sends a lost segment
// again, on Linux. Each further loss of the same segment doubles it.
const firstRetransmission = 200 * time.Millisecond

// retransmission draws how late a piece comes if this share of segments is lost.
func (l *Link) retransmission(loss float64) (delay time.Duration) {
	if loss == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for wait := firstRetransmission; l.random.Float64() < loss; wait *= 2 {
		delay += wait
	}
	return delay
}

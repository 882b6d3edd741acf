package chaos_test

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/firjob/firjob/lab/chaos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo listens and sends every line back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func newLink(t *testing.T) *chaos.Link {
	t.Helper()
	l, err := chaos.NewLink("tcp", echo(t), rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// say sends a line over conn and returns how long the answer took.
func say(conn net.Conn, patience time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := conn.SetDeadline(began.Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return 0, err
	}
	_, err := bufio.NewReader(conn).ReadString('\n')
	return time.Since(began), err
}

func dial(t *testing.T, l *chaos.Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestLinkPassesAndDelays(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	conn := dial(t, l)
	if _, err := say(conn, 5*time.Second); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	l.Set(chaos.Fault{Delay: 60 * time.Millisecond})
	if took, err := say(conn, 5*time.Second); err != nil || took < 120*time.Millisecond {
		t.Errorf("with a delay of 60 ms each way the answer took %v, %v", took, err)
	}
	l.Set(chaos.Fault{})
	if _, err := say(conn, 5*time.Second); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestLinkCuts(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	conn := dial(t, l)
	if _, err := say(conn, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	l.Set(chaos.Fault{Cut: true})
	if _, err := say(conn, 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an open connection: got %v, want it broken", err)
	}
	if _, err := say(dial(t, l), 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection: got %v, want it broken", err)
	}
	l.Set(chaos.Fault{})
	if _, err := say(dial(t, l), 5*time.Second); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestLinkSwallows(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]chaos.Direction{"requests": chaos.ToTarget, "answers": chaos.FromTarget, "both": chaos.Both} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLink(t)
			conn := dial(t, l)
			if _, err := say(conn, 5*time.Second); err != nil {
				t.Fatal(err)
			}
			l.Set(chaos.Fault{Swallow: way})
			if _, err := say(conn, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want silence", err)
			}
			l.Set(chaos.Fault{})
			if _, err := say(dial(t, l), 5*time.Second); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// The silence outlasts the fault: what was half open stays so until its caller
// gives up.
func TestLinkHalfOpens(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	before := dial(t, l)
	if _, err := say(before, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	l.Set(chaos.Fault{HalfOpen: true})
	during := dial(t, l)
	for name, conn := range map[string]net.Conn{"an open connection": before, "a new connection": during} {
		if _, err := say(conn, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v, want silence", name, err)
		}
	}
	l.Set(chaos.Fault{})
	for name, conn := range map[string]net.Conn{"an open connection": before, "a new connection": during} {
		if _, err := say(conn, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s, after the fault: got %v, want silence", name, err)
		}
	}
	if _, err := say(dial(t, l), 5*time.Second); err != nil {
		t.Errorf("a connection made after it: %v", err)
	}
}

// With a seed of its own, some of the answers come late, by the waits of TCP, and
// all come.
func TestLinkLoses(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	l.Set(chaos.Fault{Loss: 0.1})
	conn, late := dial(t, l), 0
	for range 60 {
		took, err := say(conn, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if took >= 200*time.Millisecond {
			late++
		}
	}
	if late < 3 || late > 30 {
		t.Errorf("%d of 60 answers were late, want some 11", late)
	}
}

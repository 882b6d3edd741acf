package cluster_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob/internal/cluster"
)

// Each server holds a line to Redis and a session with Postgres, which end with its
// process and not with its breath: by that others tell, within a second, one that was
// killed from one that is slow.
func TestServersHoldTheirLines(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 1})
	s.until(5*time.Second, "each server holds a line", func() bool { return s.lines() == 3 && s.sessions() == 3 })
	must(t, s.Servers[0].Pause())
	must(t, s.Servers[1].Kill())
	s.until(5*time.Second, "the line of the killed server has ended", func() bool { return s.lines() == 2 && s.sessions() == 2 })
	must(t, s.Servers[0].Resume())
	must(t, s.Servers[2].Stop(t.Context()))
	s.until(5*time.Second, "the line of the stopped server has ended", func() bool { return s.lines() == 1 && s.sessions() == 1 })
}

// A server that loses Redis alone, and with it its line, is not dead: the others
// see that it has sessions with Postgres, and do not make its calls again.
func TestAServerThatLosesItsLineKeepsItsCalls(t *testing.T) {
	const jobs, takes, away = 8, 5 * time.Second, 1500 * time.Millisecond // its beats come again before silence is believed
	g := &gate{open: true}
	t.Cleanup(g.close) // after the cluster has stopped
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1, ServerEnv: loopbackAllowed(), Between: func(process, service, address string) (string, error) {
		if process != "server-1" || service != "redis" {
			return address, nil
		}
		return g.before(address)
	}})
	s.until(5*time.Second, "each server holds a line", func() bool { return s.lines() == 2 })
	time.Sleep(4 * time.Second) // until they judge each other
	c, all := s.callsUnderWay(jobs, takes)
	g.set(false)
	s.until(5*time.Second, "the line of the server without Redis has ended", func() bool { return s.lines() == 1 })
	time.Sleep(away)
	g.set(true)
	s.wantMadeOnce(c, all)
}

// gate passes connections on, or closes them as long as it is shut.
type gate struct {
	mu       sync.Mutex
	open     bool
	listener net.Listener
	conns    []net.Conn
	passes   sync.WaitGroup
}

// before puts the gate before the server of a URL, and returns the URL to use.
func (g *gate) before(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	to := u.Host
	if g.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return "", err
	}
	u.Host = g.listener.Addr().String()
	g.passes.Go(func() {
		for {
			in, err := g.listener.Accept()
			if err != nil {
				return
			}
			g.pass(in, to)
		}
	})
	return u.String(), nil
}

func (g *gate) pass(in net.Conn, to string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out, err := net.Dial("tcp", to)
	if err != nil || !g.open {
		_ = in.Close()
		if err == nil {
			_ = out.Close()
		}
		return
	}
	g.conns = append(g.conns, in, out)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		g.passes.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
}

// set opens the gate or shuts it.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if !open {
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.conns = nil
	}
}

func (g *gate) close() {
	if g.listener != nil {
		_ = g.listener.Close()
	}
	g.set(false)
	g.passes.Wait()
}

// sessions counts the servers that are connected to Postgres.
func (s *stage) sessions() (n int) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.DatabaseURL)
	must(s.t, err)
	defer conn.Close(s.t.Context())
	must(s.t, conn.QueryRow(s.t.Context(), `SELECT count(DISTINCT application_name) FROM pg_stat_activity
		WHERE application_name LIKE 'firjob %' AND datname = current_database()`).Scan(&n))
	return n
}

// lines asks Redis how many lines are held.
func (s *stage) lines() int {
	s.t.Helper()
	u, err := url.Parse(s.RedisURL)
	must(s.t, err)
	conn, err := net.Dial("tcp", u.Host)
	must(s.t, err)
	defer conn.Close()
	must(s.t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	_, err = fmt.Fprint(conn, "PUBSUB CHANNELS fj:line:*\r\n")
	must(s.t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	must(s.t, err)
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(answer, "*")))
	must(s.t, err)
	return n
}

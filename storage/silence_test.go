package storage_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage"
)

// silentAfter is how long a caller of the hot path may be kept by a host that
// does not answer, on a machine that is busy.
const silentAfter = 15 * time.Second

// A host that takes connections and says nothing keeps nobody for long.
func TestHostThatNeverAnswers(t *testing.T) {
	t.Parallel()
	host := newRelay(t, "", "")
	host.fallSilent()
	callsEnd(t, host.open("user=firjob dbname=firjob sslmode=disable"))
}

// Nor does one that falls silent with connections open.
func TestHostThatFallsSilent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	host := newRelay(t, network, address)
	db := host.open(fmt.Sprintf("user=%s password='%s' dbname=%s sslmode=disable", config.User, config.Password, config.Database))
	if _, err := db.Now(t.Context()); err != nil {
		t.Fatal(err)
	}
	host.fallSilent()
	callsEnd(t, db)
}

func callsEnd(t *testing.T, db *storage.DB) {
	t.Helper()
	ids := []firjob.ExecutionID{firjob.Fire(1, time.Now())}
	calls := map[string]func() error{
		"now":     func() error { _, err := db.Now(t.Context()); return err },
		"claim":   func() error { _, err := db.Claim(t.Context(), ids, claimBy("r")); return err },
		"overdue": func() error { _, err := db.Overdue(t.Context(), 0, 10); return err },
	}
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() {
			began := time.Now()
			err := call()
			if took := time.Since(began); took > silentAfter || firjob.CodeOf(err) != firjob.CodeUnavailable {
				t.Errorf("%s: got %v of code %q after %v; want unavailable within %v", name, err, firjob.CodeOf(err), took, silentAfter)
			}
		})
	}
	all.Wait()
}

// relay is a host that passes everything on to another, until it falls silent:
// then it takes connections and bytes and does nothing with them.
type relay struct {
	t        *testing.T
	listener net.Listener
	to       [2]string // network and address
	silent   chan struct{}
	accepts  sync.WaitGroup
	passes   sync.WaitGroup
	conns    []net.Conn // of accept, until it ends
}

func newRelay(t *testing.T, network, address string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, listener: listener, to: [2]string{network, address}, silent: make(chan struct{})}
	r.accepts.Go(r.accept)
	return r
}

// open returns a handle on the database through the relay. The relay ends
// first, so that the handle need not wait for it.
func (r *relay) open(dsn string) *storage.DB {
	r.t.Helper()
	address := r.listener.Addr().(*net.TCPAddr)
	db, err := storage.Open(r.t.Context(), storage.Options{URL: fmt.Sprintf("host=%s port=%d %s", address.IP, address.Port, dsn), MaxConns: 8})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(db.Close)
	r.t.Cleanup(r.close)
	return db
}

func (r *relay) fallSilent() { close(r.silent) }

func (r *relay) close() {
	_ = r.listener.Close()
	r.accepts.Wait()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.passes.Wait()
}

func (r *relay) accept() {
	for {
		in, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.conns = append(r.conns, in)
		select {
		case <-r.silent:
			continue
		default:
		}
		out, err := net.Dial(r.to[0], r.to[1])
		if err != nil {
			r.t.Error(err)
			return
		}
		r.conns = append(r.conns, out)
		r.passes.Go(func() { r.pass(in, out) })
		r.passes.Go(func() { r.pass(out, in) })
	}
}

func (r *relay) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-r.silent:
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

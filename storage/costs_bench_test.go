package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage"
)

// BenchmarkCosts measures what one execution costs Postgres in bytes: of WAL by
// step, of table and indexes, and on the wire. The coefficients of
// lab/capacity come from here:
//
//	go test ./storage -run '^$' -bench 'Costs$' -benchtime 200x
//
// is 102,400 executions a case.
func BenchmarkCosts(b *testing.B) {
	for _, c := range []struct {
		name   string
		result int  // bytes
		held   bool // a beat names it before it ends
	}{
		{"plain", 0, false},
		{"result of 1000 bytes", 1000, false},
		{"held", 0, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := newMeter(b)
			for b.Loop() {
				m.round(c.result, c.held)
			}
			m.report()
		})
	}
}

// BenchmarkCostsOfSeldomJobs measures what a plan adds to the WAL for a job that
// no other job near it was planned with since the last checkpoint: pages are then
// written whole.
func BenchmarkCostsOfSeldomJobs(b *testing.B) {
	const jobs, planned = 1_000_000, 4 * firjob.MaxBatch
	s := newStoreOf(b, localstack.PostgresOptions{Ephemeral: true, Settings: map[string]string{"full_page_writes": "on"}})
	ids := s.jobsInBulk(jobs)
	m := &meter{store: s, b: b, wal: map[string]int64{}, bytes: map[string]int64{}, wire: &tap{}}
	var err error
	if m.probe, err = pgx.Connect(b.Context(), s.url); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.probe.Close(context.WithoutCancel(b.Context())) })
	for b.Loop() {
		rand.Shuffle(jobs, func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		s.exec(`CHECKPOINT`)
		m.step("seldom", func() error {
			_, err := s.PlanJobs(b.Context(), ids[:planned], time.Hour, planner())
			return err
		})
		m.rounds++
	}
	b.ReportMetric(float64(m.wal["seldom"])/float64(m.rounds*planned), "seldom-WAL-B")
}

// newStoreOf makes a store on a server of its own.
func newStoreOf(b *testing.B, options localstack.PostgresOptions) *store {
	b.Helper()
	pg, err := localstack.StartPostgres(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := pg.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Errorf("stop postgres: %v", err)
		}
	})
	s := &store{t: b, url: pg.URL("postgres")}
	if err := storage.Migrate(b.Context(), s.url); err != nil {
		b.Fatal(err)
	}
	s.DB = s.open()
	if _, err := s.CreateApp(b.Context(), app, []byte("hash"), []byte("key")); err != nil {
		b.Fatal(err)
	}
	return s
}

// meter reads what steps add to the WAL and to the wire.
type meter struct {
	*store
	b      *testing.B
	probe  *pgx.Conn
	wire   *tap
	jobs   []firjob.JobID
	stored float64 // bytes of a job before its first fire
	from   time.Time
	rounds int
	wal    map[string]int64
	bytes  map[string]int64
}

func newMeter(b *testing.B) *meter {
	b.Helper()
	s := newStore(b)
	m := &meter{store: s, b: b, wal: map[string]int64{}, bytes: map[string]int64{}}
	m.jobs = s.jobsInBulk(benchJobs)
	var err error
	if m.probe, err = pgx.Connect(b.Context(), s.url); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.probe.Close(context.WithoutCancel(b.Context())) })
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		b.Fatal(err)
	}
	m.wire = newTap(b, config.Host, config.Port)
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=%s password='%s' dbname=%s sslmode=disable",
		m.wire.port(), config.User, config.Password, config.Database)
	if m.DB, err = storage.Open(b.Context(), storage.Options{URL: dsn, MaxConns: 4}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.DB.Close)
	m.stored = float64(m.read("SELECT pg_total_relation_size('jobs')")) / benchJobs
	m.from = s.now().Add(-time.Minute)
	return m
}

// read returns the one number that sql yields.
func (m *meter) read(sql string) (n int64) {
	m.b.Helper()
	if err := m.probe.QueryRow(m.b.Context(), sql).Scan(&n); err != nil {
		m.b.Fatal(err)
	}
	return n
}

// step runs do and notes what it adds.
func (m *meter) step(name string, do func() error) {
	m.b.Helper()
	const written = `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`
	wal, wire := m.read(written), m.wire.passed.Load()
	if err := do(); err != nil {
		m.b.Fatalf("%s: %v", name, err)
	}
	m.wal[name] += m.read(written) - wal
	m.bytes[name] += m.wire.passed.Load() - wire
}

// round takes one batch the whole way.
func (m *meter) round(result int, held bool) {
	m.b.Helper()
	ctx := m.b.Context()
	part := m.jobs[m.rounds*firjob.MaxBatch%(benchJobs-firjob.MaxBatch):][:firjob.MaxBatch]
	at := m.from.Add(time.Duration(m.rounds) * time.Millisecond)
	m.rounds++
	m.step("advance", func() error {
		_, err := m.PlanJobs(ctx, part, time.Hour, planner())
		return err
	})
	var ids []firjob.ExecutionID
	m.step("plan", func() error {
		due, err := m.PlanJobs(ctx, part, time.Hour, planner(at))
		ids = idsOf(due)
		return err
	})
	var claimed ports.ClaimResult
	m.step("claim", func() (err error) {
		claimed, err = m.Claim(ctx, ids, claimBy("r"))
		return err
	})
	if len(claimed.Claimed) != firjob.MaxBatch {
		m.b.Fatalf("claimed %d of %d", len(claimed.Claimed), firjob.MaxBatch)
	}
	if held {
		m.step("hold", func() error { return m.hold(claimed.Claimed) })
	}
	items := successesOf(claimed.Claimed, m.from)
	for i := range items {
		items[i].Result.Result = bodyOf(result, i)
	}
	m.step("finish", func() error {
		_, err := m.Finish(ctx, items)
		return err
	})
}

func (m *meter) hold(claimed []ports.Claimed) error {
	held := make([]ports.Held, len(claimed))
	for i, c := range claimed {
		held[i] = ports.Held{Executor: executor, Attempt: firjob.AttemptRef{ID: c.Trigger.ID, Token: c.Trigger.Token}}
	}
	_, err := m.Hold(m.b.Context(), held, 30*time.Second)
	return err
}

// bodyOf is a JSON text of n bytes that differs from row to row; none if n is 0.
func bodyOf(n, i int) json.RawMessage {
	if n == 0 {
		return nil
	}
	text := fmt.Sprintf("%08x", uint32(i)*2654435761)
	return json.RawMessage(`"` + strings.Repeat(text, n/len(text)+1)[:n-2] + `"`)
}

// report gives the bytes of one execution. "advance" is what a plan costs a job,
// whether it records one fire of it or many; "insert" is the rest of the plan.
func (m *meter) report() {
	rows := float64(m.rounds * firjob.MaxBatch)
	m.wal["insert"] = m.wal["plan"] - m.wal["advance"]
	m.bytes["insert"] = m.bytes["plan"] - m.bytes["advance"]
	for _, name := range []string{"advance", "insert", "claim", "hold", "finish"} {
		if m.wal[name] > 0 {
			m.b.ReportMetric(float64(m.wal[name])/rows, name+"-WAL-B")
			m.b.ReportMetric(float64(m.bytes[name])/rows, name+"-wire-B")
		}
	}
	const partitions = ` FROM pg_inherits WHERE inhparent = 'executions'::regclass`
	m.b.ReportMetric(float64(m.read(`SELECT sum(pg_table_size(inhrelid))`+partitions))/rows, "table-B")
	m.b.ReportMetric(float64(m.read(`SELECT sum(pg_indexes_size(inhrelid))`+partitions))/rows, "index-B")
	m.b.ReportMetric(m.stored, "job-B")
}

// tap passes bytes between a port of its own and Postgres, and counts them.
type tap struct {
	listener net.Listener
	passed   atomic.Int64
	all      sync.WaitGroup
}

func newTap(b *testing.B, host string, port uint16) *tap {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	t := &tap{listener: listener}
	network, address := pgconn.NetworkAddress(host, port)
	t.all.Go(func() { t.accept(network, address) })
	b.Cleanup(func() {
		_ = listener.Close()
		t.all.Wait()
	})
	return t
}

func (t *tap) port() int { return t.listener.Addr().(*net.TCPAddr).Port }

func (t *tap) accept(network, address string) {
	for {
		in, err := t.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial(network, address)
		if err != nil {
			_ = in.Close() // the caller's statement fails, and says so
			continue
		}
		t.all.Go(func() { t.pass(in, out) })
		t.all.Go(func() { t.pass(out, in) })
	}
}

func (t *tap) pass(from, to net.Conn) {
	_, _ = io.Copy(io.MultiWriter(to, t), from) // ends when either side does
	_, _ = from.Close(), to.Close()
}

// Write counts.
func (t *tap) Write(p []byte) (int, error) {
	t.passed.Add(int64(len(p)))
	return len(p), nil
}

package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func postgresClasses() []class {
	postgres := just("postgres")
	return []class{
		{"postgres-crash", postgres, spell, crashPostgres, nil},
		{"postgres-pause", postgres, aroundLease, pausePostgres, nil},
		{"postgres-pause-backend", postgres, aroundLease, pauseBackend, nil},
		{"postgres-locks", postgres, aroundLease, lockTables, nil},
		{"postgres-full", postgres, spell, takeConnections, nil},
		{"postgres-disk-full", postgres, spell, fillDisk, nil},
		{"postgres-promote", postgres, spell, promoteStandby, nil},
		{"postgres-standby-pause", postgres, aroundLease, pauseStandby, nil},
		{"postgres-cut", toStore("postgres"), spell, fault(Fault{Cut: true}), nil},
		{"postgres-mute", toStore("postgres"), spell, fault(Fault{Swallow: FromTarget}), nil},
		{"postgres-deaf", toStore("postgres"), spell, fault(Fault{Swallow: ToTarget}), nil},
		{"postgres-half-open", toStore("postgres"), spell, fault(Fault{HalfOpen: true}), nil},
		{"postgres-lossy", toStore("postgres"), spell, fault(Fault{Loss: 0.02}), nil},
		{"postgres-slow", toStore("postgres"), spell, fault(Fault{Delay: 40 * time.Millisecond}), nil},
	}
}

// connect opens a session beside those of the servers.
func (s *stage) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return pgx.Connect(ctx, s.stores.databaseURL)
}

func crashPostgres(_ context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	return s.stores.postgres.Restart, s.stores.postgres.Kill()
}

func pausePostgres(_ context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	return func(context.Context) error { return s.stores.postgres.Resume() }, s.stores.postgres.Pause()
}

// pauseBackend stops one of the processes that serve the servers' connections, in
// the midst of what it does and with the locks that it holds.
func pauseBackend(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx,
		`SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'firjob %' ORDER BY state <> 'active', pid`)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, errors.New("no server is connected to postgres")
	}
	pid := pids[f.Draw%uint64(min(len(pids), 6))]
	return func(context.Context) error {
		if err := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return nil
	}, syscall.Kill(pid, syscall.SIGSTOP)
}

// lockTables holds the tables that everything needs. Servers take them in another
// order, so Postgres may end either side; ours asks again.
func lockTables(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	const tries = 10
	for i := 1; ; i++ {
		_, err = conn.Exec(ctx, `BEGIN; LOCK TABLE jobs, executions IN ACCESS EXCLUSIVE MODE`)
		// deadlock_detected
		if pg := new(pgconn.PgError); err == nil || i == tries || !errors.As(err, &pg) || pg.Code != "40P01" {
			break
		}
		_, _ = conn.Exec(ctx, `ROLLBACK`) // what is wrong with the connection, the next try tells
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn.Close, nil
}

// takeConnections ends the servers' sessions and takes every place, so that there
// is none to come back to.
func takeConnections(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	first, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	held := &sessions{open: []*pgx.Conn{first}}
	held.takeAll(ctx, s)
	_, err = first.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name LIKE 'firjob%'`)
	if err != nil {
		return nil, errors.Join(err, held.close(ctx))
	}
	held.takeAll(ctx, s)
	return held.close, nil
}

// sessions are connections that do nothing.
type sessions struct {
	mu   sync.Mutex
	open []*pgx.Conn
}

// takeAll takes connections, several at a time, until none is to be had.
func (h *sessions) takeAll(ctx context.Context, s *stage) {
	const side = 8
	var takers sync.WaitGroup
	for range side {
		takers.Go(func() {
			for {
				conn, err := s.connect(ctx)
				if err != nil {
					return // no place is left
				}
				h.mu.Lock()
				h.open = append(h.open, conn)
				h.mu.Unlock()
			}
		})
	}
	takers.Wait()
}

func (h *sessions) close(ctx context.Context) error {
	var errs []error
	for _, conn := range h.open {
		errs = append(errs, conn.Close(ctx))
	}
	return errors.Join(errs...)
}

// fillDisk leaves no room on the file system of the database. Postgres may end
// itself over that; it is then started again once there is room.
func fillDisk(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	if s.stores.disk == nil {
		return nil, errNotHere
	}
	return func(ctx context.Context) error {
		if err := s.stores.disk.free(); err != nil {
			return err
		}
		return s.until(ctx, "postgres works again", func() (bool, error) {
			select {
			case <-s.stores.postgres.Done():
				return false, s.stores.postgres.Restart(ctx)
			default:
			}
			conn, err := s.connect(ctx)
			if err != nil {
				return false, nil
			}
			_, err = conn.Exec(ctx, `CREATE TEMPORARY TABLE room AS SELECT 1`)
			return err == nil, conn.Close(ctx)
		})
	}, s.stores.disk.fill()
}

// errNotHere says that this machine cannot do a fault.
var errNotHere = errors.New("this machine cannot do it")

// backends counts the client sessions of the database, this one left out.
func (s *stage) backends(ctx context.Context) (n float64, err error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the sessions of postgres: %w", err)
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
		AND pid <> pg_backend_pid()`).Scan(&n)
	return n, err
}

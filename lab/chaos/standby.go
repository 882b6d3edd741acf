package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob/internal/localstack"
)

// address is where Postgres is reached, whichever of the two servers is the
// primary: a folder with a link to the socket of one. It does what a floating
// address or the name of a service does elsewhere.
type address struct {
	dir string
	of  *localstack.Postgres
}

func newAddress(of *localstack.Postgres) (*address, error) {
	dir, err := os.MkdirTemp("/tmp", "firjob-address-") // short, for the sake of the socket's path
	if err != nil {
		return nil, fmt.Errorf("make an address for postgres: %w", err)
	}
	a := &address{dir: dir}
	return a, a.move(of)
}

// move makes the address that of another server, for new connections.
func (a *address) move(to *localstack.Postgres) error {
	next, link := filepath.Join(a.dir, "next"), filepath.Join(a.dir, filepath.Base(to.Socket()))
	if err := errors.Join(os.Symlink(to.Socket(), next), os.Rename(next, link)); err != nil {
		return fmt.Errorf("move the address of postgres: %w", err)
	}
	a.of = to
	return nil
}

// url is the connection string of the database "postgres".
func (a *address) url() string {
	u, _ := url.Parse(a.of.URL("postgres")) // as the server itself has written it
	q := u.Query()
	q.Set("host", a.dir)
	u.RawQuery = q.Encode()
	return u.String()
}

func (a *address) remove() error { return os.RemoveAll(a.dir) }

// follow makes a standby of the primary and, once it has all, has the primary
// acknowledge no commit that the standby has not flushed.
func (s *stores) follow(ctx context.Context) (err error) {
	if s.standby, err = localstack.StartPostgres(ctx, s.postgresOptions(s.standbyDisk, s.postgres)); err != nil {
		return fmt.Errorf("make a standby: %w", err)
	}
	conn, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return fmt.Errorf("make the standby synchronous: %w", err)
	}
	defer conn.Close(ctx)
	for _, statement := range []string{
		// Not before there is a standby: without one, nothing would be acknowledged.
		`ALTER SYSTEM SET synchronous_standby_names = '*'`,
		`SELECT pg_reload_conf()`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the standby synchronous: %w", err)
		}
	}
	return awaitSynchronous(ctx, conn)
}

func awaitSynchronous(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience,
		fmt.Errorf("the standby was not synchronous within %v", patience))
	defer cancel()
	for {
		var is bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`).Scan(&is)
		if is {
			return nil
		}
		if !passed(ctx, 20*time.Millisecond) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// takeOver makes the standby the primary, the old one being dead, and then a new
// standby of what was the old one.
func (s *stores) takeOver(ctx context.Context) error {
	if err := s.standby.Promote(ctx); err != nil {
		return err
	}
	old := s.postgres
	s.postgres, s.disk, s.standby, s.standbyDisk = s.standby, s.standbyDisk, nil, s.disk
	if err := errors.Join(s.address.move(s.postgres), old.Stop(ctx)); err != nil { // gives its folder back
		return err
	}
	return s.follow(ctx)
}

// promoteStandby ends the primary at once. After the time of the fault the
// standby takes over. Half of the times the address has moved to it before, so
// that servers meet a database that they can read and not write.
func promoteStandby(_ context.Context, s *stage, f Step) (func(context.Context) error, error) {
	err := s.stores.postgres.Kill()
	if f.Draw%2 == 0 {
		err = errors.Join(err, s.stores.address.move(s.stores.standby))
	}
	return s.stores.takeOver, err
}

// pauseStandby stops the standby: the primary answers, but no commit is
// acknowledged.
func pauseStandby(_ context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	return func(context.Context) error { return s.stores.standby.Resume() }, s.stores.standby.Pause()
}

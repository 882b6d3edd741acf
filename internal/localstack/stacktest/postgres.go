package stacktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob/internal/localstack"
)

const template = "template_firjob"

// shared is the one Postgres of this test binary. It is a package variable
// because tests have nothing else in common; Main stops it.
var shared server

// server is started by the first test that asks.
type server struct {
	once     sync.Once
	pg       *localstack.Postgres
	startErr error

	migrate    sync.Once
	migrateErr error

	databases atomic.Int64
}

// Database gives the URL of a fresh database that is private to the test and
// dropped at its end. All databases of a test binary live in one server, and are
// cloned from one that migrate has prepared once; so every test of a binary must
// pass the same migrate, or nil for an empty database.
func Database(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	url, err := shared.database(ctx, migrate)
	if err != nil {
		t.Fatalf("make a database: %v", err)
	}
	stopAtEnd(t, "database", func(ctx context.Context) error {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		return shared.exec(ctx, "DROP DATABASE "+config.Database+" WITH (FORCE)")
	})
	return url
}

// Postgres gives a server that is private to the test, for tests that break it.
func Postgres(t testing.TB) *localstack.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pg, err := localstack.StartPostgres(ctx, options())
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, "postgres", pg.Stop)
	return pg
}

func options() localstack.PostgresOptions {
	return localstack.PostgresOptions{
		Ephemeral: true,
		// Parallel tests hold many pools at once.
		Settings: map[string]string{"max_connections": "300", "shared_buffers": "64MB"},
	}
}

func (s *server) database(ctx context.Context, migrate func(context.Context, string) error) (string, error) {
	s.once.Do(func() { s.pg, s.startErr = localstack.StartPostgres(ctx, options()) })
	if s.startErr != nil {
		return "", s.startErr
	}
	from := "template0"
	if migrate != nil {
		s.migrate.Do(func() { s.migrateErr = s.makeTemplate(ctx, migrate) })
		if s.migrateErr != nil {
			return "", fmt.Errorf("make the template: %w", s.migrateErr)
		}
		from = template
	}
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	if err := s.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		return "", err
	}
	return s.pg.URL(name), nil
}

// makeTemplate migrates the database that others are cloned from, and closes it:
// Postgres clones no database that someone is connected to.
func (s *server) makeTemplate(ctx context.Context, migrate func(context.Context, string) error) error {
	if err := s.exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	if err := migrate(ctx, s.pg.URL(template)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return s.exec(ctx, "ALTER DATABASE "+template+" WITH ALLOW_CONNECTIONS false")
}

// exec runs one statement in the database postgres.
func (s *server) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.pg.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	if err != nil {
		err = fmt.Errorf("%s: %w", statement, err)
	}
	return errors.Join(err, conn.Close(ctx))
}

// stop stops the server if a test has started it.
func (s *server) stop(ctx context.Context) error {
	if s.pg == nil {
		return nil
	}
	return s.pg.Stop(ctx)
}

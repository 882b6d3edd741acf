package storage

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/firjob/firjob/storage/pg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema at url to this program's version and makes the
// partitions around today. Any number of servers may call it at once: one
// does the work under an advisory lock, the others wait for it, up to a minute.
func Migrate(ctx context.Context, url string) error {
	db, err := Open(ctx, Options{URL: url, MaxConns: 4})
	if err != nil {
		return err
	}
	defer db.Close()
	if db.SchemaReady(ctx) != nil { // else the lock, which is polled each second, need not be waited for
		err := withProvider(ctx, url, func(p *goose.Provider) error {
			_, err := p.Up(ctx)
			return pg.Classify("migrate the schema", err)
		})
		if err != nil {
			return err
		}
	}
	now, err := db.Now(ctx)
	if err != nil {
		return err
	}
	return pg.Classify("make the first partitions", db.AddPartitions(ctx, pg.DaysAround(now, 1, 3)))
}

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string    // of its file
	AppliedAt time.Time // zero: not yet
}

// MigrationStatus lists every migration of this program, oldest first.
func MigrationStatus(ctx context.Context, url string) ([]Migration, error) {
	var list []Migration
	err := withProvider(ctx, url, func(p *goose.Provider) error {
		all, err := p.Status(ctx)
		for _, m := range all {
			list = append(list, Migration{Version: m.Source.Version, Name: m.Source.Path, AppliedAt: m.AppliedAt})
		}
		return pg.Classify("read the schema's version", err)
	})
	return list, err
}

// Migrations returns the files of the schema's steps, as goose reads them.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is no path
	}
	return files
}

func withProvider(ctx context.Context, url string, fn func(*goose.Provider) error) error {
	if err := pg.Misread(url); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return pg.URLFault(url) // the cause may quote the URL, password and all
	}
	pg.BoundConnecting(config)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return pg.Classify("migrate the schema", err)
	}
	provider, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	return fn(provider)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, Migrations(), goose.WithSessionLocker(locker))
}

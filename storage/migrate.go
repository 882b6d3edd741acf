package storage

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema at url to this program's version and makes the
// partitions around today. Any number of replicas may call it at once: one
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
			return classify("migrate the schema", err)
		})
		if err != nil {
			return err
		}
	}
	now, err := db.Now(ctx)
	if err != nil {
		return err
	}
	return classify("make the first partitions", db.addPartitions(ctx, daysAround(now, 1, 3)))
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
		return classify("read the schema's version", err)
	})
	return list, err
}

func withProvider(ctx context.Context, url string, fn func(*goose.Provider) error) error {
	if err := misread(url); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return urlFault(url) // the cause may quote the URL, password and all
	}
	boundConnecting(config)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return classify("migrate the schema", err)
	}
	provider, err := newProvider(db)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	return fn(provider)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
}

// SchemaReady returns nil if the schema is the one that this program needs, and
// CodeUnavailable, with what to do, if it is not.
func (db *DB) SchemaReady(ctx context.Context) error {
	var version int64
	err := db.api.QueryRow(ctx, schemaVersionSQL).Scan(&version)
	if err != nil && undefinedTable(err) {
		version, err = 0, nil
	}
	if err != nil {
		return classify("read the schema's version", err)
	}
	if need := schemaVersion(); version != need {
		return firjob.Errorf(firjob.CodeUnavailable,
			"the schema is of version %d, this program needs %d: run firjob migrate up", version, need)
	}
	return nil
}

const schemaVersionSQL = `SELECT max(version_id) FROM goose_db_version WHERE is_applied`

// schemaVersion is the number of the last migration: they are numbered from 1
// without gaps.
func schemaVersion() int64 {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	return int64(len(files))
}

// Ready returns nil if the database can be read and written and its schema is
// the one that this program needs.
func (db *DB) Ready(ctx context.Context) error {
	var readOnly bool
	if err := db.api.QueryRow(ctx, readOnlySQL).Scan(&readOnly); err != nil {
		return classify("ask the database", err)
	}
	if readOnly {
		return firjob.Errorf(firjob.CodeUnavailable, "the database is read-only")
	}
	return db.SchemaReady(ctx)
}

const readOnlySQL = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`

package labdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage"
	"github.com/firjob/firjob/storage/pg"
)

// Reserve makes a database fit for a benchmark: one without any table, which it
// marks, or one that an earlier benchmark has marked, from which it takes away all
// that was written since. Any other is CodeConflict and stays as it is, and so is a
// marked one that has come to serve apps besides the benchmarks' own. It returns
// the epoch that NoteEpoch has noted, "" for none.
func Reserve(ctx context.Context, url, app string) (epoch string, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return "", pg.ErrURL
	}
	pg.BoundConnecting(config)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	var tables, marks int
	if err := db.QueryRowContext(ctx, vacancySQL).Scan(&tables, &marks); err != nil {
		return "", pg.Classify("look at the database", err)
	}
	switch {
	case marks > 0:
		return reclaim(ctx, db, app)
	case tables > 0:
		return "", firjob.Errorf(firjob.CodeConflict,
			"the database holds %d tables that no benchmark has made: benchmarks need an empty one, for they delete "+
				"what is there (CREATE DATABASE firjob_bench)", tables)
	}
	_, err = db.ExecContext(ctx, markBench)
	return "", pg.Classify("mark the database", err)
}

// reclaim empties a database that is marked.
func reclaim(ctx context.Context, db *sql.DB, app string) (epoch string, err error) {
	if err := onlyOf(ctx, db, app); err != nil {
		return "", err
	}
	if err := db.QueryRowContext(ctx, noteRead).Scan(&epoch); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", pg.Classify("read the mark of the database", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, storage.Migrations())
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := provider.DownTo(ctx, 0); err != nil {
		return "", fmt.Errorf("empty the database of an earlier benchmark (if another version made it, drop it): %w",
			err)
	}
	return epoch, nil
}

// onlyOf refuses a database that holds another app than the one.
func onlyOf(ctx context.Context, db *sql.DB, app string) error {
	var migrated bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('apps') IS NOT NULL`).Scan(&migrated); err != nil ||
		!migrated {
		return pg.Classify("look for apps", err)
	}
	var other string
	err := db.QueryRowContext(ctx, `SELECT name FROM apps WHERE name <> $1 ORDER BY name LIMIT 1`, app).Scan(&other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return pg.Classify("look for apps", err)
	}
	return firjob.Errorf(firjob.CodeConflict,
		"the database was a benchmark's and now serves the app %q: benchmarks need an empty one, for they delete "+
			"what is there (CREATE DATABASE firjob_bench)", other)
}

const (
	vacancySQL = `SELECT count(*), count(*) FILTER (WHERE tablename = 'firjob_bench') FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`
	markBench = `CREATE TABLE firjob_bench (redis_epoch text NOT NULL)`
	noteRead  = `SELECT redis_epoch FROM firjob_bench LIMIT 1`
)

// NoteEpoch notes in a reserved database which life of Redis's index goes with it.
func NoteEpoch(ctx context.Context, url, epoch string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return pg.ErrURL
	}
	pg.BoundConnecting(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return pg.Classify("note the epoch", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM firjob_bench`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO firjob_bench VALUES ($1)`, epoch)
		return err
	})
	return pg.Classify("note the epoch", err)
}

const durabilitySQL = `SELECT name, setting FROM pg_settings WHERE name IN
	('fsync', 'full_page_writes', 'synchronous_commit', 'server_version', 'shared_buffers', 'max_wal_size')`

const (
	transactionsSQL = `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`
	preloadedSQL    = `SELECT current_setting('shared_preload_libraries')`
	makeCounter     = `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`
)

const countJobsSQL = `SELECT count(*) FROM jobs WHERE deleted_at IS NULL`

const straysSQL = `SELECT count(*)
	FROM (SELECT job_id, ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint AS ms FROM executions
		WHERE id >= $1::uuid AND id < $2::uuid AND job_id BETWEEN $3::bigint AND $4::bigint
		AND get_byte(uuid_send(id), 8) = $8::int) AS e
	LEFT JOIN unnest($5::bigint[], $6::bigint[]) AS f (job, first) ON f.job = e.job_id
	WHERE f.first IS NULL OR e.ms < f.first OR (e.ms - f.first) % $7::bigint <> 0`

const endPlanningSQL = `WITH ended AS (
		UPDATE jobs SET next_fire_at = NULL WHERE id BETWEEN $1::bigint AND $2::bigint AND next_fire_at >= $3)
	SELECT count(*) FROM jobs WHERE id BETWEEN $1::bigint AND $2::bigint AND next_fire_at < $3`

const stallSQL = `SELECT coalesce(max(gap), 0)::float8, coalesce(max(late), 0)::float8
	FROM (SELECT extract(epoch FROM started_at - lag(started_at) OVER (ORDER BY started_at)) * 1000 AS gap,
			extract(epoch FROM started_at) * 1000 - ('x' || substr(replace(id::text, '-', ''), 1,
			12))::bit(48)::bigint AS late
		FROM executions WHERE id >= $1::uuid AND id < $2::uuid AND started_at IS NOT NULL) AS starts`

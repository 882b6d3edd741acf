package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/firjob/firjob"
)

// What benchmarks need of a database beyond what servers do.

// Reserve makes a database fit for a benchmark: one without any table, which it
// marks, or one that an earlier benchmark has marked, from which it takes away all
// that was written since. Any other is CodeConflict and stays as it is, and so is a
// marked one that has come to serve apps besides the benchmarks' own. It returns
// the epoch that NoteEpoch has noted, "" for none.
func Reserve(ctx context.Context, url, app string) (epoch string, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return "", errURL
	}
	boundConnecting(config)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	var tables, marks int
	if err := db.QueryRowContext(ctx, vacancySQL).Scan(&tables, &marks); err != nil {
		return "", classify("look at the database", err)
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
	return "", classify("mark the database", err)
}

// reclaim empties a database that is marked.
func reclaim(ctx context.Context, db *sql.DB, app string) (epoch string, err error) {
	if err := onlyOf(ctx, db, app); err != nil {
		return "", err
	}
	if err := db.QueryRowContext(ctx, noteRead).Scan(&epoch); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", classify("read the mark of the database", err)
	}
	provider, err := newProvider(db)
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
		return classify("look for apps", err)
	}
	var other string
	err := db.QueryRowContext(ctx, `SELECT name FROM apps WHERE name <> $1 ORDER BY name LIMIT 1`, app).Scan(&other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return classify("look for apps", err)
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
		return errURL
	}
	boundConnecting(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return classify("note the epoch", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM firjob_bench`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO firjob_bench VALUES ($1)`, epoch)
		return err
	})
	return classify("note the epoch", err)
}

// Durability returns how the database makes commits durable, by the names of its
// settings, and its version. CodeConflict if a commit may be lost: what is
// measured so is no measurement.
func (db *DB) Durability(ctx context.Context) (map[string]string, error) {
	rows, _ := db.api.Query(ctx, durabilitySQL)
	found := map[string]string{}
	var name, value string
	_, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		found[name] = value
		return nil
	})
	if err != nil {
		return nil, classify("read the settings", err)
	}
	for _, must := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if found[must] == "off" {
			return found, firjob.Errorf(firjob.CodeConflict,
				"the database has %s = off and may lose commits: benchmarks want it on", must)
		}
	}
	return found, nil
}

const durabilitySQL = `SELECT name, setting FROM pg_settings WHERE name IN
	('fsync', 'full_page_writes', 'synchronous_commit', 'server_version', 'shared_buffers', 'max_wal_size')`

// Activity is what the database has done since its statistics began.
type Activity struct {
	Transactions int64
	Statements   int64 // -1: not counted, because pg_stat_statements is not loaded
}

// Activity reads what the database has done so far.
func (db *DB) Activity(ctx context.Context) (a Activity, err error) {
	if err := db.api.QueryRow(ctx, transactionsSQL).Scan(&a.Transactions); err != nil {
		return a, classify("read the activity", err)
	}
	var loaded string
	if err := db.api.QueryRow(ctx, preloadedSQL).Scan(&loaded); err != nil {
		return a, classify("read the activity", err)
	}
	if !strings.Contains(loaded, "pg_stat_statements") {
		a.Statements = -1
		return a, nil
	}
	if _, err := db.api.Exec(ctx, makeCounter); err != nil {
		return a, classify("count statements", err)
	}
	err = db.api.conns.QueryRow(ctx, `SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&a.Statements)
	return a, classify("count statements", err)
}

const (
	transactionsSQL = `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`
	preloadedSQL    = `SELECT current_setting('shared_preload_libraries')`
	makeCounter     = `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`
)

// CountJobs counts the jobs that are not deleted.
func (db *DB) CountJobs(ctx context.Context) (n int64, err error) {
	err = db.afterwards(ctx, "count jobs", func(tx pgx.Tx) error { return tx.QueryRow(ctx, countJobsSQL).Scan(&n) })
	return n, err
}

const countJobsSQL = `SELECT count(*) FROM jobs WHERE deleted_at IS NULL`

// Strays counts the executions of the scope that are none of the fires which jobs
// have from their first one on, every interval. Of a scope's other executions no
// two are the same fire, for that is their id.
func (db *DB) Strays(ctx context.Context, s AuditScope, firsts map[firjob.JobID]time.Time,
	interval time.Duration) (n int64, err error) {
	var jobs, at []int64
	for id, first := range firsts {
		jobs, at = append(jobs, int64(id)), append(at, first.UnixMilli())
	}
	err = db.afterwards(ctx, "look for strays", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, straysSQL, [16]byte(firjob.FirstIDAt(s.From)), [16]byte(firjob.FirstIDAt(s.Until)),
			int64(s.FirstJob), int64(s.LastJob), jobs, at, interval.Milliseconds(), int32(0x80|s.Kind)).Scan(&n)
	})
	return n, err
}

const straysSQL = `SELECT count(*)
	FROM (SELECT job_id, ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint AS ms FROM executions
		WHERE id >= $1::uuid AND id < $2::uuid AND job_id BETWEEN $3::bigint AND $4::bigint
		AND get_byte(uuid_send(id), 8) = $8::int) AS e
	LEFT JOIN unnest($5::bigint[], $6::bigint[]) AS f (job, first) ON f.job = e.job_id
	WHERE f.first IS NULL OR e.ms < f.first OR (e.ms - f.first) % $7::bigint <> 0`

// EndPlanning takes from jobs, first to last, their next fires unless these lie
// before at. It returns how many jobs have such a fire, which is yet to be planned.
func (db *DB) EndPlanning(ctx context.Context, first, last firjob.JobID, at time.Time) (left int64, err error) {
	err = db.patiently(ctx, "end the planning", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, endPlanningSQL, int64(first), int64(last), at).Scan(&left)
	})
	return left, err
}

const endPlanningSQL = `WITH ended AS (
		UPDATE jobs SET next_fire_at = NULL WHERE id BETWEEN $1::bigint AND $2::bigint AND next_fire_at >= $3)
	SELECT count(*) FROM jobs WHERE id BETWEEN $1::bigint AND $2::bigint AND next_fire_at < $3`

// Stall returns the longest time between two starts that followed one another
// among the executions that were scheduled within the span, and the latest of
// these after its time.
func (db *DB) Stall(ctx context.Context, from, until time.Time) (stall, latest time.Duration, err error) {
	var gapMS, lateMS float64
	err = db.afterwards(ctx, "look for a stall", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, stallSQL, [16]byte(firjob.FirstIDAt(from)),
			[16]byte(firjob.FirstIDAt(until))).Scan(&gapMS, &lateMS)
	})
	return millis(gapMS), millis(lateMS), err
}

const stallSQL = `SELECT coalesce(max(gap), 0)::float8, coalesce(max(late), 0)::float8
	FROM (SELECT extract(epoch FROM started_at - lag(started_at) OVER (ORDER BY started_at)) * 1000 AS gap,
			extract(epoch FROM started_at) * 1000 - ('x' || substr(replace(id::text, '-', ''), 1,
			12))::bit(48)::bigint AS late
		FROM executions WHERE id >= $1::uuid AND id < $2::uuid AND started_at IS NOT NULL) AS starts`

func millis(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}

// DropOldest drops the oldest day before the horizon as MaintainPartitions does,
// and returns its name, "" if there is none. CodeUnavailable: the lock was not to
// be had at once.
func (db *DB) DropOldest(ctx context.Context, before time.Time) (string, error) {
	rows, _ := db.api.Query(ctx, partitionListSQL)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", classify("list partitions", err)
	}
	if len(names) == 0 || strings.TrimPrefix(names[0], "executions_") >= dayName(before) {
		return "", nil
	}
	return names[0], classify("drop the partition "+names[0],
		db.dropDay(ctx, strings.TrimPrefix(names[0], "executions_")))
}

// patiently runs fn in a transaction that may take its time.
func (db *DB) patiently(ctx context.Context, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	err := pgx.BeginFunc(ctx, db.api.conns, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx,
			fmt.Sprintf(`SET LOCAL statement_timeout = %d`, auditPatience/time.Millisecond)); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	return classify(verb, err)
}

package labdb

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// Seeding writes the rows of benchmarks straight into the tables, because the API
// would take hours for as many. What it writes is what the API and a year of work
// would have left.

// SeedJobs stores jobs number from to until, less one, as copies of the template
// with names of their own. Each fires once a year, and their next fires are spread
// evenly over the year that begins at start, in no order of their ids.
func (db *DB) SeedJobs(ctx context.Context, template firjob.JobID, from, until int, start time.Time) error {
	return db.patiently(ctx, "store jobs", func(ctx context.Context, tx pgx.Tx) error {
		var columns string
		if err := tx.QueryRow(ctx, copiedColumnsSQL).Scan(&columns); err != nil {
			return err
		}
		_, err := tx.Exec(ctx,
			fmt.Sprintf(`INSERT INTO jobs (%[1]s, name, kind, schedule, enabled, anchor, next_fire_at)
			SELECT %[1]s, t.name || '-' || i, 'every', '{"kind":"every","interval":"8760h"}', true,
			at - interval '8760 hours', at
			FROM (SELECT * FROM jobs WHERE id = $1) AS t
			CROSS JOIN (SELECT i, `+yearSpread+` AS at FROM generate_series($2::int, $3::int - 1) AS i) AS n`, columns),
			int64(template), from, until, start)
		return err
	})
}

const (
	// copiedColumnsSQL lists what one copy of a job shares with another.
	copiedColumnsSQL = `SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = 'jobs' AND is_generated = 'NEVER' AND is_identity = 'NO'
			AND column_name NOT IN ('name', 'kind', 'schedule', 'enabled', 'paused_reason', 'anchor', 'next_fire_at')`
	// yearSpread, a part of a format, multiplies by the golden ratio, as Fibonacci hashing does
	// (Knuth, The Art of Computer Programming, volume 3, section 6.4).
	yearSpread = `date_trunc('milliseconds',
		$4::timestamptz + interval '365 days' * ((i::bigint * 2654435769) %% 4294967296 / 4294967296.0)::float8)`
)

// Firing says when jobs are to fire: job k of Count at Start + k·Step, and from
// then on every Interval.
type Firing struct {
	Count          int
	Start          time.Time
	Step, Interval time.Duration
}

// At returns the first fire of job k.
func (f Firing) At(k int) time.Time { return f.Start.Add(time.Duration(k) * f.Step) }

// Reschedule gives f to as many of the jobs that SeedJobs made. They lie evenly
// among the ids, of every n-th the part-th, but fire in no order of them, so that
// what is due together lies on many pages.
func (db *DB) Reschedule(ctx context.Context, f Firing, part, n int) error {
	return db.patiently(ctx, "schedule jobs", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, rescheduleSQL, part, n, f.Count, f.Start, f.Step, f.Interval.String(),
			coprime(f.Count), f.Interval)
		if err == nil && tag.RowsAffected() != int64(f.Count) {
			err = fmt.Errorf("%d jobs were to be found, %d were", f.Count, tag.RowsAffected())
		}
		return err
	})
}

// rescheduleSQL numbers the chosen jobs by id and permutes the numbers.
const rescheduleSQL = `WITH seeds AS (
		SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS total
		FROM jobs WHERE kind = 'every' AND name ~ '-[0-9]+$'
	), parted AS (
		SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS total FROM seeds
		WHERE place % $2::int = $1::int
	), chosen AS (
		SELECT id, (row_number() OVER (ORDER BY id) - 1) * $7::bigint % $3::bigint AS k FROM parted
		WHERE place * $3::bigint / total <> (place - 1) * $3::bigint / total OR place = 0
	)
	UPDATE jobs SET next_fire_at = c.at, anchor = c.at - $8::interval, schedule = json_build_object('kind', 'every',
	'interval', $6::text)
	FROM (SELECT id, $4::timestamptz + k * $5::interval AS at FROM chosen) AS c WHERE jobs.id = c.id`

// coprime returns a factor that permutes the numbers below n, far from 1.
func coprime(n int) int64 {
	for f := int64(n)*618/1000 + 1; ; f++ {
		a, b := f, int64(max(n, 1))
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return f
		}
	}
}

// SettleJobs brings what Postgres knows of the jobs up to date, as it is in a
// database that has had them for long.
func (db *DB) SettleJobs(ctx context.Context) error {
	return db.vacuum(ctx, "jobs")
}

func (db *DB) vacuum(ctx context.Context, table string) error {
	return db.leisurely(ctx, `VACUUM (ANALYZE) `+table)
}

// Checkpoint lets Postgres write out what it has changed, as time does in a database
// that has had it for long. The user must be allowed to: a superuser, or a member of
// pg_checkpoint.
func (db *DB) Checkpoint(ctx context.Context) error { return db.leisurely(ctx, `CHECKPOINT`) }

// leisurely runs a statement that may take long and needs no transaction.
func (db *DB) leisurely(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	conn, err := db.API.Conns.Acquire(ctx)
	if err != nil {
		return pg.Classify(statement, err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		return pg.Classify(statement, err)
	}
	_, err = conn.Exec(ctx, statement)
	_, reset := conn.Exec(ctx, `RESET statement_timeout`)
	return pg.Classify(statement, cmp.Or(err, reset))
}

// SeedHistory stores n executions that succeeded, of jobs first to last in turn,
// spread evenly over the UTC day that begins at start.
func (db *DB) SeedHistory(ctx context.Context, start time.Time, n int, first, last firjob.JobID) error {
	if err := db.AddPartitions(ctx, []time.Time{start}); err != nil {
		return pg.Classify("store executions", err)
	}
	return db.patiently(ctx, "store executions", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, seedHistorySQL, start, n, int64(first), int64(last-first+1))
		return err
	})
}

// seedHistorySQL writes what a claim and a result leave. Each turn of the jobs has
// an instant of its own, so that no two rows have one id.
const seedHistorySQL = `INSERT INTO executions (id, job_id, job_version, attempt, state, token, due_at, claimed_at,
	lease_until,
		started_at, finished_at, claimed_by, claim_call, executor, incarnation)
	SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12,
	'0') || '80008000' || '0000' || lpad(to_hex(job), 8, '0'))::uuid,
		job, 1, 1, 'succeeded', i + 1, at, at, at + interval '10 s', at + interval '1 ms', at + interval '3 ms',
		'bench', 'bench', '127.0.0.1:9999', 'bench'
	FROM (SELECT i, ($3::bigint + i % $4::bigint)::int AS job,
			date_trunc('milliseconds', $1::timestamptz + interval '1 day' * (i / $4::bigint)
				/ ($2::bigint / $4::bigint + 1)::float8) AS at
		FROM generate_series(0::bigint, $2::bigint - 1) AS i) AS rows`

// SettleHistory is SettleJobs of the executions of a day.
func (db *DB) SettleHistory(ctx context.Context, day time.Time) error {
	return db.vacuum(ctx, "executions_"+pg.DayName(day))
}

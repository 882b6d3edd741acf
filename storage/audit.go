package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

// Audit reads every record of the span. It is for benchmarks and checks, not
// for the hot path: it takes about a second per million records.
func (db *DB) Audit(ctx context.Context, from, until time.Time) (a firjob.Audit, err error) {
	low, high := [16]byte(firjob.FirstIDAt(from)), [16]byte(firjob.FirstIDAt(until))
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	err = pgx.BeginFunc(ctx, db.api.conns, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '5min'`); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, auditSQL, low, high, firjob.AuditQuantiles()).
			Scan(&a.Recorded, &a.Succeeded, &a.Open, &a.Repeated, &a.Early, &a.LatenessMS)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, finishedSQL, from, until).Scan(&a.Finished)
	})
	return a, classify("audit executions", err)
}

// auditPatience is what both statements of an audit may take together.
const auditPatience = 10 * time.Minute

const (
	auditSQL = `SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE finished_at IS NULL),
			coalesce(sum(greatest(attempt - 1, 0)), 0), count(*) FILTER (WHERE late < 0),
			percentile_disc($3::float8[]) WITHIN GROUP (ORDER BY late)
		FROM (SELECT state, finished_at, attempt,
				CASE WHEN json_typeof(result) = 'number' THEN (result #>> '{}')::float8 / 1000
				ELSE extract(epoch FROM started_at) * 1000 - ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint
				END AS late
			FROM executions WHERE id >= $1::uuid AND id < $2::uuid AND ` + isScheduled + `) AS e`
	finishedSQL = `SELECT count(*) FROM executions WHERE finished_at >= $1 AND finished_at < $2`
)

package labdb

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

// AuditScope says which executions an audit reads.
type AuditScope struct {
	From, Until       time.Time    // scheduled within, From included
	FirstJob, LastJob firjob.JobID // 0, 0: of every job
	Kind              firjob.Kind
}

// Audit reads every record of the scope. It is for benchmarks and checks, not
// for the hot path: it takes about a second per million records.
func (db *DB) Audit(ctx context.Context, s AuditScope) (a Audit, err error) {
	if s.LastJob == 0 {
		s.LastJob = math.MaxInt32
	}
	low, high := [16]byte(firjob.FirstIDAt(s.From)), [16]byte(firjob.FirstIDAt(s.Until))
	err = db.patiently(ctx, "audit executions", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, auditSQL, low, high, AuditQuantiles(), int64(s.FirstJob), int64(s.LastJob),
			int32(0x80|s.Kind)).
			Scan(&a.Recorded, &a.Succeeded, &a.Open, &a.Repeated, &a.Early, &a.LatenessMS)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, finishedSQL, s.From, s.Until, int64(s.FirstJob), int64(s.LastJob)).Scan(&a.Finished)
	})
	return a, err
}

// auditPatience is what the statements of an audit may take together.
const auditPatience = 10 * time.Minute

const (
	auditSQL = `SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'),
		count(*) FILTER (WHERE finished_at IS NULL),
			coalesce(sum(greatest(attempt - 1, 0)), 0), count(*) FILTER (WHERE late < 0),
			percentile_disc($3::float8[]) WITHIN GROUP (ORDER BY late)
		FROM (SELECT state, finished_at, attempt,
				CASE WHEN json_typeof(result) = 'number' THEN (result #>> '{}')::float8 / 1000
				ELSE extract(epoch FROM started_at) * 1000 - ('x' || substr(replace(id::text, '-', ''), 1,
				12))::bit(48)::bigint
				END AS late
			FROM executions WHERE id >= $1::uuid AND id < $2::uuid AND job_id BETWEEN $4::bigint AND $5::bigint
				AND get_byte(uuid_send(id), 8) = $6::int) AS e`
	finishedSQL = `SELECT count(*) FROM executions WHERE finished_at >= $1 AND finished_at < $2
		AND job_id BETWEEN $3::bigint AND $4::bigint`
)

// Audit is what the records say of the executions that were scheduled within a
// span, and of those that ended within it.
type Audit struct {
	Recorded  int64 // scheduled within the span
	Succeeded int64 // of these
	Open      int64 // of these: not final yet
	Repeated  int64 // attempts of these beyond the first of each
	Early     int64 // of these: started before their time
	Finished  int64 // ended within the span, whenever they were scheduled
	// LatenessMS are quantiles of the start after the scheduled time: of what
	// the handler returned, in microseconds, if it returned a number, else of
	// the recorded start. In the order of AuditQuantiles; nil if nothing started.
	LatenessMS []float64
}

// AuditQuantiles are the quantiles of Audit.LatenessMS; 1 is the maximum, 0 the
// minimum.
func AuditQuantiles() []float64 { return []float64{0.5, 0.99, 0.999, 1, 0} }

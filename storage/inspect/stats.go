package inspect

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Stats counts executions scheduled since the given instant by state, with
// quantiles of their lateness in milliseconds; those are absent when nothing
// has started.
func (db *Inspector) Stats(ctx context.Context, since time.Time) (ports.Stats, error) {
	stats := ports.Stats{ByState: map[firjob.State]int64{}, LatenessMS: map[string]float64{}}
	from := [16]byte(firjob.FirstIDAt(since))
	rows, _ := db.API.Query(ctx, countStatesSQL, from)
	var state firjob.State
	var count int64
	_, err := pgx.ForEachRow(rows, []any{&state, &count}, func() error {
		stats.ByState[state] = count
		return nil
	})
	if err != nil {
		return stats, pg.Classify("count executions", err)
	}
	var quantiles []float64
	if err := db.API.QueryRow(ctx, latenessSQL, from).Scan(&quantiles); err != nil {
		return stats, pg.Classify("read the lateness", err)
	}
	for i, q := range quantiles {
		stats.LatenessMS[[...]string{"p50", "p99", "max"}[i]] = q
	}
	return stats, nil
}

const (
	countStatesSQL = `SELECT state::text, count(*) FROM executions WHERE id >= $1::uuid GROUP BY state`

	// As lateness does: the first known start, of the earlier attempts first, and
	// without backfills, by the ninth byte of the id.
	latenessSQL = `SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY greatest(0,
			extract(epoch FROM first_start)::float8 * 1000 - scheduled_ms))
		FROM (
			SELECT coalesce((jsonb_path_query_first(attempts, '$[*].started_at') #>> '{}')::timestamptz,
			started_at) AS first_start,
				('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint AS scheduled_ms
			FROM executions WHERE id >= $1::uuid AND get_byte(uuid_send(id), 8) <> 130
		) AS starts
		WHERE first_start IS NOT NULL`
)

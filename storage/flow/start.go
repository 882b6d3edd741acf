package flow

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// Start decides which attempts an executor may begin, in their order, and holds
// those for lease. One is granted if it is current and running, of the
// executor's app, not cancelled, and begun by nobody else; asking again grants
// it again. The timeout of one that is granted for the first time runs from now.
//
// A grant that was committed binds the store: what was begun so is given up
// only when its lease has ended. See attemptRow.bound.
func (db *Flow) Start(ctx context.Context, by firjob.ExecutorKey, attempts []firjob.AttemptRef,
	lease time.Duration) ([]bool, error) {
	granted := make([]bool, len(attempts))
	if len(attempts) == 0 {
		return granted, nil
	}
	sorted := slices.Clone(attempts)
	slices.SortFunc(sorted, func(a, b firjob.AttemptRef) int { return pg.CompareIDs(a.ID, b.ID) })
	ids, tokens := splitRefs(sorted)
	low, high := pg.Bounds(ids)
	rows, _ := db.Hot.Query(ctx, startSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)), tokens,
		by.App, pg.Clean(by.Address), pg.Clean(by.Incarnation), lease, deadlineSlack)
	list, err := pgx.CollectRows(rows, scanRef)
	if err != nil {
		return nil, pg.Classify("start attempts", err)
	}
	for i, a := range attempts {
		granted[i] = slices.Contains(list, a)
	}
	return granted, nil
}

const startSQL = `UPDATE executions AS e SET executor = $7, incarnation = $8,
	started_at = coalesce(e.started_at, now()),
		lease_until = greatest(e.lease_until, now() + $9::interval),
		deadline_at = CASE WHEN e.started_at IS NULL AND j.timeout_ms > 0
			THEN now() + j.timeout_ms * interval '1 millisecond' + $10::interval ELSE e.deadline_at END
	FROM unnest($1::uuid[], $5::bigint[]) AS r(id, token), jobs AS j
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND j.id = ANY($4::int[]) AND j.id = e.job_id AND j.app = $6
		AND e.token = r.token AND e.state = 'running' AND NOT e.cancel
		AND (e.started_at IS NULL OR (e.executor = $7 AND e.incarnation = $8))
	RETURNING e.id, e.token`

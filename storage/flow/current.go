package flow

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// Current returns those of the attempts that are still running with the same token,
// and claims them anew: whoever has taken their server to be gone a moment ago does
// not give them up any more (LoseReplica).
func (db *Flow) Current(ctx context.Context, attempts []firjob.AttemptRef) (current []firjob.AttemptRef, err error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	ids, tokens := splitRefs(attempts)
	low, high := pg.Bounds(ids)
	err = db.InTx(ctx, db.Hot, "confirm attempts", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, currentSQL, pg.UUIDs(ids), low, high, tokens)
		current, err = pgx.CollectRows(rows, scanRef)
		return err
	})
	return current, err
}

const currentSQL = `UPDATE executions AS e SET claimed_at = now()
	FROM unnest($1::uuid[], $4::bigint[]) AS r(id, token)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running'
	RETURNING e.id, e.token`

func scanRef(row pgx.CollectableRow) (firjob.AttemptRef, error) {
	var r firjob.AttemptRef
	err := row.Scan((*[16]byte)(&r.ID), &r.Token)
	return r, err
}

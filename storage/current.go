package storage

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

// Current returns those of the attempts that are still running with the same
// token.
func (db *DB) Current(ctx context.Context, attempts []firjob.AttemptRef) ([]firjob.AttemptRef, error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	ids, tokens := splitRefs(attempts)
	low, high := bounds(ids)
	rows, _ := db.hot.Query(ctx, currentSQL, uuids(ids), low, high, tokens)
	current, err := pgx.CollectRows(rows, scanRef)
	return current, classify("check attempts", err)
}

const currentSQL = `SELECT e.id, e.token
	FROM executions AS e, unnest($1::uuid[], $4::bigint[]) AS r(id, token)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running'`

func scanRef(row pgx.CollectableRow) (firjob.AttemptRef, error) {
	var r firjob.AttemptRef
	err := row.Scan((*[16]byte)(&r.ID), &r.Token)
	return r, err
}

package flow

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Holders returns which executors of an app are known to hold the attempts. Attempts that are
// not current any more, or that no executor has named yet, are missing.
func (db *Flow) Holders(ctx context.Context, app string, attempts []firjob.AttemptRef) (held []ports.Held, err error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	ids, tokens := splitRefs(attempts)
	low, high := pg.Bounds(ids)
	err = db.InTx(ctx, db.Hot, "find who holds attempts", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, holdersSQL, pg.UUIDs(ids), low, high, tokens)
		held, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ports.Held, error) {
			h := ports.Held{Executor: firjob.ExecutorKey{App: app}}
			err := row.Scan((*[16]byte)(&h.Attempt.ID), &h.Attempt.Token, &h.Executor.Address, &h.Executor.Incarnation)
			return h, err
		})
		return err
	})
	return held, err
}

const holdersSQL = `SELECT e.id, e.token, e.executor, coalesce(e.incarnation, '')
	FROM executions AS e, unnest($1::uuid[], $4::bigint[]) AS r(id, token)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running' AND e.executor IS NOT NULL`

package flow

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Release gives back attempts that were claimed and certainly never ran. They
// are due again after delay, never before they were, and the attempt does not
// count. The places that they have, of their jobs and their apps, they keep: the
// next claim, or their end, finds them there. It returns those that were still
// current.
func (db *Flow) Release(ctx context.Context, attempts []firjob.AttemptRef, delay time.Duration,
	reason string) (due []firjob.Due, err error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	err = db.InTx(ctx, db.Hot, "release attempts", func(ctx context.Context, tx pgx.Tx) error {
		ids, tokens := splitRefs(attempts)
		low, high := pg.Bounds(ids)
		rows, _ := tx.Query(ctx, releaseSQL, pg.UUIDs(ids), low, high, tokens, delay, pg.Clean(reason))
		due, err = pgx.CollectRows(rows, ScanDue)
		return err
	})
	return due, err
}

const releaseSQL = `UPDATE executions AS e SET state = 'planned', attempt = e.attempt - 1,
	due_at = greatest(e.due_at, now() + $5::interval),
		reason = $6, claimed_by = NULL, claim_call = NULL, claimed_at = NULL, lease_until = NULL, deadline_at = NULL,
		executor = NULL, incarnation = NULL
	FROM unnest($1::uuid[], $4::bigint[]) AS r(id, token)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running'
	RETURNING e.id, e.due_at`

// Unclaim undoes one call of Claim, whose commit may or may not have taken place
// because its answer was lost. What any other call has claimed stays as it is.
func (db *Flow) Unclaim(ctx context.Context, by ports.ClaimBy, ids []firjob.ExecutionID) error {
	if len(ids) == 0 {
		return nil
	}
	return db.InTx(ctx, db.Hot, "undo a claim", func(ctx context.Context, tx pgx.Tx) error {
		low, high := pg.Bounds(ids)
		_, err := tx.Exec(ctx, unclaimSQL, pg.UUIDs(ids), low, high, by.Replica, by.Call)
		return err
	})
}

const unclaimSQL = `UPDATE executions SET state = 'planned', attempt = attempt - 1,
		claimed_by = NULL, claim_call = NULL, claimed_at = NULL, lease_until = NULL, deadline_at = NULL
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid
		AND state = 'running' AND claimed_by = $4 AND claim_call = $5 AND executor IS NULL`

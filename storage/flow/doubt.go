package flow

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// doubted ends the reason of an attempt whose outcome is unknown.
const doubted = "; whether it runs there is unknown, so the same process is asked again"

// afterDoubt returns the reason of an attempt that ended without an answer: why it
// ended and, if its outcome was unknown until then, why that was so.
func afterDoubt(before, reason string) string {
	if doubt, ok := strings.CutSuffix(before, doubted); ok {
		return reason + "; before that: " + doubt
	}
	return reason
}

// Doubt notes why it is unknown whether an executor has the attempts, in the place
// of an earlier reason. The first beat that names an attempt clears it. Attempts
// that are not current any more are left alone, and those that somebody asked to
// cancel, whose reason may say what replaces them.
func (db *Flow) Doubt(ctx context.Context, attempts []firjob.AttemptRef, reason string) error {
	if len(attempts) == 0 {
		return nil
	}
	ids, tokens := splitRefs(attempts)
	low, high := pg.Bounds(ids)
	return db.InTx(ctx, db.Hot, "note why an outcome is unknown", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, doubtSQL, pg.UUIDs(ids), low, high, tokens, pg.Clean(reason)+doubted)
		return err
	})
}

const doubtSQL = `UPDATE executions AS e SET reason = $5
	FROM unnest($1::uuid[], $4::bigint[]) AS r(id, token)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running' AND NOT e.cancel`

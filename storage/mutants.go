package storage

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
)

// What a build that is broken on purpose does in the place of what it should.
// Without the tag all of it comes to the statements and the step as they are.

func claimStatement() string {
	text := failpoint.Instead(failpoint.TokenKept, claimSQL, `greatest(nextval('fence'), e.token + 1)`, `CASE WHEN e.token > 0 THEN e.token ELSE nextval('fence') END`)
	text = failpoint.Instead(failpoint.StateIgnored, text, `e.state = 'planned' AND NOT e.waiting`, `NOT e.waiting`)
	return failpoint.Instead(failpoint.VersionIgnored, text, `j.enabled AND j.fires_since <= e.job_version`, `true`)
}

func succeedStatement() string {
	return failpoint.Instead(failpoint.ResultOfAnyToken, succeedSQL, `e.token = r.token AND `, ``)
}

// bearChildren is triggerChildren.
func bearChildren(ctx context.Context, tx pgx.Tx, list []ended, followed *firjob.Followed) error {
	if failpoint.Broken(failpoint.ChildApart) {
		return nil
	}
	return triggerChildren(ctx, tx, list, followed)
}

// bearApart records the children of what has ended in a transaction of its own.
func (db *DB) bearApart(ctx context.Context, followed *firjob.Followed) error {
	if len(followed.Ended) == 0 {
		return nil
	}
	return db.inTx(ctx, db.hot, "record children apart", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, endedSQL, uuids(followed.Ended))
		list, err := pgx.CollectRows(rows, scanEnded)
		if err != nil {
			return err
		}
		return triggerChildren(ctx, tx, list, followed)
	})
}

const endedSQL = `SELECT id, finished_at, state::text FROM executions WHERE id = ANY($1::uuid[]) AND finished_at IS NOT NULL`

package records

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// MarkExecutor sets what somebody says about the executor at an address, in
// place of what was said before; the state active takes the mark away. Nobody
// need beat there. It returns the mark with its instant. CodeNotFound if there is
// no such app.
func (db *Records) MarkExecutor(ctx context.Context, mark firjob.Mark) (firjob.Mark, error) {
	err := db.Write(ctx, "mark the executor", func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, nowOfAppSQL, mark.App).Scan(&mark.CreatedAt)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return firjob.Errorf(firjob.CodeNotFound, "there is no app %q", mark.App)
		case err == nil && mark.State == firjob.ExecutorActive:
			_, err = tx.Exec(ctx, unmarkSQL, mark.App, mark.Address)
		case err == nil:
			_, err = tx.Exec(ctx, markSQL, mark.App, mark.Address, string(mark.State), pg.Clean(mark.Reason),
				mark.CreatedAt)
		}
		return err
	})
	return mark, err
}

const (
	nowOfAppSQL = `SELECT now() FROM apps WHERE name = $1 AND deleted_at IS NULL`
	unmarkSQL   = `DELETE FROM executor_marks WHERE app = $1 AND address = $2`
	markSQL     = `INSERT INTO executor_marks (app, address, state, reason, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (app, address) DO UPDATE SET state = EXCLUDED.state, reason = EXCLUDED.reason,
		created_at = EXCLUDED.created_at`
)

// Marks returns everything that is set about executors.
func (db *Records) Marks(ctx context.Context) ([]firjob.Mark, error) {
	rows, _ := db.Hot.Query(ctx, marksSQL)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[firjob.Mark])
	return list, pg.Classify("read what is set about executors", err)
}

const marksSQL = `SELECT app, address, state, reason, created_at FROM executor_marks ORDER BY app, address`

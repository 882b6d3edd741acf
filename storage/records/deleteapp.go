package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
)

// DeleteApp deletes an app, unless check finds fault with it. Nobody can
// authenticate as the app from then on, and its limits and marks are gone. The
// history of its jobs stays. An app of the same name may be made again, with another
// secret. CodeConflict while the app has jobs, CodeNotFound if there is no such app.
func (db *Records) DeleteApp(ctx context.Context, name string, check func(firjob.App) error) error {
	var refused error
	err := db.Write(ctx, "delete the app", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, lockAppAloneSQL, name)
		app, err := pgx.CollectExactlyOneRow(rows, scanApp)
		if err != nil {
			return err
		}
		if refused = check(app); refused != nil {
			return refused
		}
		var jobs int
		if err := tx.QueryRow(ctx, countLivingJobsSQL, name).Scan(&jobs); err != nil {
			return err
		}
		if jobs > 0 {
			refused = firjob.Errorf(firjob.CodeConflict, "app %q still has jobs (%d): delete them first", name, jobs)
			return refused
		}
		for _, sql := range []string{deleteAppSQL, forgetMarksSQL, forgetExecutorsSQL} {
			if _, err := tx.Exec(ctx, sql, name); err != nil {
				return err
			}
		}
		return nil
	})
	if refused != nil {
		return refused
	}
	return appError("delete the app", name, err)
}

const (
	// lockAppAloneSQL waits for jobs that are being made, which hold the app's key.
	lockAppAloneSQL    = appSQL + ` FOR UPDATE`
	countLivingJobsSQL = `SELECT count(*) FROM jobs WHERE app = $1 AND deleted_at IS NULL`
	deleteAppSQL       = `UPDATE apps SET deleted_at = now(), auth_hash = '', sign_key = '', max_running = 0,
		max_per_second = 0, version = version + 1 WHERE name = $1`
	forgetMarksSQL     = `DELETE FROM executor_marks WHERE app = $1`
	forgetExecutorsSQL = `DELETE FROM executors WHERE app = $1`
)

package records

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
)

// CreateApp stores an app without limits. CodeConflict if the name is taken; that of
// an app that was deleted is free.
func (db *Records) CreateApp(ctx context.Context, name string, authHash, signKey []byte) (app firjob.App, err error) {
	err = db.Write(ctx, "create the app", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, createAppSQL, name, authHash, signKey)
		app, err = pgx.CollectExactlyOneRow(rows, scanApp)
		if errors.Is(err, pgx.ErrNoRows) {
			return firjob.Errorf(firjob.CodeConflict, "create the app: %s", pg.ConflictText("apps_pkey"))
		}
		return err
	})
	return app, err
}

const createAppSQL = `INSERT INTO apps AS a (name, auth_hash, sign_key) VALUES ($1, $2, $3)
	ON CONFLICT (name) DO UPDATE SET auth_hash = excluded.auth_hash, sign_key = excluded.sign_key,
		created_at = now(), version = a.version + 1, deleted_at = NULL
		WHERE a.deleted_at IS NOT NULL
	RETURNING ` + appColumns

// appColumns are the columns that scanApp reads, in its order.
const appColumns = `name, created_at, version, max_running, max_per_second`

func scanApp(row pgx.CollectableRow) (firjob.App, error) {
	var a firjob.App
	err := row.Scan(&a.Name, &a.CreatedAt, &a.Version, &a.MaxRunning, &a.MaxPerSecond)
	return a, err
}

// Apps returns a page of apps by name, and the name after which the next page
// starts ("": this was the last).
func (db *Records) Apps(ctx context.Context, f ports.AppFilter) (list []firjob.App, next string, err error) {
	rows, _ := db.API.Query(ctx, appsSQL, f.After, pg.Pointer(f.Query), f.PageSize+1)
	list, err = pgx.CollectRows(rows, scanApp)
	if len(list) > f.PageSize {
		list = list[:f.PageSize]
		next = list[len(list)-1].Name
	}
	return list, next, pg.Classify("list apps", err)
}

const appsSQL = `SELECT ` + appColumns + ` FROM apps
	WHERE name > $1 AND deleted_at IS NULL AND ($2::text IS NULL OR strpos(name, lower($2)) > 0) ORDER BY name LIMIT $3`

// App returns an app. CodeNotFound if there is none.
func (db *Records) App(ctx context.Context, name string) (firjob.App, error) {
	rows, _ := db.API.Query(ctx, appSQL, name)
	app, err := pgx.CollectExactlyOneRow(rows, scanApp)
	return app, appError("read the app", name, err)
}

const appSQL = `SELECT ` + appColumns + ` FROM apps WHERE name = $1 AND deleted_at IS NULL`

func appError(verb, name string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return firjob.Errorf(firjob.CodeNotFound, "there is no app %q", name)
	}
	return pg.Classify(verb, err)
}

// UpdateApp locks the app, lets change edit its limits and stores them with the
// next version. They hold for every claim from then on; who waits and may go on
// now is let in by the next Admit. An error from change is returned as it is and
// nothing is stored. change may be called again if the transaction is.
func (db *Records) UpdateApp(ctx context.Context, name string,
	change func(app *firjob.App) error) (app firjob.App, err error) {
	var refused error
	err = db.Write(ctx, "change the app", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, lockAppSQL, name)
		old, err := pgx.CollectExactlyOneRow(rows, scanApp)
		if err != nil {
			return err
		}
		app = old
		if refused = change(&app); refused != nil {
			return refused
		}
		rows, _ = tx.Query(ctx, storeAppSQL, name, app.MaxRunning, app.MaxPerSecond)
		if app, err = pgx.CollectExactlyOneRow(rows, scanApp); err != nil {
			return err
		}
		if !old.Limited() && app.Limited() {
			return adoptAppSlots(ctx, tx, name)
		}
		return nil
	})
	if refused != nil {
		return firjob.App{}, refused
	}
	return app, appError("change the app", name, err)
}

const (
	lockAppSQL  = appSQL + ` FOR NO KEY UPDATE`
	storeAppSQL = `UPDATE apps SET max_running = $2, max_per_second = $3, version = version + 1 WHERE name = $1
		RETURNING ` + appColumns
)

// adoptAppSlots gives slots to the executions of an app that were claimed while the app
// had no limits.
func adoptAppSlots(ctx context.Context, tx pgx.Tx, app string) error {
	rows, _ := tx.Query(ctx, runningOfAppSQL, app)
	ids, err := flow.Adopt(ctx, tx, rows)
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, flow.TakeAppSlotsSQL, pg.UUIDs(ids), app)
	return err
}

const runningOfAppSQL = `SELECT e.id FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
	WHERE e.finished_at IS NULL AND NOT e.waiting AND e.id < ` + flow.FirstIDSoon + ` AND e.state = 'running'
		AND j.app = $1 AND (j.route <> 'broadcast' OR substr(uuid_send(e.id), 7, 2) <> '\x8000')
	ORDER BY e.id FOR UPDATE OF e`

// AppAuthHash returns the firjob.AuthHash of the app's secret. CodeNotFound if
// there is no such app.
func (db *Records) AppAuthHash(ctx context.Context, app string) ([]byte, error) {
	var hash []byte
	err := db.API.QueryRow(ctx, appAuthHashSQL, app).Scan(&hash)
	return hash, appError("read the app", app, err)
}

const appAuthHashSQL = `SELECT auth_hash FROM apps WHERE name = $1 AND deleted_at IS NULL`

// SigningKeys returns the key of each app.
func (db *Records) SigningKeys(ctx context.Context) (map[string][]byte, error) {
	rows, err := db.Hot.Query(ctx, signingKeysSQL)
	if err != nil {
		return nil, pg.Classify("read the signing keys", err)
	}
	keys := map[string][]byte{}
	var name string
	var key []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &key}, func() error {
		keys[name] = key
		return nil
	})
	return keys, pg.Classify("read the signing keys", err)
}

const signingKeysSQL = `SELECT name, sign_key FROM apps WHERE deleted_at IS NULL`

package storage

import (
	"context"
	"errors"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// CreateApp stores an app. CodeConflict if the name is taken.
func (db *DB) CreateApp(ctx context.Context, name string, authHash, signKey []byte) (firjob.App, error) {
	app := firjob.App{Name: name}
	err := db.api.QueryRow(ctx, createAppSQL, name, authHash, signKey).Scan(&app.CreatedAt)
	return app, classify("create the app", err)
}

const createAppSQL = `INSERT INTO apps (name, auth_hash, sign_key) VALUES ($1, $2, $3) RETURNING created_at`

// Apps returns every app by name.
func (db *DB) Apps(ctx context.Context) ([]firjob.App, error) {
	rows, _ := db.api.Query(ctx, appsSQL)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[firjob.App])
	return list, classify("list apps", err)
}

const appsSQL = `SELECT name, created_at FROM apps ORDER BY name`

// AppAuthHash returns the firjob.AuthHash of the app's secret. CodeNotFound if
// there is no such app.
func (db *DB) AppAuthHash(ctx context.Context, app string) ([]byte, error) {
	var hash []byte
	err := db.api.QueryRow(ctx, appAuthHashSQL, app).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, firjob.Errorf(firjob.CodeNotFound, "there is no app %q", app)
	}
	return hash, classify("read the app", err)
}

const appAuthHashSQL = `SELECT auth_hash FROM apps WHERE name = $1`

// SigningKeys returns the key of each app.
func (db *DB) SigningKeys(ctx context.Context) (map[string][]byte, error) {
	rows, err := db.hot.Query(ctx, signingKeysSQL)
	if err != nil {
		return nil, classify("read the signing keys", err)
	}
	keys := map[string][]byte{}
	var name string
	var key []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &key}, func() error {
		keys[name] = key
		return nil
	})
	return keys, classify("read the signing keys", err)
}

const signingKeysSQL = `SELECT name, sign_key FROM apps`

package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Setting returns the value of a setting that all servers share; "" if there
// is none.
func (db *DB) Setting(ctx context.Context, key string) (string, error) {
	var value string
	err := db.API.QueryRow(ctx, settingSQL, key).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return value, Classify("read the setting "+key, err)
}

const settingSQL = `SELECT value FROM settings WHERE key = $1`

// SetSetting writes a setting.
func (db *DB) SetSetting(ctx context.Context, key, value string) error {
	_, err := db.API.Exec(ctx, setSettingSQL, key, value)
	return Classify("write the setting "+key, err)
}

const setSettingSQL = `INSERT INTO settings (key, value) VALUES ($1, $2)
	ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value`

// EnsureSetting writes a setting unless it has a value, and returns the value
// that it has now: the first writer wins.
func (db *DB) EnsureSetting(ctx context.Context, key, value string) (string, error) {
	if _, err := db.API.Exec(ctx, ensureSettingSQL, key, value); err != nil {
		return "", Classify("write the setting "+key, err)
	}
	return db.Setting(ctx, key)
}

const ensureSettingSQL = `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`

package storage

import (
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/records"
)

// HotSettings are the session settings of the hot pool.
func HotSettings() map[string]string { return pg.HotSettings() }

// APISettings are those of the API's pool.
func APISettings() map[string]string { return pg.APISettings() }

// SetLooks sets how many rows a page of a filtered list looks at.
func SetLooks(db *DB, n int) {
	db.Records.Close()
	db.Records = records.New(db.DB, n)
}

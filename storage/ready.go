package storage

import (
	"context"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// SchemaReady returns nil if the schema is the one that this program needs, and
// CodeUnavailable, with what to do, if it is not.
func (db *DB) SchemaReady(ctx context.Context) error {
	var version int64
	err := db.API.QueryRow(ctx, schemaVersionSQL).Scan(&version)
	if err != nil && pg.UndefinedTable(err) {
		version, err = 0, nil
	}
	if err != nil {
		return pg.Classify("read the schema's version", err)
	}
	if need := schemaVersion(); version != need {
		return firjob.Errorf(firjob.CodeUnavailable,
			"the schema is of version %d, this program needs %d: run firjob migrate up", version, need)
	}
	return nil
}

const schemaVersionSQL = `SELECT max(version_id) FROM goose_db_version WHERE is_applied`

// schemaVersion is the number of the last migration: they are numbered from 1
// without gaps.
func schemaVersion() int64 {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	return int64(len(files))
}

// Ready returns nil if the database can be read and written and its schema is
// the one that this program needs.
func (db *DB) Ready(ctx context.Context) error {
	var readOnly bool
	if err := db.API.QueryRow(ctx, readOnlySQL).Scan(&readOnly); err != nil {
		return pg.Classify("ask the database", err)
	}
	if readOnly {
		return firjob.Errorf(firjob.CodeUnavailable, "the database is read-only")
	}
	return db.SchemaReady(ctx)
}

const readOnlySQL = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`

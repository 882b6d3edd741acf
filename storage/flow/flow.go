// Package flow moves executions in Postgres: it plans fires, claims what is due, lets
// in what waits, renews leases, records ends with what follows from them, and sweeps
// for what was left behind. Every change is one transaction, and every statement names
// its rows by primary key.
package flow

import (
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Flow moves executions. It is safe for concurrent use.
type Flow struct {
	*pg.DB
	apps scan.JobApps
}

// New returns a Flow over db.
func New(db *pg.DB) *Flow { return &Flow{DB: db} }

// Package records keeps what people and programs ask for: jobs, batches, triggers,
// apps, calendars, backfills, dead letters, logs, marks of executors, and the lists of
// them. A change that touches executions makes what follows in the same transaction,
// by the rules of package flow.
package records

import (
	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Records keeps what people ask for. It is safe for concurrent use.
type Records struct {
	*pg.DB
	looks    int // of a page; looksPerPage
	creates  *groupcommit.Group[firjob.Job, ports.StoredJob]
	triggers *groupcommit.Group[ports.TriggerRequest, ports.Triggered]
}

// New returns Records over db. looks is how many rows a page of a filtered list looks
// at; 0 = 10,000.
func New(db *pg.DB, looks int) *Records {
	if looks == 0 {
		looks = looksPerPage
	}
	r := &Records{DB: db, looks: looks}
	r.creates = groupcommit.New(groupcommit.Sizes{Limit: createBatch, Calls: creators}, r.createEach)
	r.triggers = groupcommit.New(groupcommit.Sizes{Limit: triggerBatch, Calls: triggerers}, r.triggerEach)
	return r
}

// Close waits for what is under way. It leaves the connections open.
func (db *Records) Close() {
	db.creates.Close()
	db.triggers.Close()
}

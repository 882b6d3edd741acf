// Package inspect answers questions about what is recorded: why a fire ran or did not,
// what an execution led to, how many there are, and what should not be there. It
// changes nothing.
package inspect

import "github.com/firjob/firjob/storage/pg"

// Inspector answers questions. It is safe for concurrent use.
type Inspector struct{ *pg.DB }

// New returns an Inspector over db.
func New(db *pg.DB) *Inspector { return &Inspector{db} }

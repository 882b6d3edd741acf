package checker

import (
	"time"

	"github.com/firjob/firjob"
)

// Dump is what the stores held in the end, after everything had healed and
// drained.
type Dump struct {
	At         time.Time // when it was read
	Executions []Row
	// Queued are the members of the delay queue in Redis, both sets of every
	// shard.
	Queued []firjob.ExecutionID
	// Planned are the executions in Postgres that are to be in the queue.
	Planned []firjob.ExecutionID
	// Waiting, Slots and Places are what is left of bookkeeping for executions
	// that have ended; see the invariant "bounded".
	Leftovers []string
	Effects   []Effect
	// Before and After are what the processes and stores used before the load
	// and after it, by name: "goroutines of server-1", "keys of redis".
	Before, After map[string]float64
}

// Row is an execution in Postgres.
type Row struct {
	ID         firjob.ExecutionID
	State      firjob.State
	Reason     string
	Attempt    int
	Token      int64
	FinishedAt time.Time        // zero: not final
	Attempts   []firjob.Attempt // each of them, the present one last
	Missed     *firjob.MissedRange
	Parent     firjob.ExecutionID `json:",omitzero"`
}

// Effect is one write to a resource that takes a write only with a token that is
// not lower than the highest it has seen for the key.
type Effect struct {
	Key     string // the execution's idempotency key
	Token   int64
	Refused bool // by the fence
}

// covers reports whether the row stands for a fire at the instant.
func (r Row) covers(at time.Time) bool {
	if r.ID.ScheduledAt().Equal(at) {
		return true
	}
	return r.Missed != nil && !at.Before(r.ID.ScheduledAt()) && !at.After(r.Missed.Until)
}

package ports

import (
	"time"

	"github.com/firjob/firjob"
)

// Suspects are executions that are in a state in which nothing may be for long.
type Suspects struct {
	Count int                  // up to the limit that was asked for, which may stand for more
	First []firjob.ExecutionID // the earliest, three at most
}

// StuckBounds say how long each state must have lasted to be a fault: longer
// than the sweep needs to end it.
type StuckBounds struct {
	Overdue  time.Duration // since a planned execution was due
	Orphaned time.Duration // since the lease of a running one ended
	Overtime time.Duration // since the deadline of a running one passed
	Silent   time.Duration // since the executor that a running one is on has beaten
}

// StuckReport is what the store holds that should not be there. None of it waits
// for its turn: that may take as long as it takes.
type StuckReport struct {
	Overdue  Suspects // planned, and due for longer than the bound
	Orphaned Suspects // running, and nobody holds it: its lease ended, or it has none and nothing else ends it
	Stuck    Suspects // running beyond its timeout, or on an executor that is gone
}

// Fate is how an execution stands in the store.
type Fate struct {
	State   firjob.State
	Waiting bool          // for its turn
	DueIn   time.Duration // negative: due since then
}

// IndexEntry is what the delay queue holds of an execution.
type IndexEntry struct {
	ID     firjob.ExecutionID
	Leased bool          // claimed, and not acknowledged yet
	Past   time.Duration // since it was due, or since its lease ended; negative: still to come
}

// IndexDrift is where the delay queue says otherwise than the store.
type IndexDrift struct {
	Unknown []firjob.ExecutionID // in the queue; the store has never heard of it
	Ended   []firjob.ExecutionID // long due in the queue; ended in the store
	Missing []firjob.ExecutionID // planned and soon due in the store; not in the queue
}

// Count returns how many executions are concerned.
func (d IndexDrift) Count() int { return len(d.Unknown) + len(d.Ended) + len(d.Missing) }

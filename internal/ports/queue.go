package ports

import (
	"time"

	"github.com/firjob/firjob"
)

// Batch is what one claim took from the delay queue, with the instants of the
// queue's own clock.
type Batch struct {
	IDs  []firjob.ExecutionID
	Now  time.Time     // when it was taken; zero: no shard has answered
	Next time.Duration // from now until the next head of these shards is due; < 0 = no head
	Full bool          // some shard had more than was asked for
}

// Wake says that a shard of the delay queue has a new earlier head.
type Wake struct {
	Shard int
	At    time.Time // when the head is due
}

// Alive is an executor and the time since its last beat.
type Alive struct {
	firjob.Executor
	Age time.Duration
}

package ports

import (
	"time"

	"github.com/firjob/firjob"
)

// Fire returns the id of the backfill's execution for the fire at the instant,
// so that recording it twice records it once.
func (b Backfill) Fire(at time.Time) firjob.ExecutionID {
	return firjob.NewExecutionID(b.Job, at, firjob.KindBackfill, uint32(b.ID))
}

package firjob

import (
	"fmt"
	"time"
)

// Fire returns the id of the backfill's execution for the fire at the instant,
// so that recording it twice records it once.
func (b Backfill) Fire(at time.Time) ExecutionID {
	return NewExecutionID(b.Job, at, KindBackfill, uint32(b.ID))
}

// Backfillable says what keeps the past fires of j from being run: only those of
// cron, every and at are known without what happened then. "" if nothing does.
func (j Job) Backfillable() string {
	switch j.Schedule.Kind {
	case ScheduleCron, ScheduleEvery, ScheduleAt:
		return ""
	case ScheduleDelay:
		return "a job of kind delay counts from the end of its last execution, so it has no fires in the past but those that it had"
	}
	return fmt.Sprintf("a job of kind %s has no fires of its own; trigger it", j.Schedule.Kind)
}

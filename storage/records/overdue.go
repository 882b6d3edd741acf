package records

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/scan"
)

// maxOverdue bounds how many fires are counted, as for any missed range.
const maxOverdue = 10_000

// recordOverdue records, as one missed range, what was due of a job and could not
// be recorded before the change that why names: nobody was there to plan it, or
// Postgres had no room for it. The change goes on from the present instant, and
// would forget these fires otherwise.
func recordOverdue(ctx context.Context, tx pgx.Tx, old scan.JobRow, why string) error {
	if !old.Enabled || old.NextFireAt == nil || old.NextFireAt.After(old.Now) {
		return nil
	}
	m := ports.Missed{From: *old.NextFireAt}
	times, err := timetable.Of(old.Job, old.Anchor)
	for at := m.From; err == nil && !at.IsZero() && !at.After(old.Now) && m.Count < maxOverdue; at = times.Next(at) {
		m.Until = at
		m.Count++
	}
	if err != nil || old.Schedule.Kind == firjob.ScheduleDelay { // whose fires depend on the ends of those before
		m.Until, m.Count = m.From, 1
	}
	m.Reason = fmt.Sprintf("due since %s, but not recorded in time, and then %s", m.From.UTC().Format(time.RFC3339),
		why)
	return flow.InsertMissed(ctx, tx,
		[]flow.MissedFire{{ID: firjob.Fire(old.ID, m.From), Version: old.Version, Missed: m}})
}

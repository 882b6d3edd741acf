package scan

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// JobColumns are the columns that scanJob reads, in its order.
const JobColumns = `now(), id, app, name, handler, params, schedule, anchor, misfire, grace_ms, overlap, route,
	delivery, timeout_ms, retry, priority, enabled, paused_reason, version, next_fire_at, created_at, updated_at,
	deleted_at, fires_since,
	misfire_cap, start_deadline_ms, max_running, queue_limit, replace_after_ms, dispatch, parents, has_children,
	calendars`

// JobRow is a job with what only the store knows of it.
type JobRow struct {
	firjob.Job
	Now     time.Time // the store's clock at the start of the transaction
	Anchor  time.Time
	Deleted bool
	// Since is the version since which its fires are what they are: those that
	// it, or a later one, has planned are good.
	Since int
	// HasChildren reports whether its end may trigger another job.
	HasChildren bool
	Follows     []CalendarRef // the versions of its calendars; see fillCalendars
}

func Job(row pgx.CollectableRow) (JobRow, error) {
	var j JobRow
	var schedule, retry, params, dispatch, parents, calendars []byte
	var graceMS, timeoutMS, deadlineMS, replaceMS int64
	var deletedAt *time.Time
	err := row.Scan(&j.Now, &j.ID, &j.App, &j.Name, &j.Handler, &params, &schedule, &j.Anchor, &j.Misfire.Policy,
		&graceMS,
		&j.Overlap, &j.Route, &j.Delivery, &timeoutMS, &retry, &j.Priority, &j.Enabled, &j.PausedReason, &j.Version,
		&j.NextFireAt, &j.CreatedAt, &j.UpdatedAt, &deletedAt, &j.Since,
		&j.Misfire.MaxCatchUp, &deadlineMS, &j.MaxRunning, &j.QueueLimit, &replaceMS, &dispatch, &parents,
		&j.HasChildren, &calendars)
	if err != nil {
		return j, err
	}
	j.Params, j.Deleted = params, deletedAt != nil
	j.Misfire.Grace, j.Timeout = FromMillis(graceMS), FromMillis(timeoutMS)
	j.StartDeadline, j.ReplaceAfter = FromMillis(deadlineMS), FromMillis(replaceMS)
	return j, j.decode(schedule, retry, dispatch, parents, calendars)
}

// decode reads what is stored as JSON; nil stands for the default.
func (j *JobRow) decode(schedule, retry, dispatch, parents, calendars []byte) error {
	var d ports.Dispatch
	j.Retry = firjob.DefaultRetry() // of fields that are younger than the row
	for _, part := range []struct {
		name string
		text []byte
		into any
	}{
		{"schedule", schedule, &j.Schedule},
		{"retry rule", retry, &j.Retry},
		{"dispatch", dispatch, &d},
		{"parents", parents, &j.Parents},
		{"calendars", calendars, &j.Follows},
	} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return fmt.Errorf("read the %s of job %d: %w", part.name, j.ID, err)
		}
	}
	j.RouteKey, j.RouteOrder, j.Selector, j.Exclusive, j.HTTP = d.RouteKey, d.RouteOrder, d.Selector, d.Exclusive,
		d.HTTP
	return nil
}

func FromMillis(ms int64) firjob.Duration {
	return firjob.Duration(time.Duration(ms) * time.Millisecond)
}

// IsLiving holds for jobs that are not deleted. Where several are named by their ids
// it says so in the stead of "deleted_at IS NULL", which is the condition of an index:
// without statistics, as in a table that was filled a minute ago, Postgres reads all of
// that index (of 64,000 jobs, in 6 ms) to find a few.
const IsLiving = `coalesce(deleted_at, 'infinity') = 'infinity'`

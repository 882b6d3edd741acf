package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// jobColumns are the columns that scanJob reads, in its order.
const jobColumns = `now(), id, app, name, handler, params, schedule, anchor, misfire, grace_ms, overlap, route,
	delivery, timeout_ms, retry, priority, enabled, paused_reason, version, next_fire_at, created_at, updated_at,
	deleted_at, fires_since,
	misfire_cap, start_deadline_ms, max_running, queue_limit, replace_after_ms, dispatch, parents, has_children,
	calendars`

// jobRow is a job with what only the store knows of it.
type jobRow struct {
	firjob.Job
	now     time.Time // the store's clock at the start of the transaction
	anchor  time.Time
	deleted bool
	// since is the version since which its fires are what they are: those that
	// it, or a later one, has planned are good.
	since int
	// hasChildren reports whether its end may trigger another job.
	hasChildren bool
	follows     []calendarRef // the versions of its calendars; see fillCalendars
}

func scanJob(row pgx.CollectableRow) (jobRow, error) {
	var j jobRow
	var schedule, retry, params, dispatch, parents, calendars []byte
	var graceMS, timeoutMS, deadlineMS, replaceMS int64
	var deletedAt *time.Time
	err := row.Scan(&j.now, &j.ID, &j.App, &j.Name, &j.Handler, &params, &schedule, &j.anchor, &j.Misfire.Policy,
		&graceMS,
		&j.Overlap, &j.Route, &j.Delivery, &timeoutMS, &retry, &j.Priority, &j.Enabled, &j.PausedReason, &j.Version,
		&j.NextFireAt, &j.CreatedAt, &j.UpdatedAt, &deletedAt, &j.since,
		&j.Misfire.MaxCatchUp, &deadlineMS, &j.MaxRunning, &j.QueueLimit, &replaceMS, &dispatch, &parents,
		&j.hasChildren, &calendars)
	if err != nil {
		return j, err
	}
	j.Params, j.deleted = params, deletedAt != nil
	j.Misfire.Grace, j.Timeout = fromMillis(graceMS), fromMillis(timeoutMS)
	j.StartDeadline, j.ReplaceAfter = fromMillis(deadlineMS), fromMillis(replaceMS)
	return j, j.decode(schedule, retry, dispatch, parents, calendars)
}

// decode reads what is stored as JSON; nil stands for the default.
func (j *jobRow) decode(schedule, retry, dispatch, parents, calendars []byte) error {
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
		{"calendars", calendars, &j.follows},
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

func fromMillis(ms int64) firjob.Duration {
	return firjob.Duration(time.Duration(ms) * time.Millisecond)
}

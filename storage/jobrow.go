package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// jobColumns are the columns that scanJob reads, in its order.
const jobColumns = `now(), id, app, name, handler, params, schedule, anchor, misfire, grace_ms, overlap, route,
	delivery, timeout_ms, retry, priority, enabled, paused_reason, version, next_fire_at, created_at, updated_at, deleted_at, fires_since`

// jobRow is a job with what only the store knows of it.
type jobRow struct {
	firjob.Job
	now     time.Time // the store's clock at the start of the transaction
	anchor  time.Time
	deleted bool
	// since is the version since which its fires are what they are: those that
	// it, or a later one, has planned are good.
	since int
}

func scanJob(row pgx.CollectableRow) (jobRow, error) {
	var j jobRow
	var schedule, retry, params []byte
	var graceMS, timeoutMS int64
	var deletedAt *time.Time
	err := row.Scan(&j.now, &j.ID, &j.App, &j.Name, &j.Handler, &params, &schedule, &j.anchor, &j.Misfire.Policy, &graceMS,
		&j.Overlap, &j.Route, &j.Delivery, &timeoutMS, &retry, &j.Priority, &j.Enabled, &j.PausedReason, &j.Version,
		&j.NextFireAt, &j.CreatedAt, &j.UpdatedAt, &deletedAt, &j.since)
	if err != nil {
		return j, err
	}
	j.Params, j.deleted = params, deletedAt != nil
	j.Misfire.Grace, j.Timeout = fromMillis(graceMS), fromMillis(timeoutMS)
	if err := json.Unmarshal(schedule, &j.Schedule); err != nil {
		return j, fmt.Errorf("read the schedule of job %d: %w", j.ID, err)
	}
	if err := json.Unmarshal(retry, &j.Retry); err != nil {
		return j, fmt.Errorf("read the retry rule of job %d: %w", j.ID, err)
	}
	return j, nil
}

func fromMillis(ms int64) firjob.Duration {
	return firjob.Duration(time.Duration(ms) * time.Millisecond)
}

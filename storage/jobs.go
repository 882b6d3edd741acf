package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// CreateJob stores a job and its next fire, which first answers from the
// store's clock; that instant is the anchor, too. CodeInvalid with the field
// "app" if there is no such app, CodeConflict if the app has a job of that name.
func (db *DB) CreateJob(ctx context.Context, job firjob.Job, first func(now time.Time) (time.Time, error)) (stored firjob.Job, err error) {
	err = db.inTx(ctx, db.api, "create the job", func(ctx context.Context, tx pgx.Tx) error {
		now, err := txNow(ctx, tx)
		if err != nil {
			return err
		}
		next, err := first(now)
		if err != nil {
			return err
		}
		schedule, retry, err := encodeJob(job)
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, createJobSQL, job.App, job.Name, job.Handler, text(job.Params), string(job.Schedule.Kind), schedule,
			string(job.Misfire.Policy), job.Misfire.Grace.Std().Milliseconds(), string(job.Overlap), string(job.Route),
			string(job.Delivery), job.Timeout.Std().Milliseconds(), retry, job.Priority, job.Enabled, job.PausedReason, instant(next))
		row, err := pgx.CollectExactlyOneRow(rows, scanJob)
		stored = row.Job
		return err
	})
	return stored, err
}

const createJobSQL = `INSERT INTO jobs (app, name, handler, params, kind, schedule, anchor, misfire, grace_ms, overlap, route,
		delivery, timeout_ms, retry, priority, enabled, paused_reason, next_fire_at)
	VALUES ($1, $2, $3, $4::text::json, $5, $6::text::json, date_trunc('milliseconds', now()), $7, $8, $9, $10, $11, $12,
		$13::text::json, $14, $15, $16, $17)
	RETURNING ` + jobColumns

// txNow returns the clock of the transaction, cut to the millisecond as every
// instant of a schedule is.
func txNow(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	err = tx.QueryRow(ctx, txNowSQL).Scan(&now)
	return now, err
}

const txNowSQL = `SELECT date_trunc('milliseconds', now())`

func encodeJob(job firjob.Job) (schedule, retry string, err error) {
	s, err := json.Marshal(job.Schedule)
	if err != nil {
		return "", "", fmt.Errorf("write the schedule: %w", err)
	}
	r, err := json.Marshal(job.Retry)
	if err != nil {
		return "", "", fmt.Errorf("write the retry rule: %w", err)
	}
	return string(s), string(r), nil
}

// text makes JSON a nullable parameter of type text.
func text(data json.RawMessage) *string { return pointer(string(data)) }

// Job returns a job. CodeNotFound if there is none or it was deleted.
func (db *DB) Job(ctx context.Context, id firjob.JobID) (firjob.Job, error) {
	rows, _ := db.api.Query(ctx, jobSQL, int64(id))
	row, err := pgx.CollectExactlyOneRow(rows, scanJob)
	return row.Job, jobError("read the job", id, err)
}

const jobSQL = `SELECT ` + jobColumns + ` FROM jobs WHERE id = $1::bigint AND deleted_at IS NULL`

func jobError(verb string, id firjob.JobID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	return classify(verb, err)
}

// Jobs returns a page of jobs by id, and the id after which the next page
// starts (0: this was the last).
func (db *DB) Jobs(ctx context.Context, f firjob.JobFilter) (jobs []firjob.Job, next firjob.JobID, err error) {
	rows, _ := db.api.Query(ctx, jobsSQL, pointer(f.App), pointer(f.Query), f.Enabled, int64(f.After), f.PageSize+1)
	list, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return nil, 0, classify("list jobs", err)
	}
	for _, j := range list {
		if len(jobs) == f.PageSize {
			return jobs, jobs[len(jobs)-1].ID, nil
		}
		jobs = append(jobs, j.Job)
	}
	return jobs, 0, nil
}

const jobsSQL = `SELECT ` + jobColumns + ` FROM jobs
	WHERE id > $4::bigint AND deleted_at IS NULL
		AND ($1::text IS NULL OR app = $1)
		AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0 OR strpos(lower(handler), lower($2)) > 0)
		AND ($3::bool IS NULL OR enabled = $3)
	ORDER BY id LIMIT $5`

// UpdateJob locks the job, lets change edit it and answer its next fire (zero:
// none), then stores it with the next version and, unless its fires are the same
// (firjob.Job.SameFires), supersedes the planned executions of the old one: all
// in one transaction. An error from change is returned as it is and nothing is
// stored. anchor is where "every" counts from; it becomes now when change alters
// the schedule. The job's app, id and times of creation never change. change may
// be called again if the transaction is.
func (db *DB) UpdateJob(ctx context.Context, id firjob.JobID, change func(now, anchor time.Time, job *firjob.Job) (next time.Time, err error)) (job firjob.Job, followed firjob.Followed, err error) {
	var refused error
	err = db.inTx(ctx, db.api, "change the job", func(ctx context.Context, tx pgx.Tx) error {
		old, err := lockJob(ctx, tx, id)
		if err != nil {
			return err
		}
		edited := old.Job
		next, err := change(old.now, old.anchor, &edited)
		if err != nil {
			refused = err
			return err
		}
		if followed, err = storeEdit(ctx, tx, old, edited, next); err != nil {
			return err
		}
		row, err := lockJob(ctx, tx, id)
		job = row.Job
		return err
	})
	if refused != nil {
		return firjob.Job{}, firjob.Followed{}, refused
	}
	return job, followed, jobError("change the job", id, err)
}

func storeEdit(ctx context.Context, tx pgx.Tx, old jobRow, edited firjob.Job, next time.Time) (firjob.Followed, error) {
	if !edited.Schedule.Equal(old.Schedule) {
		old.anchor = old.now
	}
	same := edited.SameFires(old.Job)
	if !same {
		old.since = old.Version + 1
	}
	if err := storeJob(ctx, tx, edited, old.anchor, old.since, next); err != nil || same {
		return firjob.Followed{}, err
	}
	return supersede(ctx, tx, old.ID, supersededBy(old.Job, edited))
}

func supersededBy(old, edited firjob.Job) string {
	if old.Enabled && !edited.Enabled {
		return "the job was paused"
	}
	return fmt.Sprintf("the job was changed to version %d", old.Version+1)
}

func lockJob(ctx context.Context, tx pgx.Tx, id firjob.JobID) (jobRow, error) {
	rows, _ := tx.Query(ctx, lockJobSQL, int64(id))
	j, err := pgx.CollectExactlyOneRow(rows, scanJob)
	j.now = j.now.Truncate(time.Millisecond)
	return j, err
}

const lockJobSQL = jobSQL + ` FOR UPDATE`

func storeJob(ctx context.Context, tx pgx.Tx, job firjob.Job, anchor time.Time, since int, next time.Time) error {
	schedule, retry, err := encodeJob(job)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, storeJobSQL, int32(job.ID), job.Name, job.Handler, text(job.Params), string(job.Schedule.Kind), schedule, anchor,
		string(job.Misfire.Policy), job.Misfire.Grace.Std().Milliseconds(), string(job.Overlap), string(job.Route),
		string(job.Delivery), job.Timeout.Std().Milliseconds(), retry, job.Priority, job.Enabled, job.PausedReason, instant(next), since)
	return err
}

const storeJobSQL = `UPDATE jobs SET name = $2, handler = $3, params = $4::text::json, kind = $5, schedule = $6::text::json,
		anchor = $7, misfire = $8, grace_ms = $9, overlap = $10, route = $11, delivery = $12, timeout_ms = $13,
		retry = $14::text::json, priority = $15, enabled = $16, paused_reason = $17, next_fire_at = $18, fires_since = $19,
		version = version + 1, updated_at = now()
	WHERE id = $1`

// DeleteJob takes the job away and supersedes its planned executions. Its
// history stays. CodeNotFound as for Job.
func (db *DB) DeleteJob(ctx context.Context, id firjob.JobID) (followed firjob.Followed, err error) {
	err = db.inTx(ctx, db.api, "delete the job", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := lockJob(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteJobSQL, int32(id)); err != nil {
			return err
		}
		followed, err = supersede(ctx, tx, id, "the job was deleted")
		return err
	})
	return followed, jobError("delete the job", id, err)
}

const deleteJobSQL = `UPDATE jobs SET deleted_at = now(), updated_at = now(), enabled = false, next_fire_at = NULL,
	version = version + 1 WHERE id = $1`

// Anchor returns where the job's "every" counts from.
func (db *DB) Anchor(ctx context.Context, id firjob.JobID) (time.Time, error) {
	var anchor time.Time
	err := db.api.QueryRow(ctx, anchorSQL, int64(id)).Scan(&anchor)
	return anchor, jobError("read the job", id, err)
}

const anchorSQL = `SELECT anchor FROM jobs WHERE id = $1::bigint AND deleted_at IS NULL`

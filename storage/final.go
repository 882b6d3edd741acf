package storage

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// ended is an execution that became final in this transaction.
type ended struct {
	id firjob.ExecutionID
	at time.Time
}

func scanEnded(row pgx.CollectableRow) (ended, error) {
	var e ended
	err := row.Scan((*[16]byte)(&e.id), &e.at)
	return e, err
}

// afterFinal does what follows from executions that became final in this
// transaction: overlap slots are handed on and delay jobs get their next fire.
// Every path that ends executions comes through here, with those rows at least
// whose "follow" is set.
func afterFinal(ctx context.Context, tx pgx.Tx, list []ended) (followed firjob.Followed, err error) {
	if len(list) == 0 {
		return followed, nil
	}
	ids := make([]firjob.ExecutionID, len(list))
	for i, e := range list {
		ids[i] = e.id
	}
	if followed.Announce, err = handOver(ctx, tx, ids); err != nil {
		return followed, err
	}
	followed.Plan, err = continueDelay(ctx, tx, list)
	return followed, err
}

// continueDelay sets the next fire of the delay jobs among list, one interval
// after the end. Manual runs do not count. Nor does the end of a run that an
// edit has overtaken: while the latest fire of the job is open, the chain goes
// on from there, and a second one must not begin.
func continueDelay(ctx context.Context, tx pgx.Tx, list []ended) ([]firjob.JobID, error) {
	ends := map[firjob.JobID]time.Time{}
	for _, e := range list {
		if e.id.Kind() == firjob.KindSchedule {
			ends[e.id.Job()] = e.at
		}
	}
	if len(ends) == 0 {
		return nil, nil
	}
	rows, _ := tx.Query(ctx, lockDelayJobsSQL, numbers(slices.Sorted(maps.Keys(ends))))
	jobs, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return nil, err
	}
	var ids []firjob.JobID
	var next []time.Time
	for _, j := range jobs {
		open, err := latestIsOpen(ctx, tx, j.ID)
		if err != nil {
			return nil, err
		}
		if !open {
			ids, next = append(ids, j.ID), append(next, delayedFire(ends[j.ID], j))
		}
	}
	return ids, advanceJobs(ctx, tx, ids, next)
}

const lockDelayJobsSQL = `SELECT ` + jobColumns + ` FROM jobs
	WHERE id = ANY($1::int[]) AND kind = 'delay' AND next_fire_at IS NULL AND enabled
		AND coalesce(deleted_at, 'infinity') = 'infinity'
	ORDER BY id FOR UPDATE`

// latestIsOpen reports whether the latest scheduled fire of a job is not final.
func latestIsOpen(ctx context.Context, tx pgx.Tx, job firjob.JobID) (open bool, err error) {
	err = tx.QueryRow(ctx, latestIsOpenSQL, int32(job)).Scan(&open)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return open, err
}

const latestIsOpenSQL = `SELECT finished_at IS NULL FROM executions
	WHERE job_id = $1 AND job_id > 0 AND ` + isScheduled + ` ORDER BY id DESC LIMIT 1`

// isScheduled holds for scheduled fires: an id's ninth byte is its kind.
const isScheduled = `get_byte(uuid_send(id), 8) = 128`

// delayedFire returns the fire that follows a run that ended at end: not before
// now, so that a result that came late is no misfire, and rounded up to the
// millisecond, so that it is never early.
func delayedFire(end time.Time, j jobRow) time.Time {
	at := end.Add(j.Schedule.Interval.Std())
	if at.Before(j.now) {
		at = j.now
	}
	return at.Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

// finishAs ends planned executions, whose locks the caller holds, without
// another attempt.
func finishAs(ctx context.Context, tx pgx.Tx, list []ending) (firjob.Followed, error) {
	if len(list) == 0 {
		return firjob.Followed{}, nil
	}
	ids := make([]firjob.ExecutionID, len(list))
	states, reasons := make([]string, len(list)), make([]string, len(list))
	for i, e := range list {
		ids[i], states[i], reasons[i] = e.id, string(e.state), e.reason
	}
	low, high := bounds(ids)
	rows, _ := tx.Query(ctx, finishAsSQL, uuids(ids), low, high, states, reasons)
	done, err := pgx.CollectRows(rows, scanEnded)
	if err != nil {
		return firjob.Followed{}, err
	}
	return afterFinal(ctx, tx, done)
}

const finishAsSQL = `UPDATE executions AS e SET state = v.state::execution_state, reason = v.reason,
		finished_at = now(), waiting = false
	FROM unnest($1::uuid[], $4::text[], $5::text[]) AS v(id, state, reason)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = v.id
	RETURNING e.id, e.finished_at`

// supersede ends the fires of a job that were planned and never tried. Those
// that are due since more than five minutes are left to the claim, which
// finds them out one by one: looking for them here could mean a long search.
func supersede(ctx context.Context, tx pgx.Tx, job firjob.JobID, reason string) (firjob.Followed, error) {
	rows, _ := tx.Query(ctx, supersedeSQL, int32(job), reason)
	done, err := pgx.CollectRows(rows, scanEnded)
	if err != nil {
		return firjob.Followed{}, err
	}
	return afterFinal(ctx, tx, done)
}

const supersedeSQL = `UPDATE executions SET state = 'superseded', reason = $2, finished_at = now(), waiting = false
	WHERE job_id = $1 AND job_id > 0 AND id >= ` + firstIDBefore5m + ` AND state = 'planned' AND attempt = 0 AND job_version > 0
	RETURNING id, finished_at`

// firstIDNow and firstIDBefore5m are firjob.FirstIDAt of the store's clock in
// SQL, so that no replica's clock has a say: the first 12 hexadecimal digits of
// an id are milliseconds.
const (
	firstIDNow      = `rpad(lpad(to_hex(ceil(extract(epoch FROM now()) * 1000)::bigint), 12, '0'), 32, '0')::uuid`
	firstIDBefore5m = `rpad(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - 300000), 12, '0'), 32, '0')::uuid`
)

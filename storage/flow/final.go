package flow

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// ended is an execution that became final in this transaction.
type ended struct {
	id    firjob.ExecutionID
	at    time.Time
	state firjob.State
}

func scanEnded(row pgx.CollectableRow) (ended, error) {
	var e ended
	err := row.Scan((*[16]byte)(&e.id), &e.at, &e.state)
	return e, err
}

// afterFinal does what follows from executions that became final in this
// transaction. Every path that ends executions comes through here, with those
// rows at least whose "follow" is set. Locks are taken in the order of the steps,
// and within each in the order of its keys. Broadcasts come first: their own ends
// are then among the ends from which the rest follows. What is retried gives back
// the place in its app, which is for those that run, and not for the pause between
// two attempts.
func afterFinal(ctx context.Context, tx pgx.Tx, list []ended, retried ...ended) (followed ports.Followed, err error) {
	if len(list) == 0 {
		return followed, leaveApps(ctx, tx, retried, &followed)
	}
	broadcasts, err := endShards(ctx, tx, list, &followed)
	if err != nil {
		return followed, err
	}
	list = append(list, broadcasts...)
	if err := passSlotsOn(ctx, tx, list, &followed); err != nil { // the places of jobs that bound what runs
		return followed, err
	}
	if err := leaveApps(ctx, tx, slices.Concat(list, retried), &followed); err != nil { // those of limited apps
		return followed, err
	}
	for _, step := range []func(context.Context, pgx.Tx, []ended, *ports.Followed) error{
		continueDelays,    // the next fire of delay jobs
		triggerChildren,   // jobs that wait for these ends
		continueBackfills, // the next fires of backfills
	} {
		if err := step(ctx, tx, list, &followed); err != nil {
			return followed, err
		}
	}
	return followed, nil
}

func idsOf(list []ended) []firjob.ExecutionID {
	ids := make([]firjob.ExecutionID, len(list))
	for i, e := range list {
		ids[i] = e.id
	}
	return ids
}

// continueDelays sets the next fire of the delay jobs among list, one interval
// after the end. Manual runs do not count. Nor does the end of a run that an
// edit has overtaken: while the latest fire of the job is open, the chain goes
// on from there, and a second one must not begin.
func continueDelays(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {
	ends := map[firjob.JobID]time.Time{}
	for _, e := range list {
		if e.id.Kind() == firjob.KindSchedule && e.id.Ordinal() == 0 {
			ends[e.id.Job()] = e.at
		}
	}
	if len(ends) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, lockDelayJobsSQL, pg.Numbers(slices.Sorted(maps.Keys(ends))))
	jobs, err := pgx.CollectRows(rows, scan.Job)
	if err == nil {
		err = scan.FillCalendars(ctx, tx, jobs)
	}
	if err != nil {
		return err
	}
	var ids []firjob.JobID
	var next []time.Time
	broken := map[firjob.JobID]error{}
	for _, j := range jobs {
		open, err := latestIsOpen(ctx, tx, j.ID)
		if err != nil {
			return err
		}
		if open {
			continue
		}
		at, err := timetable.DelayedFire(j.Job, ends[j.ID], j.Now)
		if err != nil {
			broken[j.ID] = err // it must not keep the results of others from being recorded
			continue
		}
		ids, next = append(ids, j.ID), append(next, at)
	}
	followed.Plan = append(followed.Plan, ids...)
	if err := advanceJobs(ctx, tx, ids, next); err != nil {
		return err
	}
	return pauseBroken(ctx, tx, broken)
}

const lockDelayJobsSQL = `SELECT ` + scan.JobColumns + ` FROM jobs
	WHERE id = ANY($1::int[]) AND kind = 'delay' AND next_fire_at IS NULL AND enabled
		AND ` + scan.IsLiving + `
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
	WHERE job_id = $1 AND job_id > 0 AND ` + isScheduled + ` AND shard_total IS NULL ORDER BY id DESC LIMIT 1`

// isScheduled holds for scheduled fires: an id's ninth byte is its kind.
const isScheduled = `get_byte(uuid_send(id), 8) = 128`

// FinishAs ends planned executions, whose locks the caller holds, without
// another attempt.
func FinishAs(ctx context.Context, tx pgx.Tx, list []Ending) (ports.Followed, error) {
	if len(list) == 0 {
		return ports.Followed{}, nil
	}
	ids := make([]firjob.ExecutionID, len(list))
	states, reasons := make([]string, len(list)), make([]string, len(list))
	for i, e := range list {
		ids[i], states[i], reasons[i] = e.ID, string(e.State), e.Reason
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, finishAsSQL, pg.UUIDs(ids), low, high, states, reasons)
	done, err := pgx.CollectRows(rows, scanEnded)
	if err != nil {
		return ports.Followed{}, err
	}
	return afterFinal(ctx, tx, done)
}

const finishAsSQL = `UPDATE executions AS e SET state = v.state::execution_state, reason = v.reason,
		finished_at = now(), waiting = false
	FROM unnest($1::uuid[], $4::text[], $5::text[]) AS v(id, state, reason)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = v.id
	RETURNING e.id, e.finished_at, e.state::text`

// Supersede ends the fires of a job that were planned and never tried. Those
// that are due since more than five minutes are left to the claim, which
// finds them out one by one: looking for them here could mean a long search.
func Supersede(ctx context.Context, tx pgx.Tx, job firjob.JobID, reason string) (ports.Followed, error) {
	rows, _ := tx.Query(ctx, supersedeSQL, int32(job), reason)
	done, err := pgx.CollectRows(rows, scanEnded)
	if err != nil {
		return ports.Followed{}, err
	}
	return afterFinal(ctx, tx, done)
}

const supersedeSQL = `UPDATE executions SET state = 'superseded', reason = $2, finished_at = now(), waiting = false
	WHERE job_id = $1 AND job_id > 0 AND id >= ` + FirstIDBefore5m + ` AND state = 'planned' AND attempt = 0
	AND job_version > 0
	RETURNING id, finished_at, state::text`

// FirstIDNow and firstIDBefore5m are firjob.FirstIDAt of the store's clock in
// SQL, so that no server's clock has a say: the first 12 hexadecimal digits of
// an id are milliseconds.
const (
	FirstIDNow      = `rpad(lpad(to_hex(ceil(extract(epoch FROM now()) * 1000)::bigint), 12, '0'), 32, '0')::uuid`
	FirstIDBefore5m = `rpad(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - 300000), 12, '0'), 32,
		'0')::uuid`
)

// continueBackfills notes which backfills may have room for more fires: those
// whose numbers the ids of their executions carry.
func continueBackfills(_ context.Context, _ pgx.Tx, list []ended, followed *ports.Followed) error {
	for _, e := range list {
		b := ports.BackfillID(e.id.Nonce())
		if e.id.Kind() == firjob.KindBackfill && e.id.Ordinal() == 0 && !slices.Contains(followed.Backfills, b) {
			followed.Backfills = append(followed.Backfills, b)
		}
	}
	return nil
}

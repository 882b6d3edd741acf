package storage

import (
	"context"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// A job with the overlap rule skip or queue runs one execution at a time: the
// one that holds its slot. The slot is taken by a claim, kept through every
// retry, and, in the transaction that makes its holder final, handed to the
// first execution that waits, or removed.

// takeSlots asks for the slot of each contending execution's job and settles
// who goes on. The slot's row stays locked until the claim commits, so that a
// hand-over either sees those that have begun to wait or comes first.
func takeSlots(ctx context.Context, tx pgx.Tx, d *claims) error {
	firsts := d.firsts()
	if len(firsts) == 0 {
		return nil
	}
	ids := make([]firjob.ExecutionID, len(firsts))
	jobs := make([]int32, len(firsts))
	for i, c := range firsts {
		ids[i], jobs[i] = c.id, int32(c.id.Job())
	}
	rows, _ := tx.Query(ctx, takeSlotsSQL, jobs, uuids(ids))
	slots, err := pgx.CollectRows(rows, scanSlot)
	if err != nil {
		return err
	}
	holders := make(map[firjob.JobID]firjob.ExecutionID, len(slots))
	for _, s := range slots {
		holders[s.job] = s.holder
	}
	d.settle(holders)
	return nil
}

// The update changes nothing: it locks, and it makes RETURNING tell the holder.
const takeSlotsSQL = `INSERT INTO overlap_slots AS s (job_id, execution_id)
	SELECT * FROM unnest($1::int[], $2::uuid[]) AS v(job, id) ORDER BY v.job
	ON CONFLICT (job_id) DO UPDATE SET execution_id = s.execution_id
	RETURNING job_id, execution_id`

type slot struct {
	job    firjob.JobID
	holder firjob.ExecutionID
}

func scanSlot(row pgx.CollectableRow) (slot, error) {
	var s slot
	err := row.Scan(&s.job, (*[16]byte)(&s.holder))
	return s, err
}

// handOver passes the slots that the executions held on to the first that waits
// for each, and removes those that nobody waits for. It returns who was let in.
func handOver(ctx context.Context, tx pgx.Tx, ended []firjob.ExecutionID) ([]firjob.Due, error) {
	rows, _ := tx.Query(ctx, lockSlotsSQL, numbers(jobsOf(ended)), uuids(ended))
	free, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil || len(free) == 0 {
		return nil, err
	}
	var letIn []firjob.Due
	for len(free) > 0 {
		rows, _ := tx.Query(ctx, firstWaitingSQL, free)
		first, err := pgx.CollectRows(rows, scanID)
		if err != nil {
			return nil, err
		}
		if len(first) == 0 {
			_, err := tx.Exec(ctx, removeSlotsSQL, free)
			return letIn, err
		}
		due, err := letWaitingIn(ctx, tx, first)
		if err != nil {
			return nil, err
		}
		letIn = append(letIn, due...)
		free = stillFree(free, due)
	}
	return letIn, nil
}

const (
	lockSlotsSQL = `SELECT job_id FROM overlap_slots
		WHERE job_id = ANY($1::int[]) AND execution_id = ANY($2::uuid[]) ORDER BY job_id FOR UPDATE`
	firstWaitingSQL = `SELECT DISTINCT ON (job_id) id FROM executions
		WHERE waiting AND job_id = ANY($1::int[]) ORDER BY job_id, id`
	removeSlotsSQL = `DELETE FROM overlap_slots WHERE job_id = ANY($1::int[])`
)

// letWaitingIn makes the executions due now and holders of their slots. One
// that somebody cancelled a moment ago is left out; the next in line is tried
// then.
func letWaitingIn(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID) ([]firjob.Due, error) {
	low, high := bounds(ids)
	rows, _ := tx.Query(ctx, letInSQL, uuids(ids), low, high)
	due, err := pgx.CollectRows(rows, scanDue)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	jobs, holders := make([]int32, len(due)), make([]firjob.ExecutionID, len(due))
	for i, d := range due {
		jobs[i], holders[i] = int32(d.ID.Job()), d.ID
	}
	_, err = tx.Exec(ctx, moveSlotsSQL, jobs, uuids(holders))
	return due, err
}

// "coalesce" keeps the index of those that wait, which is in the order of jobs,
// out of the planner's mind.
const (
	letInSQL = `UPDATE executions SET waiting = false, due_at = greatest(due_at, now()), reason = NULL
		WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid AND coalesce(waiting, false)
		RETURNING id, due_at`
	moveSlotsSQL = `UPDATE overlap_slots AS s SET execution_id = v.id
		FROM unnest($1::int[], $2::uuid[]) AS v(job, id)
		WHERE s.job_id = ANY($1::int[]) AND s.job_id = v.job`
)

// stillFree returns the jobs of free for which nobody was let in.
func stillFree(free []int32, letIn []firjob.Due) []int32 {
	taken := make(map[int32]bool, len(letIn))
	for _, d := range letIn {
		taken[int32(d.ID.Job())] = true
	}
	var rest []int32
	for _, job := range free {
		if !taken[job] {
			rest = append(rest, job)
		}
	}
	return rest
}

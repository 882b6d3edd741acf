package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/scan"
)

// inherit makes a retry part of the run of the execution that it repeats, with
// the same inputs, and of a shard the same part of the same broadcast. So what
// waits for the success of a parent that failed first is triggered by its retry.
func inherit(ctx context.Context, tx pgx.Tx, id, origin firjob.ExecutionID) error {
	_, err := tx.Exec(ctx, inheritSQL, [16]byte(id), [16]byte(origin), id.Ordinal() > 0)
	return err
}

const inheritSQL = `UPDATE executions AS e SET parent = o.id, root = coalesce(o.root, o.id), inputs = o.inputs,
		shard_total = CASE WHEN $3::bool THEN o.shard_total END, target = o.target
	FROM executions AS o WHERE e.id = $1 AND o.id = $2`

// RetryShards records a manual execution that repeats those shards of a finished
// broadcast that have not succeeded, each under its number and meant for the
// executor that it was meant for. CodeConflict while the broadcast is not final,
// if there are no such shards, and if the job is a broadcast no more.
func (db *Records) RetryShards(ctx context.Context, id firjob.ExecutionID) (e firjob.Execution, err error) {
	err = db.Write(ctx, "retry the failed shards", func(ctx context.Context, tx pgx.Tx) error {
		old, _, err := scan.FindExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		total, err := shardsToRetry(ctx, tx, old)
		if err != nil {
			return err
		}
		again, err := repeat(ctx, tx, old)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, repeatShardsSQL, [16]byte(again), total); err != nil {
			return err
		}
		e, _, err = scan.FindExecution(ctx, tx, again)
		return err
	})
	return e, err
}

const repeatShardsSQL = `UPDATE executions SET shard_total = $2 WHERE id = $1`

// shardsToRetry returns of how many shards some are to be repeated.
func shardsToRetry(ctx context.Context, tx pgx.Tx, old firjob.Execution) (total int, err error) {
	if !old.State.Final() {
		return 0, firjob.Errorf(firjob.CodeConflict, "execution %s is %s; only one that has ended can be retried",
			old.ID, old.State)
	}
	jobs, err := flow.ReadJobs(ctx, tx, []firjob.JobID{old.JobID})
	if err != nil {
		return 0, err
	}
	low, high := scan.ShardsBetween(old.ID)
	var failed int
	err = tx.QueryRow(ctx, shardsToRetrySQL, low, high, [16]byte(old.ID)).Scan(&total, &failed)
	switch {
	case err != nil:
		return 0, err
	case total == 0:
		return 0, firjob.Errorf(firjob.CodeConflict, "execution %s has no shards", old.ID)
	case failed == 0:
		return 0, firjob.Errorf(firjob.CodeConflict, "no shard of execution %s has failed", old.ID)
	case jobs[old.JobID].Route != firjob.RouteBroadcast: // all of it would run again, on one executor
		return 0, firjob.Errorf(firjob.CodeConflict,
			"job %d is a broadcast no more; its shards can be retried one by one", old.JobID)
	}
	return total, nil
}

const shardsToRetrySQL = `SELECT coalesce(max(shard_total), 0), count(*) FILTER (WHERE state <> 'succeeded')
	FROM executions WHERE id BETWEEN $1::uuid AND $2::uuid AND parent = $3`

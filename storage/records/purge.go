package records

import (
	"context"
	"errors"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// purgeChunk is how many rows one statement of purge removes. A statement that
// removed all of them at once could run into its timeout, and would then fail each
// time, with more rows each time.
const purgeChunk = 1000

// purge forgets what has no use any more. It goes chunk by chunk, each committed by
// itself, so that a call that is cut off leaves less for the next one. A table that
// fails does not keep the others from being purged.
func (db *Records) purge(ctx context.Context, before time.Time) error {
	var failed []error
	firstKept := firjob.FirstIDAt(before.UTC().Truncate(pg.Day)).String()
	for _, sql := range []string{purgeKeysSQL, purgeRequestsSQL, purgeExecutorsSQL} {
		failed = append(failed, db.inChunks(ctx, sql))
	}
	for _, sql := range []string{purgeLaterSQL, purgeBackfillsSQL} {
		failed = append(failed, db.inChunks(ctx, sql, before))
	}
	for _, sql := range []string{purgeSlotsSQL, purgeAppSlotsSQL, purgeQueueSQL, purgeBroadcastsSQL,
		purgeDeadLettersSQL} {
		failed = append(failed, db.inChunks(ctx, sql, firstKept))
	}
	failed = append(failed, db.inChunks(ctx, purgeJoinsSQL, before, firjob.FirstIDAt(before).String()))
	return pg.Classify("forget old records", errors.Join(failed...))
}

// inChunks repeats a statement, whose first argument is how many rows it may
// change, until it finds fewer than that.
func (db *Records) inChunks(ctx context.Context, sql string, args ...any) error {
	args = append([]any{purgeChunk}, args...)
	for {
		done, err := db.API.Exec(ctx, sql, args...)
		if err != nil || done.RowsAffected() < purgeChunk {
			return err
		}
	}
}

// Each statement leaves rows that another transaction has locked to the next call.
const (
	purgeKeysSQL = `DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys
		WHERE created_at < now() - interval '24 hours' LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeRequestsSQL = `DELETE FROM idempotent_requests WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotent_requests
		WHERE created_at < now() - interval '24 hours' LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeExecutorsSQL = `DELETE FROM executors WHERE ctid = ANY(ARRAY(SELECT ctid FROM executors
		WHERE last_beat < now() - interval '24 hours' LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeLaterSQL = `DELETE FROM later_triggers WHERE ctid = ANY(ARRAY(SELECT ctid FROM later_triggers
		WHERE cancelled_at < $2 LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeBackfillsSQL = `DELETE FROM backfills WHERE ctid = ANY(ARRAY(SELECT ctid FROM backfills
		WHERE finished_at < $2 LIMIT $1 FOR UPDATE SKIP LOCKED))`
	// Places of executions that went with their day; Admit gives them on.
	purgeSlotsSQL = `UPDATE job_slots
		SET holders = ARRAY(SELECT h FROM unnest(holders) AS h WHERE h >= $2::text::uuid), review_at = now()
		WHERE job_id = ANY(ARRAY(SELECT job_id FROM job_slots
			WHERE EXISTS (SELECT FROM unnest(holders) AS h WHERE h < $2::text::uuid) LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeAppSlotsSQL = `DELETE FROM app_slots WHERE execution_id = ANY(ARRAY(SELECT execution_id FROM app_slots
		WHERE execution_id < $2::text::uuid ORDER BY execution_id LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeQueueSQL = `DELETE FROM app_queue WHERE execution_id = ANY(ARRAY(SELECT execution_id FROM app_queue
		WHERE execution_id < $2::text::uuid ORDER BY execution_id LIMIT $1 FOR UPDATE SKIP LOCKED))`
	purgeBroadcastsSQL = `DELETE FROM broadcasts WHERE execution_id = ANY(ARRAY(SELECT execution_id FROM broadcasts
		WHERE execution_id < $2::text::uuid ORDER BY execution_id LIMIT $1 FOR UPDATE SKIP LOCKED))`
	// A dead letter goes with its execution.
	purgeDeadLettersSQL = `DELETE FROM dead_letters WHERE execution_id = ANY(ARRAY(SELECT execution_id FROM dead_letters
		WHERE execution_id < $2::text::uuid ORDER BY execution_id LIMIT $1 FOR UPDATE SKIP LOCKED))`
	// A run's key begins with its instant, so the primary key finds the old ones.
	purgeJoinsSQL = `DELETE FROM child_joins WHERE ctid = ANY(ARRAY(SELECT ctid FROM child_joins
		WHERE run < $3::text::uuid AND updated_at < $2 LIMIT $1 FOR UPDATE SKIP LOCKED))`
)

// MaintainPartitions makes the partitions from yesterday to ahead days from
// now and drops those that lie wholly before the retention, each in a short
// transaction. It also forgets what has no use any more: idempotency keys after
// 24 hours, cancelled triggers after the retention.
func (db *Records) MaintainPartitions(ctx context.Context, ahead int, retention time.Duration) error {
	now, err := db.Now(ctx)
	if err != nil {
		return err
	}
	if err := db.AddPartitions(ctx, pg.DaysAround(now, 1, ahead)); err != nil {
		return pg.Classify("maintain partitions", err)
	}
	return errors.Join(db.DropPartitions(ctx, now.Add(-retention)), db.purge(ctx, now.Add(-retention)))
}

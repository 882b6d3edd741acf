package records

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// DeadLetters returns a page of dead letters, the latest scheduled first, and
// the id before which the next page starts (zero: this was the last).
func (db *Records) DeadLetters(ctx context.Context, f ports.DeadLetterFilter) (list []ports.DeadLetter,
	next firjob.ExecutionID, err error) {
	rows, _ := db.API.Query(ctx, deadLettersSQL,
		append(deadLetterArgs(f), f.Handled, orNullID(f.Before), f.PageSize+1)...)
	if list, err = pgx.CollectRows(rows, scanDeadLetter); err != nil {
		return nil, next, pg.Classify("list dead letters", err)
	}
	if len(list) > f.PageSize {
		list = list[:f.PageSize]
		next = list[len(list)-1].ID
	}
	if err := fillExecutions(ctx, db.API, list); err != nil {
		return nil, next, pg.Classify("list dead letters", err)
	}
	return list, next, nil
}

// deadLetterArgs are the parameters that select dead letters d of executions e.
func deadLetterArgs(f ports.DeadLetterFilter) []any {
	var states []string
	for _, s := range f.States {
		states = append(states, string(s))
	}
	return []any{pg.Pointer(int64(f.Job)), pg.Pointer(f.App), states, pg.Instant(f.Since), pg.Instant(f.Until)}
}

const selectDeadLetters = ` FROM dead_letters AS d JOIN executions AS e ON e.id = d.execution_id
	WHERE ($1::bigint IS NULL OR d.job_id = $1)
		AND ($2::text IS NULL OR d.job_id = ANY(ARRAY(` + livingJobsOf + `$2 UNION ALL ` + deletedJobsOf + `$2)))
		AND ($3::text[] IS NULL OR e.state::text = ANY($3))
		AND ($4::timestamptz IS NULL OR d.failed_at >= $4) AND ($5::timestamptz IS NULL OR d.failed_at < $5)`

const (
	deadLettersSQL = `SELECT d.execution_id, d.failed_at, d.redriven_as, d.dismissed_at` + selectDeadLetters + `
		AND ($6::bool OR d.redriven_as IS NULL AND d.dismissed_at IS NULL)
		AND ($7::uuid IS NULL OR d.execution_id < $7)
		ORDER BY d.execution_id DESC LIMIT $8`
	openDeadLettersSQL = `SELECT d.execution_id` + selectDeadLetters + `
		AND d.redriven_as IS NULL AND d.dismissed_at IS NULL
		ORDER BY d.execution_id LIMIT $6`
)

// orNullID makes an id a nullable parameter: the zero id is NULL.
func orNullID(id firjob.ExecutionID) *[16]byte { return (*[16]byte)(pg.Pointer(id)) }

func scanDeadLetter(row pgx.CollectableRow) (ports.DeadLetter, error) {
	var d ports.DeadLetter
	var redriven *[16]byte
	err := row.Scan((*[16]byte)(&d.ID), &d.FailedAt, &redriven, &d.DismissedAt)
	d.RedrivenAs = (*firjob.ExecutionID)(redriven)
	return d, err
}

// fillExecutions reads the executions of dead letters.
func fillExecutions(ctx context.Context, q pg.Querier, list []ports.DeadLetter) error {
	ids := make([]firjob.ExecutionID, len(list))
	for i, d := range list {
		ids[i] = d.ID
	}
	found, err := readExecutions(ctx, q, ids)
	for i := range list {
		if e, ok := found[list[i].ID]; ok {
			list[i].Execution = e
		}
	}
	return err
}

func readExecutions(ctx context.Context, q pg.Querier,
	ids []firjob.ExecutionID) (map[firjob.ExecutionID]firjob.Execution, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := q.Query(ctx, readExecutionsSQL, pg.UUIDs(ids), low, high)
	list, err := pgx.CollectRows(rows, scan.Execution)
	found := make(map[firjob.ExecutionID]firjob.Execution, len(list))
	for _, e := range list {
		found[e.ID] = e
	}
	return found, err
}

const readExecutionsSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid`

// Redrive runs dead letters again: of each it records a manual execution with the
// same params that names it, in the transaction that marks it, so that none is
// run again twice. What became of each is in the order of the ids.
func (db *Records) Redrive(ctx context.Context, b ports.DeadLetterBatch) (done []ports.DeadLetterDone, err error) {
	err = db.Write(ctx, "redrive dead letters", func(ctx context.Context, tx pgx.Tx) error {
		var open []firjob.ExecutionID
		if done, open, err = lockDeadLetters(ctx, tx, b); err != nil {
			return err
		}
		again, err := recordAgain(ctx, tx, open)
		if err != nil {
			return err
		}
		for i := range done {
			d := &done[i]
			if d.Err != nil {
				continue
			}
			if due, ok := again[d.ID]; ok {
				d.RedrivenAs = &due
			} else {
				d.Err = firjob.Errorf(firjob.CodeNotFound, "its job was deleted")
			}
		}
		return nil
	})
	return done, err
}

// Dismiss takes dead letters off the list; they stay in the history.
func (db *Records) Dismiss(ctx context.Context, b ports.DeadLetterBatch) (done []ports.DeadLetterDone, err error) {
	err = db.Write(ctx, "dismiss dead letters", func(ctx context.Context, tx pgx.Tx) error {
		var open []firjob.ExecutionID
		if done, open, err = lockDeadLetters(ctx, tx, b); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, dismissSQL, pg.UUIDs(open))
		return err
	})
	return done, err
}

const dismissSQL = `UPDATE dead_letters SET dismissed_at = now() WHERE execution_id = ANY($1::uuid[])`

// lockDeadLetters locks what a batch names and returns an entry for each, with
// the reason where nothing is to be done, and the ids of the others.
func lockDeadLetters(ctx context.Context, tx pgx.Tx,
	b ports.DeadLetterBatch) (done []ports.DeadLetterDone, open []firjob.ExecutionID, err error) {
	ids := b.IDs
	if len(ids) == 0 {
		rows, _ := tx.Query(ctx, openDeadLettersSQL, append(deadLetterArgs(b.Filter), b.Limit)...)
		if ids, err = pgx.CollectRows(rows, flow.ScanID); err != nil {
			return nil, nil, err
		}
	}
	rows, _ := tx.Query(ctx, lockDeadLettersSQL, pg.UUIDs(ids))
	list, err := pgx.CollectRows(rows, scanDeadLetter)
	if err != nil {
		return nil, nil, err
	}
	done, open = judgeDeadLetters(ids, list)
	return done, open, nil
}

func judgeDeadLetters(ids []firjob.ExecutionID, list []ports.DeadLetter) (done []ports.DeadLetterDone,
	open []firjob.ExecutionID) {
	known := make(map[firjob.ExecutionID]ports.DeadLetter, len(list))
	for _, d := range list {
		known[d.ID] = d
	}
	seen := make(map[firjob.ExecutionID]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		d, ok := known[id]
		refused := refusal(d, ok)
		done = append(done, ports.DeadLetterDone{ID: id, Err: refused})
		if refused == nil {
			open = append(open, id)
		}
	}
	return done, open
}

const lockDeadLettersSQL = `SELECT execution_id, failed_at, redriven_as, dismissed_at FROM dead_letters
	WHERE execution_id = ANY($1::uuid[]) ORDER BY execution_id FOR UPDATE`

// refusal says why nothing is to be done about a dead letter; nil if something is.
func refusal(d ports.DeadLetter, known bool) error {
	switch {
	case !known:
		return firjob.Errorf(firjob.CodeNotFound, "it is not a dead letter")
	case d.RedrivenAs != nil:
		return firjob.Errorf(firjob.CodeConflict, "it was redriven already, as %s", d.RedrivenAs)
	case d.DismissedAt != nil:
		return firjob.Errorf(firjob.CodeConflict, "it was dismissed at %s", d.DismissedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// recordAgain records an execution for each dead one whose job lives and returns
// them by the old id. Their nonces count from a random one: drawn one by one,
// some of ten thousand in a millisecond would be the same.
func recordAgain(ctx context.Context, tx pgx.Tx, old []firjob.ExecutionID) (map[firjob.ExecutionID]firjob.Due, error) {
	if len(old) == 0 {
		return nil, nil
	}
	now, err := txNow(ctx, tx)
	if err != nil {
		return nil, err
	}
	nonce := firjob.RandomNonce()
	fresh := make([]firjob.ExecutionID, len(old))
	origins := make(map[firjob.ExecutionID]firjob.ExecutionID, len(old))
	for i, id := range old {
		fresh[i] = firjob.NewExecutionID(id.Job(), now, firjob.KindManual, nonce+uint32(i))
		origins[fresh[i]] = id
	}
	low, high := pg.Bounds(old)
	rows, _ := tx.Query(ctx, recordAgainSQL, pg.UUIDs(old), low, high, pg.UUIDs(fresh), now)
	recorded, err := pgx.CollectRows(rows, flow.ScanDue)
	if err != nil {
		return nil, pg.InsertError(err, fresh[:1])
	}
	again := make(map[firjob.ExecutionID]firjob.Due, len(recorded))
	for _, due := range recorded {
		again[origins[due.ID]] = due
	}
	return again, markRedriven(ctx, tx, again)
}

// markRedriven notes as what dead letters were run again, by this or by a retry
// of the execution as such; what is no dead letter is left out.
func markRedriven(ctx context.Context, tx pgx.Tx, again map[firjob.ExecutionID]firjob.Due) error {
	var old, fresh []firjob.ExecutionID
	for id, due := range again {
		old, fresh = append(old, id), append(fresh, due.ID)
	}
	_, err := tx.Exec(ctx, markRedrivenSQL, pg.UUIDs(old), pg.UUIDs(fresh))
	return err
}

const (
	recordAgainSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params, inputs, origin, parent, root)
		SELECT v.id, e.job_id, 0, $5::timestamptz, coalesce(e.params, j.params), e.inputs, e.id, e.id,
		coalesce(e.root, e.id)
		FROM unnest($1::uuid[], $4::uuid[]) AS v(old, id), executions AS e, jobs AS j
		WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = v.old
			AND j.id = e.job_id AND j.deleted_at IS NULL
		RETURNING id, due_at`
	markRedrivenSQL = `UPDATE dead_letters AS d SET redriven_as = coalesce(d.redriven_as, v.id)
		FROM unnest($1::uuid[], $2::uuid[]) AS v(old, id)
		WHERE d.execution_id = v.old`
)

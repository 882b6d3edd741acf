package flow

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Hold notes which executor holds which attempts, and renews the leases of which less
// than two thirds are left. It returns the attempts that are to be cancelled and those
// that are no longer current, in the order of their ids. An attempt that was given up
// and not claimed again is neither, for its result would still count. The deadline of an
// attempt whose handler has not begun is put off, because the executor counts the timeout
// from the beginning of the handler. Rows that need no change are not written.
//
// Each firjob.MaxBatch of the attempts are one transaction, in the order of their ids. An
// executor in overload may hold thousands of attempts. One transaction for all would lock
// their rows for seconds, and their results would wait and time out. After an error the
// leases renewed before it stay renewed.
func (db *Flow) Hold(ctx context.Context, held []ports.Held, lease time.Duration) (result ports.HoldResult, err error) {
	held = slices.Clone(held)
	slices.SortStableFunc(held, func(a, b ports.Held) int { return pg.CompareIDs(a.Attempt.ID, b.Attempt.ID) })
	for part := range slices.Chunk(held, firjob.MaxBatch) {
		answers, err := db.holdSome(ctx, part, lease)
		if err != nil {
			return result, err
		}
		result.Cancel = append(result.Cancel, answers.Cancel...)
		result.Stale = append(result.Stale, answers.Stale...)
	}
	return result, nil
}

func (db *Flow) holdSome(ctx context.Context, held []ports.Held,
	lease time.Duration) (result ports.HoldResult, err error) {
	err = db.InTx(ctx, db.Hot, "hold attempts", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := readHeld(ctx, tx, held, lease)
		if err != nil {
			return err
		}
		var renew []renewal
		result, renew = sortHeld(held, rows)
		return renewHeld(ctx, tx, renew, lease)
	})
	return result, err
}

// heldRow is what the store knows of an attempt that an executor says it holds.
type heldRow struct {
	id                         firjob.ExecutionID
	app, executor, incarnation string
	token                      int64
	state                      firjob.State
	cancel, renew              bool
	putOff                     *time.Time // the deadline if the handler has not begun; nil: as it is
}

// deadlineDrift is by how much a deadline may lag behind while the attempt waits
// in its executor. It saves most beats the write, and is less than
// deadlineSlack by more than the time between beats, so that the handler has its
// whole timeout whenever it begins.
const deadlineDrift = deadlineSlack / 2

func readHeld(ctx context.Context, tx pgx.Tx, held []ports.Held,
	lease time.Duration) (map[firjob.ExecutionID]heldRow, error) {
	ids := make([]firjob.ExecutionID, len(held))
	for i, h := range held {
		ids[i] = h.Attempt.ID
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, readHeldSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)), lease, deadlineSlack,
		deadlineDrift)
	list, err := pgx.CollectRows(rows, scanHeld)
	known := make(map[firjob.ExecutionID]heldRow, len(list))
	for _, r := range list {
		known[r.id] = r
	}
	return known, err
}

const readHeldSQL = `SELECT e.id, j.app, e.token, e.state::text, e.cancel, coalesce(e.executor, ''),
	coalesce(e.incarnation, ''),
		coalesce(e.lease_until < now() + $5::interval * 2 / 3, true),
		CASE WHEN e.deadline_at < now() + j.timeout_ms * interval '1 millisecond' + $6::interval - $7::interval
			THEN now() + j.timeout_ms * interval '1 millisecond' + $6::interval END
	FROM executions AS e, jobs AS j
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid
		AND j.id = ANY($4::int[]) AND j.id = e.job_id`

func scanHeld(row pgx.CollectableRow) (heldRow, error) {
	var r heldRow
	err := row.Scan((*[16]byte)(&r.id), &r.app, &r.token, &r.state, &r.cancel, &r.executor, &r.incarnation, &r.renew,
		&r.putOff)
	return r, err
}

// renewal is what is to be written of a held attempt.
type renewal struct {
	ports.Held
	deadline time.Time // zero: as it is
}

// sortHeld tells what to answer and which rows to write.
func sortHeld(held []ports.Held, known map[firjob.ExecutionID]heldRow) (result ports.HoldResult, renew []renewal) {
	for _, h := range held {
		r, ok := known[h.Attempt.ID]
		switch {
		case !ok || r.app != h.Executor.App || r.token != h.Attempt.Token || r.state.Final():
			result.Stale = append(result.Stale, h)
			continue
		case r.state != firjob.StateRunning:
			continue
		case r.cancel:
			result.Cancel = append(result.Cancel, h)
		}
		w := renewal{Held: h}
		if h.Waiting {
			w.deadline = OrZero(r.putOff)
		}
		if r.renew || !w.deadline.IsZero() || r.executor != h.Executor.Address ||
			r.incarnation != h.Executor.Incarnation {
			renew = append(renew, w)
		}
	}
	return result, renew
}

func renewHeld(ctx context.Context, tx pgx.Tx, held []renewal, lease time.Duration) error {
	if len(held) == 0 {
		return nil
	}
	ids := make([]firjob.ExecutionID, len(held))
	tokens := make([]int64, len(held))
	executors, incarnations := make([]string, len(held)), make([]string, len(held))
	deadlines := make([]time.Time, len(held))
	for i, h := range held {
		ids[i], tokens[i], deadlines[i] = h.Attempt.ID, h.Attempt.Token, h.deadline
		executors[i], incarnations[i] = pg.Clean(h.Executor.Address), pg.Clean(h.Executor.Incarnation)
	}
	low, high := pg.Bounds(ids)
	_, err := tx.Exec(ctx, renewHeldSQL, pg.UUIDs(ids), low, high, tokens, executors, incarnations,
		pg.Instants(deadlines),
		lease)
	return err
}

// renewHeldSQL clears a reason why nobody had the attempt, or why that was unknown.
// The reason of one that is being cancelled may say what replaces it.
const renewHeldSQL = `UPDATE executions AS e SET executor = h.executor, incarnation = h.incarnation,
		reason = CASE WHEN e.cancel THEN e.reason END,
		lease_until = greatest(e.lease_until, now() + $8::interval), deadline_at = coalesce(h.deadline, e.deadline_at)
	FROM unnest($1::uuid[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) AS h(id, token, executor,
	incarnation, deadline)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = h.id
		AND e.token = h.token AND e.state = 'running'`

package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/internal/validate"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// A backfill is a row that says which fires are to be run and how far that has
// come. Its executions are recorded in its order as earlier ones end, so that no
// more than its MaxRunning are open: whoever ends one continues it, and the sweep
// does if that one dies in between. The row is locked meanwhile.

// backfillColumns are the columns that scanBackfill reads, in its order, of
// backfills b.
const backfillColumns = `b.id, b.job_id, b.from_at, b.until_at, b.newest, b.max_running, b.params, b.timetable, b.fires,
	b.first_at, b.last_at, b.recorded, b.cursor_at, b.created_at, b.finished_at, b.cancelled,
	(SELECT j.app FROM jobs AS j WHERE j.id = b.job_id), (SELECT j.deleted_at IS NOT NULL FROM jobs AS j
	WHERE j.id = b.job_id)`

// backfillRow is a backfill with what only the store knows of it.
type backfillRow struct {
	ports.Backfill
	frozen  frozenTimes
	cursor  time.Time // the last fire that was recorded; zero: none was
	app     string
	deleted bool // the job was
}

// frozenTimes is what the fires of a backfill follow from: the job as it was
// when the backfill began. So they are the ones that were counted then, whatever
// is edited meanwhile.
type frozenTimes struct {
	Name      string             `json:"name"`
	Schedule  firjob.Schedule    `json:"schedule"`
	Anchor    time.Time          `json:"anchor"`
	Calendars []scan.CalendarRef `json:"calendars,omitempty"`
}

func scanBackfill(row pgx.CollectableRow) (backfillRow, error) {
	var b backfillRow
	var params, frozen []byte
	var cursor *time.Time
	err := row.Scan(&b.ID, &b.Job, &b.From, &b.Until, &b.Newest, &b.MaxRunning, &params, &frozen, &b.Fires,
		&b.First, &b.Last, &b.Recorded, &cursor, &b.CreatedAt, &b.FinishedAt, &b.Cancelled, &b.app, &b.deleted)
	if err != nil {
		return b, err
	}
	b.Params, b.cursor = params, flow.OrZero(cursor)
	if err := json.Unmarshal(frozen, &b.frozen); err != nil {
		return b, fmt.Errorf("read the timetable of backfill %d: %w", b.ID, err)
	}
	return b, nil
}

// CreateBackfill stores a backfill, whose fires are those of the job as it is
// now, and records the first of them. CodeNotFound if there is no such job,
// CodeInvalid if the request has faults, the job's kind has no fires in the past,
// or the range has none or too many.
func (db *Records) CreateBackfill(ctx context.Context, r ports.BackfillRequest,
	retention time.Duration) (b ports.Backfill, followed ports.Followed, err error) {
	err = db.Write(ctx, "begin the backfill", func(ctx context.Context, tx pgx.Tx) error {
		job, err := lockJob(ctx, tx, r.Job)
		if err != nil {
			return jobError("read the job", r.Job, err)
		}
		faults := validate.Backfill(r, job.Now, retention)
		if why := timetable.Backfillable(job.Job); why != "" {
			faults = append(faults, firjob.FieldError{Field: "path.id", Value: r.Job, Message: why})
		}
		if err := firjob.Invalid(faults); err != nil {
			return err
		}
		row, err := storeBackfill(ctx, tx, job, r)
		if err != nil {
			return err
		}
		followed, err = row.advance(ctx, tx)
		b = row.Backfill
		b.Open = b.Recorded
		return err
	})
	return b, followed, err
}

func storeBackfill(ctx context.Context, tx pgx.Tx, job scan.JobRow,
	r ports.BackfillRequest) (row backfillRow, err error) {
	times, err := timetable.Of(job.Job, job.Anchor)
	if err != nil {
		return row, err
	}
	n, first, last, err := timetable.CountFires(r, times)
	if err != nil {
		return row, err
	}
	frozen, err := json.Marshal(
		frozenTimes{Name: job.Name, Schedule: job.Schedule, Anchor: job.Anchor, Calendars: scan.RefsOf(job.Calendars)})
	if err != nil {
		return row, fmt.Errorf("write the timetable: %w", err)
	}
	rows, _ := tx.Query(ctx, createBackfillSQL, int32(r.Job), r.From, r.Until, r.Newest, r.MaxRunning,
		pg.Text(r.Params),
		string(frozen), n, first, last)
	return pgx.CollectExactlyOneRow(rows, scanBackfill)
}

const createBackfillSQL = `INSERT INTO backfills AS b (job_id, from_at, until_at, newest, max_running, params,
	timetable, fires, first_at, last_at)
	VALUES ($1, $2, $3, $4, $5, $6::text::json, $7::text::json, $8, $9, $10) RETURNING ` + backfillColumns

// OpenBackfills returns up to limit backfills that have not ended, by number.
func (db *Records) OpenBackfills(ctx context.Context, limit int) ([]ports.BackfillID, error) {
	rows, _ := db.Hot.Query(ctx, openBackfillsSQL, limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[ports.BackfillID])
	return ids, pg.Classify("look for open backfills", err)
}

const openBackfillsSQL = `SELECT id FROM backfills WHERE finished_at IS NULL ORDER BY id LIMIT $1`

// ContinueBackfill records the next fires of a backfill, as many as may be open
// beside those that are, or ends it if nothing is left. One that has ended, or
// never was, is left alone.
func (db *Records) ContinueBackfill(ctx context.Context, id ports.BackfillID) (followed ports.Followed, err error) {
	err = db.InTx(ctx, db.Hot, "continue the backfill", func(ctx context.Context, tx pgx.Tx) error {
		followed = ports.Followed{} // of a try that failed nothing was committed
		rows, _ := tx.Query(ctx, lockBackfillSQL, int64(id))
		row, err := pgx.CollectExactlyOneRow(rows, scanBackfill)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil || row.FinishedAt != nil {
			return err
		}
		followed, err = row.advance(ctx, tx)
		return err
	})
	if err != nil {
		return ports.Followed{}, err
	}
	return followed, nil
}

const lockBackfillSQL = `SELECT ` + backfillColumns + ` FROM backfills AS b WHERE b.id = $1::bigint FOR UPDATE OF b`

// advance records what there is room for. The caller holds the row's lock.
func (b *backfillRow) advance(ctx context.Context, tx pgx.Tx) (followed ports.Followed, err error) {
	var open int
	low, high := b.bounds()
	if err := tx.QueryRow(ctx, openOfBackfillSQL, int32(b.ID), low, high).Scan(&open); err != nil {
		return followed, err
	}
	if b.deleted {
		b.Cancelled = true // what is open is superseded when it is claimed
		return followed, b.save(ctx, tx, true)
	}
	fires, err := b.next(ctx, tx, b.MaxRunning-open)
	if err != nil {
		return followed, err
	}
	if len(fires) == 0 {
		if open == 0 {
			err = b.save(ctx, tx, true)
		}
		return followed, err
	}
	ids := make([]firjob.ExecutionID, len(fires))
	for i, at := range fires {
		ids[i] = b.Fire(at)
	}
	rows, _ := tx.Query(ctx, insertBackfillSQL, pg.UUIDs(ids), int32(b.Job), pg.Text(b.Params), int32(b.ID))
	if followed.Announce, err = pgx.CollectRows(rows, flow.ScanDue); err != nil {
		return followed, pg.InsertError(err, ids)
	}
	b.Recorded, b.cursor = b.Recorded+len(fires), fires[len(fires)-1]
	return followed, b.save(ctx, tx, false)
}

const (
	openOfBackfillSQL = `SELECT count(*) FROM executions
		WHERE backfill_id = $1 AND finished_at IS NULL AND id >= $2::uuid AND id < $3::uuid`
	// They follow the job as it is when they are claimed, like manual ones, and
	// are due now: their scheduled time is long past.
	insertBackfillSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params, backfill_id, follow)
		SELECT id, $2, 0, now(), $3::text::json, $4, true FROM unnest($1::uuid[]) AS v(id)
		ON CONFLICT (id) DO NOTHING RETURNING id, due_at`
)

// bounds returns the lowest id of the range and the first one after it.
func (b *backfillRow) bounds() (low, high [16]byte) {
	return firjob.FirstIDAt(b.First), firjob.FirstIDAt(b.Last.Add(time.Millisecond))
}

// next returns up to n fires that are not recorded yet, in order.
func (b *backfillRow) next(ctx context.Context, tx pgx.Tx, n int) ([]time.Time, error) {
	if n <= 0 || b.Recorded >= b.Fires {
		return nil, nil
	}
	job := scan.JobRow{Job: firjob.Job{ID: b.Job, App: b.app, Name: b.frozen.Name, Schedule: b.frozen.Schedule},
		Follows: b.frozen.Calendars}
	jobs := []scan.JobRow{job}
	if err := scan.FillCalendars(ctx, tx, jobs); err != nil {
		return nil, err
	}
	times, err := timetable.Of(jobs[0].Job, b.frozen.Anchor)
	if err != nil {
		return nil, fmt.Errorf("compile the timetable of backfill %d: %w", b.ID, err)
	}
	return timetable.NextFires(b.BackfillRequest, times, b.cursor, n), nil
}

// save stores how far the backfill has come.
func (b *backfillRow) save(ctx context.Context, tx pgx.Tx, finished bool) error {
	return tx.QueryRow(ctx, saveBackfillSQL, int32(b.ID), b.Recorded, pg.Instant(b.cursor), finished,
		b.Cancelled).Scan(&b.FinishedAt)
}

const saveBackfillSQL = `UPDATE backfills SET recorded = $2, cursor_at = $3, cancelled = $5,
		finished_at = CASE WHEN $4::bool THEN now() END
	WHERE id = $1 RETURNING finished_at`

// Backfill returns a backfill and how far it has come. CodeNotFound if there is
// none.
func (db *Records) Backfill(ctx context.Context, id ports.BackfillID) (ports.Backfill, error) {
	rows, _ := db.API.Query(ctx, backfillSQL, int64(id))
	b, err := pgx.CollectExactlyOneRow(rows, scanBackfill)
	if err != nil {
		return ports.Backfill{}, backfillError(id, err)
	}
	return b.progress(ctx, db.API)
}

const backfillSQL = `SELECT ` + backfillColumns + ` FROM backfills AS b WHERE b.id = $1::bigint`

func backfillError(id ports.BackfillID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return firjob.Errorf(firjob.CodeNotFound, "there is no backfill %d", id)
	}
	return pg.Classify("read the backfill", err)
}

// progress counts what became of the recorded executions.
func (b *backfillRow) progress(ctx context.Context, q pg.Querier) (ports.Backfill, error) {
	low, high := b.bounds()
	rows, _ := q.Query(ctx, countBackfillSQL, int32(b.ID), int32(b.Job), low, high)
	_, err := pgx.ForEachRow(rows, []any{&b.Open, &b.Succeeded, &b.Failed}, func() error { return nil })
	return b.Backfill, pg.Classify("count the executions of the backfill", err)
}

const countBackfillSQL = `SELECT count(*) FILTER (WHERE finished_at IS NULL),
	count(*) FILTER (WHERE state = 'succeeded'),
		count(*) FILTER (WHERE finished_at IS NOT NULL AND state <> 'succeeded')
	FROM executions WHERE job_id = $2 AND job_id > 0 AND id >= $3::uuid AND id < $4::uuid AND backfill_id = $1`

// Backfills returns a page of a job's backfills, the latest first, without the
// counts of their executions, and the number before which the next page starts
// (0: this was the last).
func (db *Records) Backfills(ctx context.Context, job firjob.JobID, before ports.BackfillID,
	pageSize int) (list []ports.Backfill, next ports.BackfillID, err error) {
	rows, _ := db.API.Query(ctx, backfillsSQL, int64(job), pg.Pointer(int64(before)), pageSize+1)
	found, err := pgx.CollectRows(rows, scanBackfill)
	if err != nil {
		return nil, 0, pg.Classify("list backfills", err)
	}
	for _, b := range found {
		if len(list) == pageSize {
			return list, list[len(list)-1].ID, nil
		}
		list = append(list, b.Backfill)
	}
	return list, 0, nil
}

const backfillsSQL = `SELECT ` + backfillColumns + ` FROM backfills AS b
	WHERE b.job_id = $1::bigint AND b.job_id > 0 AND ($2::bigint IS NULL OR b.id < $2) ORDER BY b.id DESC LIMIT $3`

// CancelBackfill ends a backfill: no more of its fires are recorded, those that
// are planned end as cancelled, those that run are asked to. CodeConflict if it
// has ended.
func (db *Records) CancelBackfill(ctx context.Context, id ports.BackfillID) (b ports.Backfill, followed ports.Followed,
	err error) {
	err = db.Write(ctx, "cancel the backfill", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, lockBackfillSQL, int64(id))
		row, err := pgx.CollectExactlyOneRow(rows, scanBackfill)
		switch {
		case err != nil:
			return backfillError(id, err)
		case row.FinishedAt != nil:
			return firjob.Errorf(firjob.CodeConflict, "backfill %d has ended already", id)
		}
		if followed, err = row.cancelOpen(ctx, tx); err != nil {
			return err
		}
		row.Cancelled = true
		if err := row.save(ctx, tx, true); err != nil {
			return err
		}
		b, err = row.progress(ctx, tx)
		return err
	})
	return b, followed, err
}

// cancelOpen cancels the executions that have not ended.
func (b *backfillRow) cancelOpen(ctx context.Context, tx pgx.Tx) (ports.Followed, error) {
	low, high := b.bounds()
	rows, _ := tx.Query(ctx, lockOpenOfBackfillSQL, int32(b.ID), low, high)
	open, err := pgx.CollectRows(rows, scanOpen)
	if err != nil {
		return ports.Followed{}, err
	}
	var planned []flow.Ending
	var cancel []ports.Cancel
	for _, e := range open {
		if e.state == firjob.StateRunning {
			cancel = append(cancel, ports.Cancel{App: b.app, Attempt: e.AttemptRef})
		} else {
			planned = append(planned,
				flow.Ending{ID: e.ID, State: firjob.StateCancelled,
					Reason: fmt.Sprintf("backfill %d was cancelled", b.ID)})
		}
	}
	if _, err := tx.Exec(ctx, askOpenOfBackfillSQL, int32(b.ID), low, high); err != nil {
		return ports.Followed{}, err
	}
	followed, err := flow.FinishAs(ctx, tx, planned)
	followed.Cancel = append(followed.Cancel, cancel...)
	for _, c := range cancel {
		if err == nil {
			err = cancelShardsOf(ctx, tx, c.Attempt.ID, &followed)
		}
	}
	return followed, err
}

// cancelShardsOf cancels the shards of a broadcast, which are not the backfill's
// own; of any other execution there are none.
func cancelShardsOf(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID, followed *ports.Followed) error {
	shards, err := flow.LockShards(ctx, tx, id)
	if err != nil || len(shards) == 0 {
		return err
	}
	asked, err := flow.AskCancel(ctx, tx, id, shards)
	followed.Announce = append(followed.Announce, asked.Announce...)
	followed.Ended = append(followed.Ended, asked.Ended...)
	followed.Cancel = append(followed.Cancel, asked.Cancel...)
	return err
}

const (
	lockOpenOfBackfillSQL = `SELECT id, token, state::text FROM executions
		WHERE backfill_id = $1 AND finished_at IS NULL AND id >= $2::uuid AND id < $3::uuid ORDER BY id FOR UPDATE`
	askOpenOfBackfillSQL = `UPDATE executions SET cancel = true
		WHERE backfill_id = $1 AND finished_at IS NULL AND id >= $2::uuid AND id < $3::uuid AND state = 'running'`
)

// openRow is an execution that has not ended.
type openRow struct {
	firjob.AttemptRef
	state firjob.State
}

func scanOpen(row pgx.CollectableRow) (openRow, error) {
	var e openRow
	err := row.Scan((*[16]byte)(&e.ID), &e.Token, &e.state)
	return e, err
}

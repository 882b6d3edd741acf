package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// CreateJob stores a job and its first fire (firjob.Job.FirstFire), counted from
// the store's clock; that instant is the anchor, too. CodeInvalid if there is no
// such app, calendar or parent, CodeConflict if the app has a job of that name.
// Jobs of several callers may share a transaction.
func (db *Records) CreateJob(ctx context.Context, job firjob.Job) (firjob.Job, error) {
	create := db.creates.Do
	if ports.WriteOf(ctx).Alone() || job.Parents != nil || len(job.Schedule.Calendars) > 0 {
		// It may have to wait for the locks of what it names, and nobody with it.
		create = func(ctx context.Context, jobs []firjob.Job) ([]ports.StoredJob, error) {
			return db.CreateJobs(ctx, jobs, true)
		}
	} else {
		ctx = context.WithoutCancel(ctx) // what is begun with others goes on: its outcome must be told
	}
	stored, err := create(ctx, []firjob.Job{job})
	if err != nil {
		return job, err
	}
	return stored[0].Job, stored[0].Err
}

// Numbers of the group commit of new jobs.
const (
	createBatch = 256 // jobs in one transaction
	creators    = 2   // transactions at a time
)

// createEach stores jobs of several requests. What one of them may be to blame
// for must not be the others' error, so then each has a transaction to itself.
func (db *Records) createEach(ctx context.Context, jobs []firjob.Job) ([]ports.StoredJob, error) {
	stored, err := db.CreateJobs(ctx, jobs, false)
	if err == nil || len(jobs) == 1 || firjob.CodeOf(err) == firjob.CodeUnavailable {
		return stored, err
	}
	stored = make([]ports.StoredJob, len(jobs))
	for i, job := range jobs {
		one, err := db.CreateJobs(ctx, []firjob.Job{job}, false)
		if stored[i].Err = err; err == nil {
			stored[i] = one[0]
		}
	}
	return stored, nil
}

// jobEncoder writes jobs as columns. Most of a batch have the same retry rule,
// which it therefore writes once.
type jobEncoder struct {
	retry     firjob.Retry
	retryText *string
}

// columns returns those that both an insert and an update write, in their order.
func (e *jobEncoder) columns(j *firjob.Job) ([]any, error) {
	if e.retryText == nil || e.retry != j.Retry {
		data, err := json.Marshal(j.Retry)
		if err != nil {
			return nil, fmt.Errorf("write the job: %w", err)
		}
		e.retry, e.retryText = j.Retry, pg.Text(data)
	}
	texts := make([]*string, 4)
	for i, part := range []any{j.Schedule, orNull(ports.DispatchOf(*j)), orNull(j.Parents), scan.RefsOf(j.Calendars)} {
		if part == nil {
			continue
		}
		data, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("write the job: %w", err)
		}
		if string(data) != "null" {
			texts[i] = pg.Text(data)
		}
	}
	return []any{j.Name, j.Handler, pg.Text(jsontext.Fit(j.Params, firjob.MaxParams)), string(j.Schedule.Kind),
		texts[0],
		string(j.Misfire.Policy),
		j.Misfire.Grace.Std().Milliseconds(), string(j.Overlap), string(j.Route), string(j.Delivery),
		j.Timeout.Std().Milliseconds(), e.retryText, int32(j.Priority), j.Enabled, j.PausedReason,
		int32(j.Misfire.MaxCatchUp),
		j.StartDeadline.Std().Milliseconds(), int32(j.MaxRunning), int32(j.QueueLimit),
		j.ReplaceAfter.Std().Milliseconds(),
		texts[1], texts[2], texts[3]}, nil
}

// orNull makes a nil pointer a nil interface.
func orNull[T any](p *T) any {
	if p == nil {
		return nil
	}
	return p
}

// txNow returns the clock of the transaction, cut to the millisecond as every
// instant of a schedule is.
func txNow(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	err = tx.QueryRow(ctx, txNowSQL).Scan(&now)
	return now, err
}

const txNowSQL = `SELECT date_trunc('milliseconds', now())`

// Job returns a job, its calendars included, and where its "every" counts from.
// CodeNotFound if there is none or it was deleted.
func (db *Records) Job(ctx context.Context, id firjob.JobID) (job firjob.Job, anchor time.Time, err error) {
	rows, _ := db.API.Query(ctx, jobSQL, int64(id))
	list, err := pgx.CollectRows(rows, scan.Job)
	if err == nil && len(list) == 0 {
		err = pgx.ErrNoRows
	}
	if err == nil {
		err = scan.FillCalendars(ctx, db.API, list)
	}
	if err != nil {
		return job, anchor, jobError("read the job", id, err)
	}
	return list[0].Job, list[0].Anchor, nil
}

const jobSQL = `SELECT ` + scan.JobColumns + ` FROM jobs WHERE id = $1::bigint AND deleted_at IS NULL`

func jobError(verb string, id firjob.JobID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	return pg.Classify(verb, err)
}

// Jobs returns a page of jobs by id, and the id after which the next page starts
// (0: this was the last). A page may hold less than its size, or nothing, and not be
// the last: see looksPerPage.
func (db *Records) Jobs(ctx context.Context, f ports.JobFilter) (jobs []firjob.Job, next firjob.JobID, err error) {
	upTo, err := db.lookedJobs(ctx, f)
	if err != nil {
		return nil, 0, pg.Classify("list jobs", err)
	}
	rows, _ := db.API.Query(ctx, jobsSQL, pg.Pointer(f.App), pg.Pointer(f.Query), f.Enabled, int64(f.After),
		f.PageSize+1,
		pg.Pointer(string(f.Kind)), pg.Pointer(string(f.Route)), pg.Pointer(f.Calendar), pg.Pointer(int64(f.Parent)),
		upTo,
		pg.Pointer(f.Name))
	list, err := pgx.CollectRows(rows, scan.Job)
	if err == nil {
		err = scan.FillCalendars(ctx, db.API, list)
	}
	if err != nil {
		return nil, 0, pg.Classify("list jobs", err)
	}
	for _, j := range list {
		if len(jobs) == f.PageSize {
			return jobs, jobs[len(jobs)-1].ID, nil
		}
		jobs = append(jobs, j.Job)
	}
	if upTo != nil {
		next = firjob.JobID(*upTo)
	}
	return jobs, next, nil
}

const jobsSQL = `SELECT ` + scan.JobColumns + ` FROM jobs
	WHERE id > $4::bigint AND deleted_at IS NULL
		AND ($1::text IS NULL OR app = $1)
		AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0 OR strpos(lower(handler), lower($2)) > 0)
		AND ($3::bool IS NULL OR enabled = $3)
		AND ($6::text IS NULL OR kind = $6)
		AND ($7::text IS NULL OR route = $7)
		AND ($8::text IS NULL OR calendars IS NOT NULL
		AND calendars::jsonb @> jsonb_build_array(jsonb_build_object('name', $8::text)))
		AND ($9::bigint IS NULL OR id = ANY(ARRAY(SELECT child FROM job_parents WHERE parent = $9)))
		AND ($10::bigint IS NULL OR id <= $10) AND ($11::text IS NULL OR name = $11)
	ORDER BY id LIMIT $5`

// UpdateJob locks the job, lets change edit it, then stores it with the next
// version and the next fire that follows (firjob.Job.FireAfterEdit) and, unless
// its fires are the same (firjob.Job.SameFires), supersedes the planned executions
// of the old one: all in one transaction. An error from change is returned as it
// is and nothing is stored. The job's app, id and times of creation never change.
// change may be called again if the transaction is.
func (db *Records) UpdateJob(ctx context.Context, id firjob.JobID,
	change func(now time.Time, job *firjob.Job) error) (job firjob.Job, followed ports.Followed, err error) {
	var refused error
	err = db.writeFamily(ctx, "change the job", func(ctx context.Context, tx pgx.Tx) error {
		old, err := lockJob(ctx, tx, id)
		if err != nil {
			return err
		}
		edited := old.Job
		if refused = change(old.Now, &edited); refused != nil {
			return refused
		}
		followed, err = storeEdit(ctx, tx, old, edited)
		if err != nil {
			return err
		}
		row, err := lockJob(ctx, tx, id)
		job = row.Job
		return err
	})
	if refused != nil {
		return firjob.Job{}, ports.Followed{}, refused
	}
	return job, followed, jobError("change the job", id, err)
}

func storeEdit(ctx context.Context, tx pgx.Tx, old scan.JobRow,
	edited firjob.Job) (followed ports.Followed, err error) {
	if edited.Calendars, err = scan.NamedCalendars(ctx, tx, edited.Schedule.Calendars); err != nil {
		return followed, err
	}
	if err := setParents(ctx, tx, old.ID, old.Parents, edited.Parents); err != nil {
		return followed, err
	}
	return storeFires(ctx, tx, old, edited)
}

// storeFires stores a job whose calendars and parents are settled.
func storeFires(ctx context.Context, tx pgx.Tx, old scan.JobRow, edited firjob.Job) (ports.Followed, error) {
	next, err := timetable.FireAfterEdit(edited, old.Job, old.Now, old.Anchor)
	if err != nil {
		return ports.Followed{}, err
	}
	same := timetable.SameFires(edited, old.Job)
	if !same {
		if err := recordOverdue(ctx, tx, old, supersededBy(old.Job, edited)); err != nil {
			return ports.Followed{}, err
		}
		old.Since = old.Version + 1
	}
	if !edited.Schedule.SameGrid(old.Schedule) {
		old.Anchor = old.Now
	}
	if err := storeJob(ctx, tx, edited, old.Anchor, old.Since, next); err != nil {
		return ports.Followed{}, err
	}
	if err := flow.EditSlots(ctx, tx, old.Job, edited); err != nil || same {
		return ports.Followed{}, err
	}
	return flow.Supersede(ctx, tx, old.ID, supersededBy(old.Job, edited))
}

func supersededBy(old, edited firjob.Job) string {
	if old.Enabled && !edited.Enabled {
		return "the job was paused"
	}
	return fmt.Sprintf("the job was changed to version %d", old.Version+1)
}

func lockJob(ctx context.Context, tx pgx.Tx, id firjob.JobID) (scan.JobRow, error) {
	rows, _ := tx.Query(ctx, lockJobSQL, int64(id))
	list, err := pgx.CollectRows(rows, scan.Job)
	if err == nil && len(list) == 0 {
		err = pgx.ErrNoRows
	}
	if err == nil {
		err = scan.FillCalendars(ctx, tx, list)
	}
	if err != nil {
		return scan.JobRow{}, err
	}
	list[0].Now = list[0].Now.Truncate(time.Millisecond)
	return list[0], nil
}

const lockJobSQL = jobSQL + ` FOR UPDATE`

func storeJob(ctx context.Context, tx pgx.Tx, job firjob.Job, anchor time.Time, since int, next time.Time) error {
	columns, err := new(jobEncoder).columns(&job)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, storeJobSQL, append(columns, int32(job.ID), anchor, pg.Instant(next), since)...)
	return err
}

const storeJobSQL = `UPDATE jobs SET name = $1, handler = $2, params = $3::text::json, kind = $4,
	schedule = $5::text::json,
		misfire = $6, grace_ms = $7, overlap = $8, route = $9, delivery = $10, timeout_ms = $11,
		retry = $12::text::json,
		priority = $13, enabled = $14, paused_reason = $15, misfire_cap = $16, start_deadline_ms = $17,
		max_running = $18,
		queue_limit = $19, replace_after_ms = $20, dispatch = $21::text::json, parents = $22::text::json,
		calendars = $23::text::json, anchor = $25, next_fire_at = $26, fires_since = $27,
		version = version + 1, updated_at = now()
	WHERE id = $24`

// DeleteJob takes the job away, unless check finds fault with it, and supersedes
// its planned executions. Its history stays. CodeNotFound as for Job, CodeConflict
// while it triggers other jobs.
func (db *Records) DeleteJob(ctx context.Context, id firjob.JobID,
	check func(firjob.Job) error) (followed ports.Followed, err error) {
	err = db.writeFamily(ctx, "delete the job", func(ctx context.Context, tx pgx.Tx) error {
		old, err := lockJob(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := check(old.Job); err != nil {
			return err
		}
		if old.HasChildren {
			return hasChildren(ctx, tx, id)
		}
		if err := setParents(ctx, tx, id, old.Parents, nil); err != nil {
			return err
		}
		if err := recordOverdue(ctx, tx, old, "the job was deleted"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteJobSQL, int32(id)); err != nil {
			return err
		}
		followed, err = flow.Supersede(ctx, tx, id, "the job was deleted")
		return err
	})
	return followed, jobError("delete the job", id, err)
}

// maxNamedChildren bounds the children that a refusal names.
const maxNamedChildren = 10

// hasChildren returns the refusal to delete a job that triggers others.
func hasChildren(ctx context.Context, tx pgx.Tx, id firjob.JobID) error {
	rows, _ := tx.Query(ctx, namedChildrenSQL, int32(id), maxNamedChildren)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var count int
	if err := tx.QueryRow(ctx, countChildrenSQL, int32(id)).Scan(&count); err != nil {
		return err
	}
	text := strings.Join(names, ", ")
	if more := count - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return firjob.Errorf(firjob.CodeConflict, "job %d triggers %d other jobs: %s; take it out of their parents first",
		id, count, text)
}

const (
	namedChildrenSQL = `SELECT p.child || ' (' || j.app || '/' || j.name || ')' FROM job_parents AS p
		JOIN jobs AS j ON j.id = p.child
		WHERE p.parent = $1 ORDER BY p.child LIMIT $2`
	countChildrenSQL = `SELECT count(*) FROM job_parents WHERE parent = $1`
)

const deleteJobSQL = `UPDATE jobs SET deleted_at = now(), updated_at = now(), enabled = false, next_fire_at = NULL,
	version = version + 1 WHERE id = $1`

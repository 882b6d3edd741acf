package records

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/timetable"
	"github.com/firjob/firjob/internal/validate"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// errNotAll rolls a batch back that is to be stored as a whole.
var errNotAll = errors.New("not all can be stored")

// CreateJobs stores jobs as CreateJob does, all in one transaction, and returns
// the outcome of each in their order. With atomic none is stored if one of them
// cannot be.
func (db *Records) CreateJobs(ctx context.Context, jobs []firjob.Job,
	atomic bool) (stored []ports.StoredJob, err error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	err = db.Write(ctx, "create jobs", func(ctx context.Context, tx pgx.Tx) error {
		stored, err = createJobs(ctx, tx, jobs)
		if err == nil && atomic && slices.ContainsFunc(stored, func(s ports.StoredJob) bool { return s.Err != nil }) {
			return errNotAll
		}
		return err
	})
	if errors.Is(err, errNotAll) {
		err = nil
	}
	return stored, err
}

// newJobs are jobs on their way into the store, and what is known of the things
// that they name.
type newJobs struct {
	list      []ports.StoredJob
	now       time.Time
	apps      map[string]bool
	calendars map[string]firjob.Calendar
	parents   map[firjob.JobID]bool
}

func createJobs(ctx context.Context, tx pgx.Tx, jobs []firjob.Job) ([]ports.StoredJob, error) {
	n := &newJobs{list: make([]ports.StoredJob, len(jobs))}
	for i, job := range jobs {
		n.list[i].Job = job
	}
	for _, step := range []func(context.Context, pgx.Tx) error{n.look, n.insert, n.adopt} {
		if err := step(ctx, tx); err != nil {
			return nil, err
		}
	}
	return n.list, nil
}

// look finds what the jobs name, and keeps it from going away.
func (n *newJobs) look(ctx context.Context, tx pgx.Tx) (err error) {
	var apps, calendars []string
	var parents []firjob.JobID
	for _, s := range n.list {
		apps = append(apps, s.Job.App)
		calendars = append(calendars, s.Job.Schedule.Calendars...)
		for _, p := range parentsOf(s.Job.Parents) {
			parents = append(parents, p.Job)
		}
	}
	if err = n.lookAround(ctx, tx, distinct(apps)); err != nil {
		return err
	}
	if n.calendars, err = scan.PresentCalendars(ctx, tx, distinct(calendars)); err != nil {
		return err
	}
	n.parents, err = livingParents(ctx, tx, distinct(parents))
	return err
}

// ready completes a job with what it names and its first fire. The error is one
// of the job.
func (n *newJobs) ready(job *firjob.Job) (err error) {
	if !n.apps[job.App] {
		return firjob.Invalid(
			[]firjob.FieldError{{Field: "app", Value: job.App, Message: "is not a known app: make it first"}})
	}
	if job.Calendars, err = scan.PickCalendars(n.calendars, job.Schedule.Calendars); err != nil {
		return err
	}
	var faults []firjob.FieldError
	for i, p := range parentsOf(job.Parents) {
		if !n.parents[p.Job] {
			faults = append(faults,
				firjob.FieldError{Field: validate.ParentField(i) + ".job", Value: p.Job, Message: "is not a known job"})
		}
	}
	if err := firjob.Invalid(faults); err != nil {
		return err
	}
	next, err := timetable.FirstFire(*job, n.now, n.now)
	if err != nil {
		return firjob.Invalid([]firjob.FieldError{{Field: "schedule", Message: err.Error()}})
	}
	job.NextFireAt = pg.Pointer(next)
	return nil
}

// insert stores those that are ready, by one statement. Of two with one name the
// first is stored.
func (n *newJobs) insert(ctx context.Context, tx pgx.Tx) error {
	rows := make([][]any, 0, len(n.list))
	var encoder jobEncoder
	for i := range n.list {
		s := &n.list[i]
		if s.Err = n.ready(&s.Job); s.Err != nil {
			continue
		}
		columns, err := encoder.columns(&s.Job)
		if err != nil {
			return err
		}
		rows = append(rows, append(columns, s.Job.App, s.Job.NextFireAt))
	}
	if len(rows) == 0 {
		return nil
	}
	made := make([]madeJob, 0, len(rows))
	var m madeJob
	found, _ := tx.Query(ctx, createJobsSQL, transposed(rows)...)
	_, err := pgx.ForEachRow(found, []any{&m.ID, &m.CreatedAt, &m.App, &m.Name}, func() error {
		made = append(made, m)
		return nil
	})
	if err != nil {
		return err
	}
	n.made(made)
	return nil
}

// madeJob is what the store decides of a new job.
type madeJob struct {
	ID        firjob.JobID
	CreatedAt time.Time
	App, Name string
}

// made completes the jobs that were stored. The name of any other was taken.
func (n *newJobs) made(list []madeJob) {
	type name struct{ app, name string }
	byName := make(map[name]madeJob, len(list))
	for _, m := range list {
		byName[name{m.App, m.Name}] = m
	}
	for i := range n.list {
		s := &n.list[i]
		if s.Err != nil {
			continue
		}
		key := name{s.Job.App, s.Job.Name}
		m, ok := byName[key]
		if !ok {
			s.Err = firjob.Errorf(firjob.CodeConflict, "create the job: %s", pg.ConflictText("jobs_name"))
			continue
		}
		delete(byName, key)
		s.Job.ID, s.Job.Version, s.Job.CreatedAt, s.Job.UpdatedAt = m.ID, 1, m.CreatedAt, m.CreatedAt
	}
}

const createJobsSQL = `INSERT INTO jobs (name, handler, params, kind, schedule, misfire, grace_ms, overlap, route,
		delivery, timeout_ms, retry, priority, enabled, paused_reason, misfire_cap, start_deadline_ms, max_running,
		queue_limit, replace_after_ms, dispatch, parents, calendars, app, next_fire_at, anchor)
	SELECT u.name, u.handler, u.params::json, u.kind, u.schedule::json, u.misfire, u.grace_ms, u.overlap, u.route,
		u.delivery, u.timeout_ms, u.retry::json, u.priority, u.enabled, u.paused_reason, u.misfire_cap,
		u.start_deadline_ms, u.max_running,
		u.queue_limit, u.replace_after_ms, u.dispatch::json, u.parents::json, u.calendars::json, u.app, u.next_fire_at,
		date_trunc('milliseconds', now())
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
	$9::text[],
		$10::text[], $11::bigint[], $12::text[], $13::smallint[], $14::boolean[], $15::text[], $16::int[],
		$17::bigint[], $18::int[],
		$19::int[], $20::bigint[], $21::text[], $22::text[], $23::text[], $24::text[],
		$25::timestamptz[]) WITH ORDINALITY
		AS u(name, handler, params, kind, schedule, misfire, grace_ms, overlap, route,
		delivery, timeout_ms, retry, priority, enabled, paused_reason, misfire_cap, start_deadline_ms, max_running,
		queue_limit, replace_after_ms, dispatch, parents, calendars, app, next_fire_at, place)
	ORDER BY u.place
	ON CONFLICT (app, name) WHERE deleted_at IS NULL DO NOTHING
	RETURNING id, created_at, app, name`

// transposed makes the columns of rows, each of one type, parameters of array
// types.
func transposed(rows [][]any) []any {
	columns := make([]any, len(rows[0]))
	for c, first := range rows[0] {
		switch first.(type) {
		case string:
			columns[c] = column[string](rows, c)
		case *string:
			columns[c] = column[*string](rows, c)
		case int64:
			columns[c] = column[int64](rows, c)
		case int32:
			columns[c] = column[int32](rows, c)
		case bool:
			columns[c] = column[bool](rows, c)
		case *time.Time:
			columns[c] = column[*time.Time](rows, c)
		default:
			panic(fmt.Sprintf("column %d of a job has the type %T, which is not known here", c, first))
		}
	}
	return columns
}

func column[T any](rows [][]any, c int) []T {
	values := make([]T, len(rows))
	for r, row := range rows {
		values[r] = row[c].(T)
	}
	return values
}

// adopt records the parents of those that were stored. They close no circle:
// nothing can name them yet.
func (n *newJobs) adopt(ctx context.Context, tx pgx.Tx) error {
	var children, parents []firjob.JobID
	var on []string
	for _, s := range n.list {
		if s.Err != nil {
			continue
		}
		for _, p := range parentsOf(s.Job.Parents) {
			children, parents, on = append(children, s.Job.ID), append(parents, p.Job), append(on, string(p.On))
		}
	}
	if len(parents) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, adoptSQL, pg.Numbers(children), pg.Numbers(parents), on); err != nil {
		return err
	}
	return markParents(ctx, tx, distinct(parents))
}

const adoptSQL = `INSERT INTO job_parents (child, parent, on_end) SELECT *
	FROM unnest($1::int[], $2::int[], $3::text[])`

// livingParents returns which jobs may be named as parents, and keeps them from
// being deleted until the transaction ends.
func livingParents(ctx context.Context, tx pgx.Tx, ids []firjob.JobID) (map[firjob.JobID]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, familyLockSQL); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, livingParentsSQL, pg.Numbers(ids))
	return setOf[firjob.JobID](rows)
}

const livingParentsSQL = `SELECT id FROM jobs WHERE id = ANY($1::int[]) AND ` + scan.IsLiving +
	` ORDER BY id FOR UPDATE`

// lookAround reads the clock, cut as every instant of a schedule is, and which of
// the apps there are.
func (n *newJobs) lookAround(ctx context.Context, tx pgx.Tx, apps []string) error {
	var known []string
	if err := tx.QueryRow(ctx, lookAroundSQL, apps).Scan(&n.now, &known, nil); err != nil {
		return err
	}
	n.apps = make(map[string]bool, len(known))
	for _, name := range known {
		n.apps[name] = true
	}
	return nil
}

// Postgres checks the app of each new row by a statement of its own making, which
// this pool's setting would have planned again for every row.
const lookAroundSQL = `SELECT date_trunc('milliseconds', now()),
	ARRAY(SELECT name FROM apps WHERE name = ANY($1::text[]) AND deleted_at IS NULL FOR KEY SHARE),
	set_config('plan_cache_mode', 'auto', true)`

// setOf reads rows of one column.
func setOf[T comparable](rows pgx.Rows) (map[T]bool, error) {
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	set := make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set, nil
}

// distinct returns the members of list, each once.
func distinct[T ~string | ~uint32](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

package flow

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// maxFires bounds what one transaction plans, so that jobs with many fires in
// the horizon do not make it long.
const maxFires = 10_000

// maxExpanding bounds how long one transaction asks for fires: to count those
// that were missed in a long outage takes long, and a transaction that Postgres
// or the pool ended for it would be begun again for ever.
const maxExpanding = 2 * time.Second

// PlanDue locks up to limit jobs whose next fire is due before now+horizon,
// skipping those that another server has locked, asks expand for the fires of
// each, records them and advances the job. It returns the open executions that
// were recorded or revived now, and how many jobs were taken: limit also when it
// stopped early because of many fires or much time, so that fewer means that no more are due.
func (db *Flow) PlanDue(ctx context.Context, horizon time.Duration, limit int,
	expand ports.Expand) (planned []firjob.Due, taken int, err error) {
	fresh := true
	err = db.InTx(ctx, db.Hot, "plan due jobs", func(ctx context.Context, tx pgx.Tx) error {
		first := fresh
		fresh = false // what fails is tried again so: a fire may have been there
		rows, _ := tx.Query(ctx, dueJobsSQL, horizon, limit)
		jobs, err := pgx.CollectRows(rows, scan.Job)
		if err == nil {
			err = scan.FillCalendars(ctx, tx, jobs)
		}
		if err != nil {
			return err
		}
		p := expandJobs(jobs, expand)
		taken = len(jobs)
		if p.jobs < len(jobs) {
			taken = limit
		}
		planned, err = p.record(ctx, tx, first)
		return err
	})
	return planned, taken, err
}

const dueJobsSQL = `SELECT ` + scan.JobColumns + ` FROM jobs
	WHERE next_fire_at IS NOT NULL AND next_fire_at < now() + $1::interval
	ORDER BY next_fire_at LIMIT $2 FOR UPDATE SKIP LOCKED`

// PlanJobs does the same for the named jobs, waiting for their locks. Jobs
// whose next fire is beyond the horizon are left alone. Many jobs take several
// transactions: on error it returns what those before the error have committed.
func (db *Flow) PlanJobs(ctx context.Context, ids []firjob.JobID, horizon time.Duration,
	expand ports.Expand) (planned []firjob.Due, err error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	for len(ids) > 0 {
		part := ids[:min(len(ids), firjob.MaxBatch)]
		due, done, err := db.planSome(ctx, part, horizon, expand)
		if err != nil {
			return planned, err
		}
		planned = append(planned, due...)
		ids = ids[done:]
	}
	return planned, nil
}

// planSome plans the named jobs, in ascending order, until it has many fires or
// has taken long, and returns how many of the ids that took care of.
func (db *Flow) planSome(ctx context.Context, ids []firjob.JobID, horizon time.Duration,
	expand ports.Expand) (planned []firjob.Due, done int, err error) {
	err = db.InTx(ctx, db.Hot, "plan jobs", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, namedJobsSQL, pg.Numbers(ids), horizon)
		jobs, err := pgx.CollectRows(rows, scan.Job)
		if err == nil {
			err = scan.FillCalendars(ctx, tx, jobs)
		}
		if err != nil {
			return err
		}
		p := expandJobs(jobs, expand)
		done = len(ids)
		if p.jobs < len(jobs) {
			done = slices.Index(ids, jobs[p.jobs].ID)
		}
		planned, err = p.record(ctx, tx, false)
		return err
	})
	return planned, done, err
}

const namedJobsSQL = `SELECT ` + scan.JobColumns + ` FROM jobs
	WHERE id = ANY($1::int[]) AND coalesce(next_fire_at, 'infinity') < now() + $2::interval
	ORDER BY id FOR UPDATE`

// planning is what one transaction records.
type planning struct {
	jobs     int // that were expanded
	fires    []newFire
	missed   []MissedFire
	advanced []firjob.JobID
	next     []time.Time
	broken   map[firjob.JobID]error
}

type newFire struct {
	id      firjob.ExecutionID
	version int32
}

// MissedFire is a run of fires of a job's version that become one record.
type MissedFire struct {
	ID      firjob.ExecutionID
	Version int
	ports.Missed
}

func expandJobs(jobs []scan.JobRow, expand ports.Expand) *planning {
	p := &planning{broken: map[firjob.JobID]error{}}
	began := time.Now()
	for _, j := range jobs {
		if len(p.fires) >= maxFires || time.Since(began) > maxExpanding {
			break
		}
		p.jobs++
		plan, err := expand(j.Now, j.Job, j.Anchor)
		if err != nil {
			p.broken[j.ID] = err
			continue
		}
		p.add(j, plan)
	}
	return p
}

func (p *planning) add(j scan.JobRow, plan ports.Plan) {
	for i, at := range plan.Fires {
		id := firjob.Fire(j.ID, at)
		if i > 0 && id == p.fires[len(p.fires)-1].id {
			continue // two instants of one millisecond are one fire
		}
		p.fires = append(p.fires, newFire{id, int32(j.Version)})
	}
	if m := plan.Missed; m != nil {
		p.missed = append(p.missed, MissedFire{firjob.Fire(j.ID, m.From), j.Version, *m})
	}
	if j.Schedule.Kind == firjob.ScheduleDelay && len(plan.Fires) > 0 {
		plan.Next = time.Time{} // the end of what was just recorded decides it
	}
	p.advanced = append(p.advanced, j.ID)
	p.next = append(p.next, plan.Next)
}

// record writes the plan and returns the executions that are open because of it.
// With fresh it fails if one of the fires is there already.
func (p *planning) record(ctx context.Context, tx pgx.Tx, fresh bool) ([]firjob.Due, error) {
	due, err := p.insertFires(ctx, tx, fresh)
	if err != nil {
		return nil, err
	}
	if err := InsertMissed(ctx, tx, p.missed); err != nil {
		return nil, err
	}
	if err := advanceJobs(ctx, tx, p.advanced, p.next); err != nil {
		return nil, err
	}
	return due, pauseBroken(ctx, tx, p.broken)
}

// insertFires writes the fires in the order of their ids, which is that of their
// claims: those of one instant then share pages.
func (p *planning) insertFires(ctx context.Context, tx pgx.Tx, fresh bool) ([]firjob.Due, error) {
	if len(p.fires) == 0 {
		return nil, nil
	}
	slices.SortFunc(p.fires, func(a, b newFire) int { return pg.CompareIDs(a.id, b.id) })
	ids := make([]firjob.ExecutionID, len(p.fires))
	jobs, versions := make([]int32, len(p.fires)), make([]int32, len(p.fires))
	at := make([]time.Time, len(p.fires))
	due := make([]firjob.Due, len(p.fires))
	for i, f := range p.fires {
		ids[i], jobs[i], versions[i], at[i] = f.id, int32(f.id.Job()), f.version, f.id.ScheduledAt()
		due[i] = firjob.Due{ID: f.id, At: at[i]}
	}
	if fresh {
		_, err := tx.Exec(ctx, insertNewSQL, pg.UUIDs(ids), jobs, versions, at)
		return due, pg.InsertError(err, ids)
	}
	rows, _ := tx.Query(ctx, insertFiresSQL, pg.UUIDs(ids), jobs, versions, at)
	due, err := pgx.CollectRows(rows, ScanDue)
	return due, pg.InsertError(err, ids)
}

const (
	// For fires that are not there, as nearly always in the scan, which has locked
	// their jobs; it fails if one is. Planning a job with one fire costs all
	// processes together 45 to 46 µs with the other statement, 40 to 42 with this.
	insertNewSQL = `INSERT INTO executions AS e (id, job_id, job_version, due_at)
		SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::timestamptz[])`
	// A fire that is there already stays as it is, unless it was superseded, or is
	// planned by a version of its job that had other fires: then it is the new
	// version's.
	insertFiresSQL = insertNewSQL + `
		ON CONFLICT (id) DO UPDATE SET state = 'planned', job_version = EXCLUDED.job_version, due_at = EXCLUDED.due_at,
			finished_at = NULL, reason = NULL, waiting = false, cancel = false
		WHERE ` + isOvertaken + ` RETURNING id, due_at`
)

// isOvertaken holds for fires e that an older version of the job has planned and
// its present one has not kept.
const isOvertaken = `e.attempt = 0 AND (e.state = 'superseded' OR e.state = 'planned'
		AND e.job_version > 0 AND e.job_version < (SELECT j.fires_since FROM jobs AS j WHERE j.id = e.job_id))`

func ScanDue(row pgx.CollectableRow) (firjob.Due, error) {
	var d firjob.Due
	err := row.Scan((*[16]byte)(&d.ID), &d.At)
	return d, err
}

func InsertMissed(ctx context.Context, tx pgx.Tx, missed []MissedFire) error {
	if len(missed) == 0 {
		return nil
	}
	ids := make([]firjob.ExecutionID, len(missed))
	jobs := make([]int32, len(missed))
	versions := make([]int32, len(missed))
	at := make([]time.Time, len(missed))
	until := make([]time.Time, len(missed))
	counts := make([]int32, len(missed))
	reasons := make([]string, len(missed))
	for i, m := range missed {
		ids[i], jobs[i], versions[i] = m.ID, int32(m.ID.Job()), int32(m.Version)
		at[i], until[i], counts[i], reasons[i] = m.From, m.Until, int32(m.Count), m.Reason
	}
	rows, _ := tx.Query(ctx, insertMissedSQL, pg.UUIDs(ids), jobs, versions, at, until, counts, reasons)
	done, err := pgx.CollectRows(rows, scanFinished)
	if err != nil {
		return pg.InsertError(err, ids)
	}
	_, err = followEnds(ctx, tx, done, nil) // one that was overtaken may have held a place
	return err
}

const insertMissedSQL = `INSERT INTO executions AS e
		(id, job_id, job_version, due_at, missed_until, missed_count, reason, state, finished_at)
	SELECT *, 'missed', now()
	FROM unnest($1::uuid[], $2::int[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::int[], $7::text[])
	ON CONFLICT (id) DO UPDATE SET state = 'missed', job_version = EXCLUDED.job_version, finished_at = now(),
		reason = EXCLUDED.reason, missed_until = EXCLUDED.missed_until, missed_count = EXCLUDED.missed_count,
		waiting = false
	WHERE ` + isOvertaken + `
	RETURNING id, finished_at, state::text, follow`

func advanceJobs(ctx context.Context, tx pgx.Tx, ids []firjob.JobID, next []time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, advanceJobsSQL, pg.Numbers(ids), pg.Instants(next))
	return err
}

const advanceJobsSQL = `UPDATE jobs SET next_fire_at = v.next
	FROM unnest($1::int[], $2::timestamptz[]) AS v(id, next)
	WHERE jobs.id = ANY($1::int[]) AND jobs.id = v.id`

// pauseBroken pauses the jobs whose definition cannot be expanded, so that the
// scan does not come back to them.
func pauseBroken(ctx context.Context, tx pgx.Tx, broken map[firjob.JobID]error) error {
	for id, cause := range broken {
		if _, err := tx.Exec(ctx, pauseBrokenSQL, int32(id), pg.Clean(cause.Error())); err != nil {
			return err
		}
		if _, err := Supersede(ctx, tx, id, "the job was paused: "+pg.Clean(cause.Error())); err != nil {
			return err
		}
	}
	return nil
}

const pauseBrokenSQL = `UPDATE jobs SET enabled = false, paused_reason = $2, next_fire_at = NULL,
	version = version + 1, fires_since = version + 1, updated_at = now() WHERE id = $1`

// PlanLater moves up to limit triggers that were asked for a later time, and
// are now due within the horizon, among the executions.
func (db *Flow) PlanLater(ctx context.Context, horizon time.Duration,
	limit int) (planned []firjob.Due, taken int, err error) {
	err = db.InTx(ctx, db.Hot, "plan later triggers", func(ctx context.Context, tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, dueLaterSQL, horizon, limit)
		ids, err := pgx.CollectRows(rows, ScanID)
		taken, planned = len(ids), nil
		if err != nil || taken == 0 {
			return err
		}
		rows, _ = tx.Query(ctx, moveLaterSQL, pg.UUIDs(ids))
		if planned, err = pgx.CollectRows(rows, ScanDue); err != nil {
			return pg.InsertError(err, ids)
		}
		_, err = tx.Exec(ctx, deleteLaterSQL, pg.UUIDs(ids))
		return err
	})
	return planned, taken, err
}

const (
	dueLaterSQL = `SELECT id FROM later_triggers WHERE cancelled_at IS NULL AND fire_at < now() + $1::interval
		ORDER BY fire_at LIMIT $2 FOR UPDATE SKIP LOCKED`
	moveLaterSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params)
		SELECT id, job_id, 0, fire_at, params FROM later_triggers WHERE id = ANY($1::uuid[])
		ON CONFLICT (id) DO NOTHING RETURNING id, due_at`
	deleteLaterSQL = `DELETE FROM later_triggers WHERE id = ANY($1::uuid[])`
)

func ScanID(row pgx.CollectableRow) (firjob.ExecutionID, error) {
	var id firjob.ExecutionID
	err := row.Scan((*[16]byte)(&id))
	return id, err
}

package inspect

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
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// facts is all that the records say of one instant of a job. The rules that make
// sentences of it are in explain_rules.go.
type facts struct {
	ports.ExplainRequest
	now     time.Time
	job     scan.JobRow
	times   *timetable.Timetable
	fire    time.Time          // of the timetable, at the instant; zero: none
	records []firjob.Execution // at the instant, the scheduled one first
	missed  *firjob.Execution  // the range of missed fires that the instant lies in
	detail  detail             // of the first record
}

// detail is what is known of an execution beyond what the API shows.
type detail struct {
	claimedAt *time.Time
	claimedBy string
	cancel    bool
	backfill  *int32
	waiting   bool
	jobQueue  int  // executions of the job that wait and come first
	appQueue  *int // those that wait for a place in the app and come first; nil: it does not wait for one
}

// Explain says what became of an instant of a job and which rule decided that.
// CodeNotFound if there never was such a job.
func (db *Inspector) Explain(ctx context.Context, r ports.ExplainRequest) (ports.Explanation, error) {
	f, err := db.facts(ctx, r)
	if err == nil {
		err = f.read(ctx, db.API)
	}
	if err != nil {
		return ports.Explanation{}, pg.Classify("read what became of the instant", err)
	}
	x := f.explain()
	if x.Before == nil && x.After == nil {
		x.Before, x.After, err = aroundRecords(ctx, db.API, r)
	}
	return x, pg.Classify("read the executions around the instant", err)
}

// ExplainExecution says the same of one execution.
func (db *Inspector) ExplainExecution(ctx context.Context, id firjob.ExecutionID,
	horizon time.Duration) (ports.Explanation, error) {
	e, recorded, err := scan.FindExecution(ctx, db.API, id)
	if err != nil {
		return ports.Explanation{}, pg.Classify("read the execution", err)
	}
	f, err := db.facts(ctx, ports.ExplainRequest{Job: e.JobID, At: e.ScheduledAt, Precision: time.Millisecond,
		Horizon: horizon})
	if err != nil {
		return ports.Explanation{}, pg.Classify("read what became of the execution", err)
	}
	f.records = []firjob.Execution{e}
	if recorded {
		if err := f.readDetails(ctx, db.API); err != nil {
			return ports.Explanation{}, pg.Classify("read what became of the execution", err)
		}
	}
	return f.explain(), nil
}

// facts reads the job and what its timetable says of the instant.
func (db *Inspector) facts(ctx context.Context, r ports.ExplainRequest) (*facts, error) {
	rows, _ := db.API.Query(ctx, everJobSQL, int64(r.Job))
	list, err := pgx.CollectRows(rows, scan.Job)
	if err == nil && len(list) == 0 {
		err = firjob.Errorf(firjob.CodeNotFound, "there is no job %d, and never was", r.Job)
	}
	if err == nil {
		err = scan.FillCalendars(ctx, db.API, list)
	}
	if err != nil {
		return nil, err
	}
	f := &facts{ExplainRequest: r, now: list[0].Now, job: list[0]}
	if f.times, err = timetable.Of(f.job.Job, f.job.Anchor); err != nil {
		return nil, fmt.Errorf("compile the timetable of job %d: %w", r.Job, err)
	}
	if next := f.times.Next(r.At.Add(-time.Nanosecond)); next.Before(r.At.Add(r.Precision)) {
		f.fire = next
	}
	return f, nil
}

const everJobSQL = `SELECT ` + scan.JobColumns + ` FROM jobs WHERE id = $1::bigint`

// read reads the records of the instant.
func (f *facts) read(ctx context.Context, q rowQuerier) (err error) {
	from, until := firjob.FirstIDAt(f.At), firjob.FirstIDAt(f.At.Add(f.Precision))
	rows, _ := q.Query(ctx, atInstantSQL, int32(f.Job), [16]byte(from), [16]byte(until))
	if f.records, err = pgx.CollectRows(rows, scan.Execution); err != nil {
		return err
	}
	slices.SortStableFunc(f.records, func(a, b firjob.Execution) int { return int(a.Kind) - int(b.Kind) })
	if len(f.records) > 0 {
		err = f.readDetails(ctx, q)
	}
	if err != nil || len(f.records) > 0 && f.records[0].Kind == firjob.KindSchedule {
		return err
	}
	rows, _ = q.Query(ctx, coveringSQL, int32(f.Job), [16]byte(until), f.At)
	covering, err := pgx.CollectRows(rows, scan.Execution)
	if len(covering) > 0 {
		f.missed = &covering[0]
	}
	return err
}

const (
	// Without the shards of broadcasts, which bytes 6 and 7 of an id number.
	atInstantSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
		WHERE e.job_id = $1 AND e.job_id > 0 AND e.id >= $2::uuid AND e.id < $3::uuid
			AND get_byte(uuid_send(e.id), 6) = 128 AND get_byte(uuid_send(e.id), 7) = 0
		ORDER BY e.id LIMIT 100`
	// A range of missed fires has nothing of the same plan in it, so its record
	// is not far before the instant.
	coveringSQL = `SELECT ` + scan.ExecutionColumns + ` FROM (
			SELECT id, missed_until FROM executions WHERE job_id = $1 AND job_id > 0 AND id < $2::uuid
			ORDER BY id DESC LIMIT 1000) AS near
		JOIN executions AS e ON e.id = near.id JOIN jobs AS j ON j.id = e.job_id
		WHERE near.missed_until >= $3 AND e.state = 'missed' ORDER BY e.id DESC LIMIT 1`
)

type rowQuerier interface {
	pg.Querier
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readDetails reads what only the explanation of an execution shows of it.
func (f *facts) readDetails(ctx context.Context, q rowQuerier) error {
	e, d := &f.records[0], &f.detail
	err := q.QueryRow(ctx, detailSQL, [16]byte(e.ID)).Scan(&d.claimedAt, &d.claimedBy, &d.cancel, &d.backfill,
		&d.waiting, &d.jobQueue, &d.appQueue)
	if err == nil {
		err = scan.AddDetails(ctx, q, e)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // its day was dropped at this moment
	}
	return err
}

const detailSQL = `SELECT e.claimed_at, coalesce(e.claimed_by, ''), e.cancel, e.backfill_id, e.waiting,
		(SELECT count(*) FROM executions AS w WHERE e.waiting AND w.waiting AND w.job_id = e.job_id AND w.id < e.id),
		(SELECT (SELECT count(*) FROM app_queue AS q WHERE q.app = m.app
		AND (q.rank, q.execution_id) < (m.rank, m.execution_id))
			FROM app_queue AS m WHERE m.execution_id = e.id)
	FROM executions AS e WHERE e.id = $1`

// aroundRecords returns when the executions before and after the instant were
// scheduled: all there is to know of jobs whose fires time alone does not decide.
func aroundRecords(ctx context.Context, q rowQuerier, r ports.ExplainRequest) (before, after *time.Time, err error) {
	from, until := firjob.FirstIDAt(r.At), firjob.FirstIDAt(r.At.Add(r.Precision))
	rows, _ := q.Query(ctx, aroundSQL, int32(r.Job), [16]byte(from), [16]byte(until))
	ids, err := pgx.CollectRows(rows, flow.ScanID)
	for _, id := range ids {
		at := id.ScheduledAt()
		if at.Before(r.At) {
			before = &at
		} else {
			after = &at
		}
	}
	return before, after, err
}

const aroundSQL = `(SELECT id FROM executions WHERE job_id = $1 AND job_id > 0 AND id < $2::uuid
	ORDER BY id DESC LIMIT 1)
	UNION ALL (SELECT id FROM executions WHERE job_id = $1 AND job_id > 0 AND id >= $3::uuid ORDER BY id LIMIT 1)`

package records

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Executions returns a page of executions, the latest scheduled first, and the
// id before which the next page starts (zero: this was the last). Triggers that
// wait for a later time, and those that were cancelled while they did, are among
// them. A page may hold less than its size, or nothing, and not be the last: see
// looksPerPage.
func (db *Records) Executions(ctx context.Context, f ports.ExecutionFilter) (list []firjob.Execution,
	next firjob.ExecutionID, err error) {
	err = db.API.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		list, next, err = db.pageOfExecutions(ctx, tx, f)
		return err
	})
	if err != nil {
		return nil, next, pg.Classify("list executions", err)
	}
	return list, next, nil
}

func (db *Records) pageOfExecutions(ctx context.Context, tx pgx.Tx,
	f ports.ExecutionFilter) (list []firjob.Execution, next firjob.ExecutionID, err error) {
	if f.App != "" && f.Job != 0 {
		of, err := one[string](tx.Query(ctx, appOfJobSQL, int64(f.Job)))
		if err != nil || of == nil || *of != f.App {
			return nil, next, err
		}
		f.App = ""
	}
	// In this order: a trigger that becomes an execution meanwhile is seen twice
	// rather than never.
	args := filterArgs(f)
	rows, _ := tx.Query(ctx, laterTriggersSQL, args...)
	later, err := pgx.CollectRows(rows, scan.Later)
	if err != nil {
		return nil, next, err
	}
	if _, err := tx.Exec(ctx, listingSQL); err != nil {
		return nil, next, err
	}
	downTo, few, err := db.lookedExecutions(ctx, tx, f)
	if err != nil {
		return nil, next, err
	}
	if downTo != nil {
		args[0] = (*[16]byte)(downTo)
		later = slices.DeleteFunc(later, func(e firjob.Execution) bool { return pg.CompareIDs(e.ID, *downTo) < 0 })
	}
	statement := executionsSQL
	if few {
		statement = executionsOfFewSQL
	}
	rows, _ = tx.Query(ctx, statement, args...)
	if list, err = pgx.CollectRows(rows, scan.Execution); err != nil {
		return nil, next, err
	}
	list = mergeLater(list, later)
	switch {
	case len(list) > f.PageSize:
		list = list[:f.PageSize]
		next = list[len(list)-1].ID
	case downTo != nil:
		next = *downTo
	}
	return list, next, nil
}

// Pages follow an index in its order, and find the job of each row by its number, so
// that they read what they show. Postgres would rather find all and sort it, or read
// all jobs, where it believes that this is little: for a job with 700,000 executions
// among 20,000 jobs that run seldom it took 120 ms, and 1.3 ms in the order of the
// index.
const listingSQL = `SELECT set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

const appOfJobSQL = `SELECT app FROM jobs WHERE id = $1::bigint`

// filterArgs are the parameters of both statements: the lowest id, the id that
// all are below, the job, the app, the states, the number of rows, which is one
// more than a page, to see whether there is another, the kinds, the executor and
// the root of a tree.
func filterArgs(f ports.ExecutionFilter) []any {
	from, before := idRange(f)
	var states []string
	for _, s := range f.States {
		states = append(states, string(s))
	}
	var kinds []int32
	for _, k := range f.Kinds {
		kinds = append(kinds, int32(k))
	}
	return []any{from, before, pg.Pointer(int64(f.Job)), pg.Pointer(f.App), states, f.PageSize + 1,
		kinds, pg.Pointer(f.Executor), orNullID(f.Root)}
}

// idRange returns the lowest id that a filter allows, and the one that all are
// below; nil where it does not bound them.
func idRange(f ports.ExecutionFilter) (from, before *[16]byte) {
	if !f.Since.IsZero() {
		from = (*[16]byte)(new(firjob.FirstIDAt(f.Since)))
	}
	if !f.From.IsZero() && (from == nil || pg.CompareIDs(f.From, *from) > 0) {
		from = (*[16]byte)(&f.From)
	}
	if !f.Until.IsZero() {
		before = (*[16]byte)(new(firjob.FirstIDAt(f.Until)))
	}
	if !f.Before.IsZero() && (before == nil || pg.CompareIDs(f.Before, *before) < 0) {
		before = (*[16]byte)(&f.Before)
	}
	return from, before
}

const (
	executionsSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e` + filteredExecutions
	// For an app of few jobs: those of its jobs are found first, by the index that
	// has them, and then sorted. OFFSET 0 keeps Postgres from doing it otherwise.
	executionsOfFewSQL = `SELECT ` + scan.ExecutionColumns + ` FROM (SELECT * FROM executions
		WHERE job_id > 0 AND job_id = ANY(ARRAY(` + livingJobsOf + `$4 UNION ALL ` + deletedJobsOf + `$4))
			AND ($1::uuid IS NULL OR id >= $1) AND ($2::uuid IS NULL OR id < $2) OFFSET 0) AS e` + filteredExecutions
	filteredExecutions = ` JOIN jobs AS j ON j.id = e.job_id
		WHERE ($1::uuid IS NULL OR e.id >= $1) AND ($2::uuid IS NULL OR e.id < $2)
			AND e.job_id > 0 AND ($3::bigint IS NULL OR e.job_id = $3)
			AND ($4::text IS NULL OR j.app = $4)
			AND ($5::text[] IS NULL OR e.state::text = ANY($5))
			AND ($7::int[] IS NULL OR ` + kindOf + ` = ANY($7))
			AND ($8::text IS NULL OR e.executor = $8)
			AND ($9::uuid IS NULL OR e.id = ANY(ARRAY(SELECT $9 UNION ALL SELECT t.id FROM executions AS t
			WHERE t.root = $9)))
		ORDER BY e.id DESC LIMIT $6`
	laterTriggersSQL = `SELECT ` + scan.LaterColumns + ` FROM later_triggers AS l JOIN jobs AS j ON j.id = l.job_id
		WHERE ($1::uuid IS NULL OR l.id >= $1) AND ($2::uuid IS NULL OR l.id < $2)
			AND ($3::bigint IS NULL OR l.job_id = $3) AND ($4::text IS NULL OR j.app = $4)
			AND ($5::text[] IS NULL OR CASE WHEN l.cancelled_at IS NULL THEN 'planned' ELSE 'cancelled' END = ANY($5))
			AND ($7::int[] IS NULL OR 1 = ANY($7)) AND $8::text IS NULL AND ($9::uuid IS NULL OR l.id = $9)
		ORDER BY l.id DESC LIMIT $6`
)

// kindOf is firjob.ExecutionID.Kind of an execution e.
const kindOf = `(get_byte(uuid_send(e.id), 8) & 63)`

// mergeLater puts triggers among executions, both being in the order of
// descending ids. Of one that is both the execution is the newer record.
func mergeLater(list, later []firjob.Execution) []firjob.Execution {
	if len(later) == 0 {
		return list
	}
	list = append(list, later...)
	slices.SortStableFunc(list, func(a, b firjob.Execution) int { return pg.CompareIDs(b.ID, a.ID) })
	return slices.CompactFunc(list, func(a, b firjob.Execution) bool { return a.ID == b.ID })
}

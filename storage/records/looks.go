package records

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// Filters for which there is no index are judged row by row. A page looks at
// this many rows at most, some 15 ms, and says where the next one goes on: it may
// hold less than was asked for, or nothing, as pages of lists may
// (https://google.aip.dev/158).
const looksPerPage = 10_000

// lookedJobs returns the number up to which a page of jobs looks, nil where the
// rest is little enough or an index leads to what is looked for.
func (db *Records) lookedJobs(ctx context.Context, f ports.JobFilter) (upTo *int64, err error) {
	if f.Query == "" && f.Name == "" && f.Kind == "" && f.Route == "" && f.Calendar == "" && f.Enabled == nil ||
		f.Parent > 0 || f.App != "" && f.Name != "" {
		return nil, nil
	}
	if f.App != "" {
		var few bool
		if err := db.API.QueryRow(ctx, hasFewJobsSQL, f.App, db.looks/10).Scan(&few); few || err != nil {
			return nil, err
		}
	}
	return one[int64](db.API.Query(ctx, lookedJobsSQL, int64(f.After), db.looks-1))
}

const lookedJobsSQL = `SELECT id FROM jobs WHERE id > $1::bigint ORDER BY id OFFSET $2 LIMIT 1`

const hasFewJobsSQL = `SELECT count(*) <= $2 FROM (` + livingJobsOf + `$1 LIMIT $2 + 1) AS found`

// fewJobs returns how many jobs an app has, deleted ones included, and whether these
// are so few, up to a thousand, that an index leads to the executions of each.
func (db *Records) fewJobs(ctx context.Context, tx pgx.Tx, app string) (n int, few bool, err error) {
	limit := db.looks / 10
	err = tx.QueryRow(ctx, countJobsOfSQL, app, limit+1).Scan(&n)
	return n, n <= limit, err
}

const countJobsOfSQL = `SELECT count(*) FROM
	((` + livingJobsOf + `$1 LIMIT $2) UNION ALL (` + deletedJobsOf + `$1 LIMIT $2)) AS found`

// The jobs of an app, by one index each: jobs_name and jobs_deleted.
const (
	livingJobsOf  = `SELECT id FROM jobs WHERE deleted_at IS NULL AND app = `
	deletedJobsOf = `SELECT id FROM jobs WHERE deleted_at IS NOT NULL AND app = `
)

// lookedExecutions returns the id down to which a page of executions looks, nil
// as lookedJobs does, and whether the filter is for an app of few jobs.
func (db *Records) lookedExecutions(ctx context.Context, tx pgx.Tx,
	f ports.ExecutionFilter) (downTo *firjob.ExecutionID, few bool, err error) {
	if f.App == "" && len(f.States)+len(f.Kinds) == 0 && f.Executor == "" || !f.Root.IsZero() {
		return nil, false, nil
	}
	from, before := idRange(f)
	found, err := one[[16]byte](tx.Query(ctx, lookedExecutionsSQL, from, before, pg.Pointer(int64(f.Job)), db.looks-1))
	if f.App == "" || found == nil || err != nil {
		return (*firjob.ExecutionID)(found), false, err
	}
	jobs, few, err := db.fewJobs(ctx, tx, f.App)
	if !few || err != nil {
		return (*firjob.ExecutionID)(found), false, err
	}
	ofApp, err := one[[16]byte](tx.Query(ctx, lookedOfAppSQL, from, before, f.App, db.looks/max(jobs, 1)-1))
	return (*firjob.ExecutionID)(lower(found, ofApp)), true, err
}

// lower returns the lower of two ids; nil is lower than any.
func lower(a, b *[16]byte) *[16]byte {
	if a == nil || b == nil {
		return nil
	}
	if pg.CompareIDs(*a, *b) < 0 {
		return a
	}
	return b
}

const lookedExecutionsSQL = `SELECT id FROM executions
	WHERE ($1::uuid IS NULL OR id >= $1) AND ($2::uuid IS NULL OR id < $2) AND job_id > 0
	AND ($3::bigint IS NULL OR job_id = $3)
	ORDER BY id DESC OFFSET $4 LIMIT 1`

// lookedOfAppSQL finds the latest of the places down to which as many executions of
// each job of an app lie: that of the job that runs most often. All that the app has
// executed since is no more than that for each of them.
const lookedOfAppSQL = `SELECT e.id FROM (` + livingJobsOf + `$3 UNION ALL ` + deletedJobsOf + `$3) AS j
	CROSS JOIN LATERAL (SELECT id FROM executions
		WHERE ($1::uuid IS NULL OR id >= $1) AND ($2::uuid IS NULL OR id < $2) AND job_id > 0 AND job_id = j.id
		ORDER BY id DESC OFFSET $4 LIMIT 1) AS e
	ORDER BY e.id DESC LIMIT 1`

// one returns the value of a statement that has a row or none.
func one[T any](rows pgx.Rows, _ error) (*T, error) {
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &value, err
}

package storage

import (
	"context"
	"errors"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// Filters for which there is no index are judged row by row. A page looks at
// this many rows at most, some 10 ms, and says where the next one goes on: it may
// hold less than was asked for, or nothing, as pages of lists may
// (https://google.aip.dev/158).
const looksPerPage = 10_000

// lookedJobs returns the number up to which a page of jobs looks, nil where the
// rest is little enough or an index leads to what is looked for.
func (db *DB) lookedJobs(ctx context.Context, f firjob.JobFilter) (upTo *int64, err error) {
	if f.Query == "" && f.Name == "" && f.Kind == "" && f.Route == "" && f.Calendar == "" && f.Enabled == nil || f.Parent > 0 || f.App != "" && f.Name != "" {
		return nil, nil
	}
	if f.App != "" {
		if few, err := db.hasFewJobs(ctx, f.App); few || err != nil {
			return nil, err
		}
	}
	return one[int64](db.api.Query(ctx, lookedJobsSQL, int64(f.After), db.looks-1))
}

const lookedJobsSQL = `SELECT id FROM jobs WHERE id > $1::bigint ORDER BY id OFFSET $2 LIMIT 1`

// hasFewJobs reports whether an app has so few jobs, up to a thousand, that indexes
// lead to them, and to the executions of each. How many executions these have, and
// how many jobs were deleted, does not count: pages of them have no bound.
func (db *DB) hasFewJobs(ctx context.Context, app string) (few bool, err error) {
	err = db.api.QueryRow(ctx, hasFewJobsSQL, app, db.looks/10).Scan(&few)
	return few, err
}

const hasFewJobsSQL = `SELECT count(*) <= $2 FROM (SELECT FROM jobs WHERE app = $1 AND deleted_at IS NULL LIMIT $2 + 1) AS found`

// lookedExecutions returns the id down to which a page of executions looks, nil
// as lookedJobs does.
func (db *DB) lookedExecutions(ctx context.Context, f firjob.ExecutionFilter, few bool) (downTo *firjob.ExecutionID, err error) {
	if f.App == "" && len(f.States)+len(f.Kinds) == 0 && f.Executor == "" || !f.Root.IsZero() || few {
		return nil, nil
	}
	from, before := idRange(f)
	found, err := one[[16]byte](db.api.Query(ctx, lookedExecutionsSQL, from, before, pointer(int64(f.Job)), db.looks-1))
	return (*firjob.ExecutionID)(found), err
}

const lookedExecutionsSQL = `SELECT id FROM executions
	WHERE ($1::uuid IS NULL OR id >= $1) AND ($2::uuid IS NULL OR id < $2) AND job_id > 0 AND ($3::bigint IS NULL OR job_id = $3)
	ORDER BY id DESC OFFSET $4 LIMIT 1`

// one returns the value of a statement that has a row or none.
func one[T any](rows pgx.Rows, _ error) (*T, error) {
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &value, err
}

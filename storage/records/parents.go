package records

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/validate"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
)

// setParents records by which jobs a job is triggered. All such changes take
// turns, so that two of them cannot close a circle together. CodeInvalid if a
// parent does not exist or comes after the job itself. The transaction is one of
// writeFamily and holds the job.
func setParents(ctx context.Context, tx pgx.Tx, child firjob.JobID, old, parents *firjob.Parents) error {
	before, after := parentsOf(old), parentsOf(parents)
	if slices.Equal(before, after) {
		return nil
	}
	var ours bool
	if err := tx.QueryRow(ctx, familyTryLockSQL).Scan(&ours); err != nil {
		return err
	}
	if !ours {
		return pg.ErrFamilyBusy
	}
	if _, err := tx.Exec(ctx, clearParentsSQL, int32(child)); err != nil {
		return err
	}
	wanted := make([]firjob.JobID, len(after))
	for i, p := range after {
		wanted[i] = p.Job
	}
	living, err := livingParents(ctx, tx, distinct(wanted))
	if err != nil {
		return err
	}
	for i, p := range after {
		if err := addParent(ctx, tx, child, i, p, living[p.Job]); err != nil {
			return err
		}
	}
	changed := make([]firjob.JobID, 0, len(before)+len(after))
	for _, p := range slices.Concat(before, after) {
		changed = append(changed, p.Job)
	}
	return markParents(ctx, tx, distinct(changed))
}

// markParents notes which of the jobs have children. What runs of them now was
// claimed when they may have had none, and is told that something follows.
func markParents(ctx context.Context, tx pgx.Tx, jobs []firjob.JobID) error {
	if _, err := tx.Exec(ctx, markParentsSQL, pg.Numbers(jobs)); err != nil {
		return err
	}
	return flow.FollowOpen(ctx, tx, jobs)
}

// writeFamily is write for what may change the parents of a job. Where another
// does so at the moment, it lets go of all that it holds, waits for its turn with
// nothing in hand, and begins again.
func (db *Records) writeFamily(ctx context.Context, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	wait := false
	return db.Write(ctx, verb, func(ctx context.Context, tx pgx.Tx) error {
		if wait {
			if _, err := tx.Exec(ctx, familyLockSQL); err != nil {
				return err
			}
		}
		err := fn(ctx, tx)
		wait = wait || errors.Is(err, pg.ErrFamilyBusy)
		return err
	})
}

func parentsOf(p *firjob.Parents) []firjob.Parent {
	if p == nil {
		return nil
	}
	return p.Of
}

func addParent(ctx context.Context, tx pgx.Tx, child firjob.JobID, i int, p firjob.Parent, lives bool) error {
	var circle bool
	if err := tx.QueryRow(ctx, isCircleSQL, int32(child), int64(p.Job)).Scan(&circle); err != nil {
		return err
	}
	fault := ""
	switch {
	case !lives:
		fault = "is not a known job"
	case circle:
		fault = fmt.Sprintf("would close a circle: job %d is triggered, directly or not, by this one", p.Job)
	}
	if fault != "" {
		return firjob.Invalid(
			[]firjob.FieldError{{Field: validate.ParentField(i) + ".job", Value: p.Job, Message: fault}})
	}
	_, err := tx.Exec(ctx, addParentSQL, int32(child), int32(p.Job), string(p.On))
	return err
}

const (
	familyLockSQL    = `SELECT pg_advisory_xact_lock(hashtext('firjob parents'))`
	familyTryLockSQL = `SELECT pg_try_advisory_xact_lock(hashtext('firjob parents'))`
	clearParentsSQL  = `DELETE FROM job_parents WHERE child = $1`
	isCircleSQL      = `SELECT $1::bigint = $2::bigint OR EXISTS (
			WITH RECURSIVE above(id) AS (
				SELECT parent FROM job_parents WHERE child = $2::bigint
				UNION SELECT p.parent FROM job_parents AS p JOIN above AS a ON p.child = a.id)
			SELECT FROM above WHERE id = $1::bigint)`
	addParentSQL = `INSERT INTO job_parents (child, parent, on_end) VALUES ($1, $2, $3)`
	// In the order of ids, as every statement that locks jobs.
	markParentsSQL = `UPDATE jobs SET has_children = EXISTS (SELECT FROM job_parents AS p WHERE p.parent = jobs.id)
		WHERE id IN (SELECT id FROM jobs WHERE id = ANY($1::int[]) ORDER BY id FOR UPDATE)`
)

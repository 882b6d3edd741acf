package storage

import (
	"context"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// Numbers of the group commit of triggers.
const (
	triggerBatch = 256 // triggers in one transaction
	triggerers   = 2   // transactions at a time
)

// triggerEach records triggers of several requests, of any jobs, none with a key.
// What one of them may be to blame for must not be the others' error, so then each
// has a transaction to itself.
func (db *DB) triggerEach(ctx context.Context, list []firjob.TriggerRequest) ([]firjob.Triggered, error) {
	made, err := db.triggerTogether(ctx, list)
	if err == nil || len(list) == 1 || firjob.CodeOf(err) == firjob.CodeUnavailable {
		return made, err
	}
	made = make([]firjob.Triggered, len(list))
	for i, t := range list {
		one, err := db.triggerTogether(ctx, []firjob.TriggerRequest{t})
		if made[i].Err = err; err == nil {
			made[i] = one[0]
		}
	}
	return made, nil
}

func (db *DB) triggerTogether(ctx context.Context, list []firjob.TriggerRequest) (made []firjob.Triggered, err error) {
	err = db.inTx(ctx, db.api, "trigger jobs", func(ctx context.Context, tx pgx.Tx) error {
		now, err := txNow(ctx, tx)
		if err != nil {
			return err
		}
		living, err := livingJobs(ctx, tx, list)
		if err != nil {
			return err
		}
		made = make([]firjob.Triggered, len(list))
		wanted := make([]manual, len(list)) // without an id: not to be recorded
		var first []manual
		for i, t := range list {
			if !living[t.Job] {
				made[i].Err = firjob.Errorf(firjob.CodeNotFound, "there is no job %d", t.Job)
				continue
			}
			wanted[i] = manualsOf(t.Job, now, list[i:i+1])[0]
			first = append(first, wanted[i])
		}
		if err := recordManuals(ctx, tx, first, nil); err != nil {
			return err
		}
		return readManuals(ctx, tx, wanted, made)
	})
	return made, err
}

// livingJobs returns those of the jobs to trigger that are there.
func livingJobs(ctx context.Context, tx pgx.Tx, list []firjob.TriggerRequest) (map[firjob.JobID]bool, error) {
	ids := make([]firjob.JobID, len(list))
	for i, t := range list {
		ids[i] = t.Job
	}
	rows, _ := tx.Query(ctx, livingJobsSQL, numbers(distinct(ids)))
	found, err := pgx.CollectRows(rows, pgx.RowTo[firjob.JobID])
	living := make(map[firjob.JobID]bool, len(found))
	for _, id := range found {
		living[id] = true
	}
	return living, err
}

const livingJobsSQL = `SELECT id FROM jobs WHERE id = ANY($1::int[]) AND deleted_at IS NULL`

package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the group commit of triggers.
const (
	triggerBatch = 256 // triggers in one transaction
	triggerers   = 2   // transactions at a time
)

// triggerEach records triggers of several requests, of any jobs, none with a key.
// What one of them may be to blame for must not be the others' error, so then each
// has a transaction to itself.
func (db *Records) triggerEach(ctx context.Context, list []ports.TriggerRequest) ([]ports.Triggered, error) {
	made, err := db.triggerTogether(ctx, list)
	if err == nil || len(list) == 1 || firjob.CodeOf(err) == firjob.CodeUnavailable {
		return made, err
	}
	made = make([]ports.Triggered, len(list))
	for i, t := range list {
		one, err := db.triggerTogether(ctx, []ports.TriggerRequest{t})
		if made[i].Err = err; err == nil {
			made[i] = one[0]
		}
	}
	return made, nil
}

func (db *Records) triggerTogether(ctx context.Context,
	list []ports.TriggerRequest) (made []ports.Triggered, err error) {
	ids := make([]firjob.JobID, len(list))
	for i, t := range list {
		ids[i] = t.Job
	}
	ids = distinct(ids)
	err = db.InTx(ctx, db.API, "trigger jobs", func(ctx context.Context, tx pgx.Tx) error {
		known, err := lookForJobs(ctx, tx, ids...)
		if err != nil {
			return err
		}
		made = make([]ports.Triggered, len(list))
		var wanted []manual
		for i, t := range list {
			if _, lives := known.jobs[t.Job]; !lives {
				made[i].Err = noJob(t.Job)
				continue
			}
			m := manualsOf(t.Job, known.now, list[i:i+1])[0]
			wanted, made[i] = append(wanted, m), known.recorded(m)
		}
		return recordManuals(ctx, tx, wanted, nil)
	})
	return made, err
}

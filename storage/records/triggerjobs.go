package records

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// triggerable are jobs that are to be triggered: what their executions show of
// them, and the clock of the transaction. Of an execution that is recorded now
// everything is known by this; to read it back took longer than to write it.
type triggerable struct {
	now  time.Time
	jobs map[firjob.JobID]triggerableJob
}

type triggerableJob struct {
	app, name, handler string
	params             json.RawMessage
}

// lookForJobs finds those of the jobs that are there.
func lookForJobs(ctx context.Context, tx pgx.Tx, ids ...firjob.JobID) (t triggerable, err error) {
	t.jobs = make(map[firjob.JobID]triggerableJob, len(ids))
	rows, _ := tx.Query(ctx, lookForJobsSQL, pg.Numbers(ids))
	var id firjob.JobID
	var job triggerableJob
	var params []byte
	_, err = pgx.ForEachRow(rows, []any{&t.now, &id, &job.app, &job.name, &job.handler, &params}, func() error {
		job.params = params
		t.jobs[id] = job
		params = nil // the next row gets its own
		return nil
	})
	return t, err
}

const lookForJobsSQL = `SELECT date_trunc('milliseconds', now()), id, app, name, handler, params FROM jobs
	WHERE id = ANY($1::int[]) AND ` + scan.IsLiving

// recorded shows an execution that was recorded now.
func (t triggerable) recorded(m manual) ports.Triggered {
	job := t.jobs[m.id.Job()]
	e := firjob.Execution{ID: m.id, JobID: m.id.Job(), App: job.app, Job: job.name, Handler: job.handler,
		Kind: m.id.Kind(), ScheduledAt: m.id.ScheduledAt(), DueAt: m.at.UTC(), State: firjob.StatePlanned,
		Params: job.params}
	if m.params != nil {
		e.Params = json.RawMessage(*m.params)
	}
	return ports.Triggered{Execution: e, Due: !m.later}
}

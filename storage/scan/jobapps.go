package scan

import (
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// JobApps remembers which app jobs belong to. A job's app never changes, so what
// was read once holds. It is safe for concurrent use.
type JobApps struct {
	mu   sync.RWMutex
	apps map[firjob.JobID]string
}

// maxJobApps bounds the memory: some 10 MB. Beyond it everything is read anew.
const maxJobApps = 1 << 17

// Fill reads the apps of those of the jobs that are not known.
func (a *JobApps) Fill(ctx context.Context, q pg.Querier, jobs []firjob.JobID) error {
	unknown := a.unknown(jobs)
	if len(unknown) == 0 {
		return nil
	}
	rows, _ := q.Query(ctx, appsOfJobsSQL, pg.Numbers(unknown))
	var id firjob.JobID
	var app string
	found := make(map[firjob.JobID]string, len(unknown))
	if _, err := pgx.ForEachRow(rows, []any{&id, &app}, func() error { found[id] = app; return nil }); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.apps == nil || len(a.apps)+len(found) > maxJobApps {
		a.apps = make(map[firjob.JobID]string, len(found))
	}
	for id, app := range found {
		a.apps[id] = app
	}
	return nil
}

const appsOfJobsSQL = `SELECT id, app FROM jobs WHERE id = ANY($1::int[])`

func (a *JobApps) unknown(jobs []firjob.JobID) []firjob.JobID {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(jobs), func(id firjob.JobID) bool { _, known := a.apps[id]; return known })
}

// Owns reports whether the job is known to belong to the app.
func (a *JobApps) Owns(app string, job firjob.JobID) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return app != "" && a.apps[job] == app
}

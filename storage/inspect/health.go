package inspect

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
)

// What looks for faults reads as the sweeps do, through executions_open, and stops
// at a limit. It runs on the scheduler's pool although nothing waits for it: plans
// are pinned there, and a guess that went wrong would read whole days.

// Stuck returns what should not be there, up to limit of each kind.
func (db *Inspector) Stuck(ctx context.Context, b ports.StuckBounds, limit int) (ports.StuckReport, error) {
	var report ports.StuckReport
	for _, look := range []struct {
		into  *ports.Suspects
		query string
		args  []any
	}{
		{&report.Overdue, overdueSuspectsSQL, []any{b.Overdue, limit}},
		{&report.Orphaned, orphanedSuspectsSQL, []any{b.Orphaned, limit}},
		{&report.Stuck, stuckSuspectsSQL, []any{b.Overtime, b.Silent, limit}},
	} {
		var first [][16]byte
		if err := db.Hot.QueryRow(ctx, look.query, look.args...).Scan(&look.into.Count, &first); err != nil {
			return ports.StuckReport{}, pg.Classify("look for what is stuck", err)
		}
		for _, id := range first {
			look.into.First = append(look.into.First, firjob.ExecutionID(id))
		}
	}
	return report, nil
}

const (
	overdueSuspectsSQL = `SELECT count(*), coalesce((array_agg(id ORDER BY id))[1:3], '{}') FROM (
		SELECT id FROM executions
		WHERE finished_at IS NULL AND NOT waiting AND id < ` + flow.FirstIDSoon + `
			AND state = 'planned' AND due_at < now() - $1::interval
		ORDER BY id LIMIT $2) AS found`

	// A broadcast has no lease while its shards run; the end of the last one ends it.
	orphanedSuspectsSQL = `SELECT count(*), coalesce((array_agg(id ORDER BY id))[1:3], '{}') FROM (
		SELECT id FROM executions AS e
		WHERE finished_at IS NULL AND NOT waiting AND id < ` + flow.FirstIDSoon + ` AND state = 'running'
			AND (lease_until < now() - $1::interval OR (lease_until IS NULL
				AND NOT EXISTS (SELECT FROM broadcasts AS b WHERE b.execution_id = e.id AND b.open > 0)))
		ORDER BY id LIMIT $2) AS found`

	// The server itself is no executor: its calls end with their lease, and so does
	// what an exclusive job has begun. What was on an executor that has started anew
	// is about to be ended. Those that lack a lease or outlive it are counted as
	// orphaned, and not here again. The condition on the app gives executors an
	// index to be read by.
	stuckSuspectsSQL = `SELECT count(*), coalesce((array_agg(id ORDER BY id))[1:3], '{}') FROM (
		SELECT id FROM executions AS e
		WHERE finished_at IS NULL AND NOT waiting AND id < ` + flow.FirstIDSoon + ` AND state = 'running'
		AND lease_until >= now()
			AND (deadline_at < now() - $1::interval OR (executor <> 'server'
				AND (executor, incarnation) NOT IN (SELECT address, incarnation FROM executors WHERE app > ''
				AND last_beat >= now() - $2::interval)
				AND executor NOT IN (SELECT address FROM executors WHERE app > ''
				AND started_at BETWEEN now() - $2::interval AND now() + $2::interval)
				AND (started_at IS NULL OR NOT coalesce((SELECT (j.dispatch ->> 'exclusive')::boolean FROM jobs AS j
				WHERE j.id = e.job_id), false))))
		ORDER BY id LIMIT $3) AS found`
)

// Fates returns how those of the executions stand that exist.
func (db *Inspector) Fates(ctx context.Context, ids []firjob.ExecutionID) (map[firjob.ExecutionID]ports.Fate, error) {
	fates := make(map[firjob.ExecutionID]ports.Fate, len(ids))
	if len(ids) == 0 {
		return fates, nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := db.Hot.Query(ctx, fatesSQL, pg.UUIDs(ids), low, high)
	var id [16]byte
	var fate ports.Fate
	var dueIn float64
	_, err := pgx.ForEachRow(rows, []any{&id, &fate.State, &fate.Waiting, &dueIn}, func() error {
		fate.DueIn = time.Duration(dueIn * float64(time.Second))
		fates[id] = fate
		return nil
	})
	return fates, pg.Classify("look executions up", err)
}

const fatesSQL = `SELECT id, state::text, waiting, extract(epoch FROM due_at - now())::float8 FROM executions
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid`

package records

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// queueLook bounds how many of each sort of waiters one question looks at.
const queueLook = 10_000

// Queue returns what is past its scheduled time and neither runs nor has ended,
// the first to go first, and how many wait for what reason. Of those that wait for
// a place of their job, for a place of the app, and for anything else it looks at
// 10,000 at the most, the latter over all apps. CodeNotFound if there is no such
// app.
func (db *Records) Queue(ctx context.Context, f ports.QueueFilter) (list []ports.Waiter, counts map[ports.Why]int,
	err error) {
	if _, err := db.App(ctx, f.App); err != nil {
		return nil, nil, err
	}
	all, err := db.standing(ctx, f.App)
	if err != nil {
		return nil, nil, pg.Classify("look at what waits", err)
	}
	counts = map[ports.Why]int{}
	for _, q := range all {
		counts[q.why]++
	}
	if f.Why != "" {
		all = slices.DeleteFunc(all, func(q placed) bool { return q.why != f.Why })
	}
	slices.SortFunc(all, func(a, b placed) int { return flow.ByRank(a.Queued, b.Queued) })
	list, err = db.waiters(ctx, all[:min(len(all), f.PageSize)])
	return list, counts, pg.Classify("read what waits", err)
}

// placed is an execution that waits, and for what.
type placed struct {
	flow.Queued
	why ports.Why
}

// standing returns all that wait of an app, in no order.
func (db *Records) standing(ctx context.Context, app string) ([]placed, error) {
	atGate, err := db.atGate(ctx, app)
	if err != nil {
		return nil, err
	}
	rows, _ := db.API.Query(ctx, waitForJobSQL, app, queueLook)
	forJob, err := pgx.CollectRows(rows, scanPlaced)
	if err != nil {
		return nil, err
	}
	rows, _ = db.API.Query(ctx, notClaimedSQL, app, queueLook)
	open, err := pgx.CollectRows(rows, scanPlaced)
	return slices.Concat(atGate, forJob, open), err
}

// atGate returns those that wait for the app.
func (db *Records) atGate(ctx context.Context, app string) (list []placed, err error) {
	rows, _ := db.API.Query(ctx, flow.GateHeadSQL, app, queueLook)
	line, err := pgx.CollectRows(rows, flow.ScanQueued)
	if err != nil || len(line) == 0 {
		return nil, err
	}
	rows, _ = db.API.Query(ctx, flow.ReadGatesSQL, []string{app})
	g, err := pgx.CollectExactlyOneRow(rows, flow.ScanGate)
	if err != nil {
		return nil, err
	}
	why := ports.WhyAppRate
	if g.Full() {
		why = ports.WhyAppLimit
	}
	for _, q := range line {
		list = append(list, placed{q, why})
	}
	return list, nil
}

// A place of a job is held by somebody, or nobody would wait for it. What was
// given back unsent has a token and no claim; what is to be tried again has both.
const (
	waitForJobSQL = `SELECT e.id, e.due_at, j.priority, 'overlap'
		FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
		WHERE ` + flow.WaitsForJob + ` AND e.id < ` + flow.FirstIDNow + `
			AND e.job_id = ANY(ARRAY(SELECT s.job_id FROM job_slots AS s JOIN jobs AS k ON k.id = s.job_id
			WHERE k.app = $1))
		LIMIT $2`
	notClaimedSQL = `SELECT e.id, e.due_at, j.priority, CASE
			WHEN e.token > 0 AND e.claimed_at IS NULL THEN 'executor'
			WHEN e.attempt > 0 AND e.due_at > now() THEN 'retry'
			ELSE 'claim' END
		FROM (SELECT id, job_id, due_at, token, attempt, claimed_at FROM executions
			WHERE finished_at IS NULL AND NOT waiting AND id < ` + flow.FirstIDNow + ` AND state = 'planned'
			ORDER BY id LIMIT $2) AS e
		JOIN jobs AS j ON j.id = e.job_id WHERE j.app = $1`
)

func scanPlaced(row pgx.CollectableRow) (placed, error) {
	var p placed
	var dueAt time.Time
	var priority int
	err := row.Scan((*[16]byte)(&p.ID), &dueAt, &priority, &p.why)
	p.Rank = flow.RankOf(p.ID, dueAt, priority)
	return p, err
}

// waiters reads the executions of a page, in its order. What has begun or ended
// meanwhile is left out.
func (db *Records) waiters(ctx context.Context, page []placed) (list []ports.Waiter, err error) {
	if len(page) == 0 {
		return nil, nil
	}
	ids := make([]firjob.ExecutionID, len(page))
	for i, q := range page {
		ids[i] = q.ID
	}
	low, high := pg.Bounds(ids)
	rows, _ := db.API.Query(ctx, waitersSQL, pg.UUIDs(ids), low, high)
	found, err := pgx.CollectRows(rows, scan.Execution)
	byID := make(map[firjob.ExecutionID]firjob.Execution, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	for _, q := range page {
		if e, ok := byID[q.ID]; ok {
			list = append(list, ports.Waiter{Execution: e, Since: waitsSince(e), Why: q.why})
		}
	}
	return list, err
}

const waitersSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.state = 'planned'`

// waitsSince is when an execution could have run first, or again.
func waitsSince(e firjob.Execution) time.Time {
	if n := len(e.Attempts); n > 0 && e.Attempts[n-1].FinishedAt != nil {
		return *e.Attempts[n-1].FinishedAt
	}
	return e.ScheduledAt
}

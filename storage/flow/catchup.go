package flow

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// findSurplus tells those of the late candidates whose job has the policy fire_all
// whether max_catch_up later fires of the job are late, too.
func findSurplus(ctx context.Context, tx pgx.Tx, late []*candidate) error {
	first := map[firjob.JobID]*candidate{} // of each job's candidates
	for _, c := range late {
		if c.job.Misfire.Policy != firjob.MisfireFireAll {
			continue
		}
		if f, ok := first[c.id.Job()]; !ok || pg.CompareIDs(c.id, f.id) < 0 {
			first[c.id.Job()] = c
		}
	}
	if len(first) == 0 {
		return nil
	}
	jobs := slices.Sorted(maps.Keys(first))
	after := make([]firjob.ExecutionID, len(jobs))
	most, graces := make([]int32, len(jobs)), make([]int64, len(jobs))
	for i, job := range jobs {
		m := first[job].job.Misfire
		after[i], most[i], graces[i] = first[job].id, int32(m.MaxCatchUp), m.Grace.Std().Milliseconds()
	}
	rows, _ := tx.Query(ctx, firstCaughtUpSQL, pg.Numbers(jobs), pg.UUIDs(after), most, graces)
	found, err := pgx.CollectRows(rows, ScanID)
	if err != nil {
		return err
	}
	kept := make(map[firjob.JobID]firjob.ExecutionID, len(found))
	for _, id := range found {
		kept[id.Job()] = id
	}
	for _, c := range late {
		id, full := kept[c.id.Job()]
		c.surplus = full && pg.CompareIDs(c.id, id) < 0
	}
	return nil
}

// Of each job the earliest of its latest late fires, as many as max_catch_up; nothing
// if it has fewer. A late fire is one that is to run and was never tried, or that was
// claimed beyond the grace. No more than the 10,000 latest executions of a job are
// looked at.
const firstCaughtUpSQL = `SELECT first FROM (
		SELECT (SELECT id FROM (
				SELECT id, state, attempt, waiting, claimed_at FROM executions
				WHERE job_id = v.job AND job_id > 0 AND id >= v.id
					AND id < ` + firstIDBeforeGrace + `
				ORDER BY id DESC LIMIT 10000) AS r
			WHERE state NOT IN ('superseded', 'missed', 'cancelled', 'skipped') AND ` + isScheduled + `
				AND (state = 'planned' AND attempt = 0 AND NOT waiting
					OR extract(epoch FROM claimed_at) * 1000 > ` + scheduledMS + ` + v.grace)
			ORDER BY id DESC LIMIT 1 OFFSET v.most - 1) AS first
		FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[]) AS v(job, id, most, grace)) AS found
	WHERE first IS NOT NULL`

const (
	// firstIDBeforeGrace is firjob.FirstIDAt of the store's clock less v.grace.
	firstIDBeforeGrace = `rpad(lpad(to_hex(ceil(extract(epoch FROM now()) * 1000)::bigint - v.grace), 12, '0'), 32,
		'0')::uuid`
	// scheduledMS is the instant of an id, in epoch milliseconds.
	scheduledMS = `('x' || encode(substr(uuid_send(id), 1, 6), 'hex'))::bit(48)::bigint`
)

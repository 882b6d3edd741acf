package flow

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// SetProgress notes the progress of the present attempts of an app's executions;
// others are passed over. Also of one that has ended: its last word may come after
// its result. No index knows these columns.
func (db *Flow) SetProgress(ctx context.Context, app string, entries []firjob.ProgressEntry) error {
	if len(entries) == 0 {
		return nil
	}
	latest := make(map[firjob.ExecutionID]firjob.ProgressEntry, len(entries))
	for _, e := range entries {
		if e.Token >= latest[e.ID].Token {
			latest[e.ID] = e
		}
	}
	ids := make([]firjob.ExecutionID, 0, len(latest))
	for id := range latest {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, pg.CompareIDs)
	tokens, percents, notes := make([]int64, len(ids)), make([]int32, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		e := latest[id]
		tokens[i], percents[i], notes[i] = e.Token, int32(min(max(e.Percent, 0), 100)), pg.Clean(e.Note)
	}
	low, high := pg.Bounds(ids)
	return db.InTx(ctx, db.API, "note progress", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, progressSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)), app, tokens, percents,
			notes)
		return err
	})
}

const progressSQL = `UPDATE executions AS e SET percent = r.percent, note = nullif(r.note, ''), progressed_at = now()
	FROM unnest($1::uuid[], $6::bigint[], $7::int[], $8::text[]) AS r(id, token, percent, note), jobs AS j
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND j.id = ANY($4::int[]) AND j.id = e.job_id AND j.app = $5
		AND e.token = r.token`

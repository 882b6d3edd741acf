package storage

import (
	"context"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// SetProgress notes the progress of the present attempts of an app's executions;
// others are passed over. Also of one that has ended: its last word may come after
// its result. No index knows these columns.
func (db *DB) SetProgress(ctx context.Context, app string, entries []firjob.ProgressEntry) error {
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
	slices.SortFunc(ids, compareIDs)
	tokens, percents, notes := make([]int64, len(ids)), make([]int32, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		e := latest[id]
		tokens[i], percents[i], notes[i] = e.Token, int32(min(max(e.Percent, 0), 100)), clean(e.Note)
	}
	low, high := bounds(ids)
	return db.inTx(ctx, db.api, "note progress", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, progressSQL, uuids(ids), low, high, numbers(jobsOf(ids)), app, tokens, percents, notes)
		return err
	})
}

const progressSQL = `UPDATE executions AS e SET percent = r.percent, note = nullif(r.note, ''), progressed_at = now()
	FROM unnest($1::uuid[], $6::bigint[], $7::int[], $8::text[]) AS r(id, token, percent, note), jobs AS j
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND j.id = ANY($4::int[]) AND j.id = e.job_id AND j.app = $5
		AND e.token = r.token`

// progressColumns are the columns of executions e of which progressRow is made.
// What an earlier attempt has said is not this one's progress; a claim does not
// write these columns only to clear them.
const progressColumns = `coalesce(e.percent, 0), coalesce(e.note, ''),
	CASE WHEN e.progressed_at >= e.claimed_at THEN e.progressed_at END`

type progressRow struct {
	percent int
	note    string
	at      *time.Time
}

// progress returns what the present attempt has said; nil if nothing.
func (p progressRow) progress() *firjob.Progress {
	if p.at == nil {
		return nil
	}
	return &firjob.Progress{Percent: p.percent, Note: p.note, At: *p.at}
}

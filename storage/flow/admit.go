package flow

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// reviewBatch bounds how many jobs one pass of Admit looks at.
const reviewBatch = 256

// Admit lets those in that time alone has made room for: tokens of limited apps,
// and replace_after of jobs with the overlap rule replace. It also sees to what an
// edit of a job or an app has made room for, and to whom another transaction has
// kept from being let in. It returns after how long the next call is worth while,
// an hour if nothing is known to come. Any number of servers may call it: each
// job and each app is seen to by one at a time.
func (db *Flow) Admit(ctx context.Context) (followed ports.Followed, next time.Duration, err error) {
	places, next, err := db.reviewSlots(ctx)
	if err != nil {
		return ports.Followed{}, 0, err
	}
	entered, more, err := db.openGates(ctx)
	// Return what the jobs have let in, also when the apps failed.
	return join(places, entered), min(next, more), err
}

// reviewSlots sees to the jobs whose review is due.
func (db *Flow) reviewSlots(ctx context.Context) (followed ports.Followed, next time.Duration, err error) {
	err = db.InTx(ctx, db.Hot, "let executions wait or enter by the slots of their jobs",
		func(ctx context.Context, tx pgx.Tx) error {
			followed, next = ports.Followed{}, never
			rows, _ := tx.Query(ctx, dueReviewsSQL, reviewBatch)
			slots, err := pgx.CollectRows(rows, scanSlot)
			if err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, nextReviewSQL).Scan(&next); err != nil || len(slots) == 0 {
				return err
			}
			if err := readSlotJobs(ctx, tx, slots); err != nil {
				return err
			}
			followed, err = reviewed(ctx, tx, slots)
			for _, s := range slots {
				if !s.reviewAt.IsZero() {
					next = max(0, min(next, s.reviewAt.Sub(s.now)))
				}
			}
			return err
		})
	return followed, next, err
}

func reviewed(ctx context.Context, tx pgx.Tx, slots []*jobSlot) (followed ports.Followed, err error) {
	for _, s := range slots {
		s.reviewAt = time.Time{}
		if s.contested = s.job.Overlap == firjob.OverlapReplace; !s.contested {
			s.replaceAt = time.Time{}
		}
	}
	if err := seat(ctx, tx, slots, &followed); err != nil {
		return followed, err
	}
	ends, err := supplant(ctx, tx, slots, &followed)
	if err != nil {
		return followed, err
	}
	if err := writeSlots(ctx, tx, slots); err != nil {
		return followed, err
	}
	more, err := FinishAs(ctx, tx, ends)
	for _, e := range ends {
		more.Ended = append(more.Ended, e.ID)
	}
	return join(followed, more), err
}

const (
	dueReviewsSQL = `SELECT ` + slotColumns + ` FROM job_slots
		WHERE review_at IS NOT NULL AND review_at <= now() ORDER BY review_at LIMIT $1 FOR UPDATE SKIP LOCKED`
	nextReviewSQL = `SELECT least(coalesce((SELECT review_at FROM job_slots
			WHERE review_at IS NOT NULL AND review_at > now() ORDER BY review_at LIMIT 1) - now(), '1 hour'),
			'1 hour')::interval`
)

// openGates lets in executions that wait for a limited app, or for one whose limits
// were lifted.
func (db *Flow) openGates(ctx context.Context) (followed ports.Followed, next time.Duration, err error) {
	err = db.InTx(ctx, db.Hot, "let executions into limited apps", func(ctx context.Context, tx pgx.Tx) error {
		followed, next = ports.Followed{}, never
		rows, _ := tx.Query(ctx, queuedAppsSQL)
		apps, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(apps) == 0 {
			return err
		}
		rows, _ = tx.Query(ctx, lockFreeGatesSQL, apps)
		free, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(free) < len(apps) {
			next = 0 // another transaction holds an app, and may not see what this call would
		}
		gates, err := readGates(ctx, tx, slices.Clone(free))
		if err != nil {
			return err
		}
		for _, g := range gates {
			if _, err := g.open(ctx, tx, nil, &followed); err != nil {
				return err
			}
			next = min(next, g.next())
		}
		return nil
	})
	return followed, next, err
}

const (
	// One look into the index for each app.
	queuedAppsSQL = `WITH RECURSIVE a(app) AS (
			(SELECT app FROM app_queue ORDER BY app LIMIT 1)
			UNION ALL
			SELECT (SELECT q.app FROM app_queue AS q WHERE q.app > a.app ORDER BY q.app LIMIT 1) FROM a
			WHERE a.app IS NOT NULL)
		SELECT app FROM a WHERE app IS NOT NULL`
	lockFreeGatesSQL = `SELECT app FROM app_usage WHERE app = ANY($1::text[]) ORDER BY app FOR UPDATE SKIP LOCKED`
)

// EditSlots adapts the slots of a job to an edit. Executions that wait may have a slot
// now: the next Admit looks at them. If the job was not limited before, the executions
// that run take slots.
func EditSlots(ctx context.Context, tx pgx.Tx, old, edited firjob.Job) error {
	if old.Slots() == 0 && edited.Slots() > 0 {
		if err := adoptHolders(ctx, tx, old.ID); err != nil {
			return err
		}
	}
	if old.Slots() == edited.Slots() && old.Overlap == edited.Overlap {
		return nil
	}
	_, err := tx.Exec(ctx, reviewJobSQL, int32(old.ID))
	return err
}

const reviewJobSQL = `UPDATE job_slots SET review_at = now() WHERE job_id = $1`

// adoptHolders gives slots to the executions of a job that were claimed while the job
// was not limited.
func adoptHolders(ctx context.Context, tx pgx.Tx, job firjob.JobID) error {
	rows, _ := tx.Query(ctx, begunSQL, int32(job))
	ids, err := Adopt(ctx, tx, rows)
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, adoptHoldersSQL, int32(job), pg.UUIDs(ids))
	return err
}

// Adopt notes for locked executions, the ids in rows, that something follows from
// their ends. It returns the ids.
func Adopt(ctx context.Context, tx pgx.Tx, rows pgx.Rows) ([]firjob.ExecutionID, error) {
	ids, err := pgx.CollectRows(rows, ScanID)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	low, high := pg.Bounds(ids)
	_, err = tx.Exec(ctx, followSQL, pg.UUIDs(ids), low, high)
	return ids, err
}

const (
	begunSQL = `SELECT id FROM executions
		WHERE finished_at IS NULL AND NOT waiting AND id < ` + FirstIDSoon + `
			AND job_id = $1 AND (state = 'running' OR attempt > 0) AND ` + isNoShard + `
		ORDER BY id FOR UPDATE`
	followSQL = `UPDATE executions SET follow = true
		WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid`
	adoptHoldersSQL = `INSERT INTO job_slots AS s (job_id, holders) VALUES ($1, $2::uuid[])
		ON CONFLICT (job_id) DO UPDATE SET holders = ARRAY(
			SELECT unnest(s.holders) UNION SELECT unnest(EXCLUDED.holders))`
)

// isNoShard holds for executions that are not a shard of a broadcast: their ids
// have the ordinal 0.
const isNoShard = `substr(uuid_send(id), 7, 2) = '\x8000'`

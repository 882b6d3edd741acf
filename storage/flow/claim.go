package flow

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// deadlineSlack is how long after a job's timeout the server waits for the
// executor's word before it decides itself.
const deadlineSlack = 5 * time.Second

// Claim makes the executions named by ids running for this server, where the
// rules allow it. Nearly always one statement does it all; what that leaves over
// is locked, read and decided one by one, in the same transaction.
func (db *Flow) Claim(ctx context.Context, ids []firjob.ExecutionID,
	by ports.ClaimBy) (result ports.ClaimResult, err error) {
	if len(ids) == 0 {
		return result, nil
	}
	err = db.InTx(ctx, db.Hot, "claim executions", func(ctx context.Context, tx pgx.Tx) error {
		claimed, err := claimRows(ctx, tx, ids, by, false)
		result = ports.ClaimResult{Claimed: claimed}
		if err != nil || len(claimed) == len(ids) {
			return err
		}
		return claimRest(ctx, tx, without(ids, claimed), by, &result)
	})
	return result, err
}

// claimRows claims what the plain rules allow or, when decided is true, every
// row: then the caller holds their locks and has applied the rules.
func claimRows(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID, by ports.ClaimBy,
	decided bool) ([]ports.Claimed, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, claimSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)), by.Replica, by.Call,
		by.Lease,
		deadlineSlack, decided)
	return pgx.CollectRows(rows, scanClaimed)
}

// The rules, in order: nothing of it was claimed or ended; it is due, give or
// take the lead; nobody asked to cancel it; no overlap rule needs a slot; the
// job lives; and a fire that was never tried is one of this version of an enabled
// job and not too late. One that was given back for want of an executor, which
// its token shows, has had its due_at put off: the slow path knows how late it is.
//
// What the slow path has decided may hold a place, whatever an edit has made of
// the job since: it follows in any case. "coalesce" keeps the partial index of
// live jobs, which is useless here, out of the planner's mind.
const claimSQL = `UPDATE executions AS e SET
		state = 'running',
		attempt = e.attempt + 1,
		token = greatest(nextval('fence'), e.token + 1),
		follow = e.follow OR j.follows OR $9::bool,
		claimed_by = $5,
		claim_call = $6,
		claimed_at = now(),
		lease_until = greatest(e.due_at, now()) + $7::interval,
		deadline_at = CASE WHEN j.timeout_ms > 0
			THEN greatest(e.due_at, now()) + j.timeout_ms * interval '1 millisecond' + $8::interval END,
		started_at = NULL, executor = NULL, incarnation = NULL
	FROM jobs AS j
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid
		AND j.id = ANY($4::int[]) AND j.id = e.job_id
		AND ($9::bool OR (
			e.state = 'planned' AND NOT e.waiting AND NOT e.cancel
			AND e.due_at <= now() + interval '1 second'
			AND j.plain AND j.app <> ALL(` + limitedApps + `)
			AND coalesce(j.deleted_at, 'infinity') = 'infinity'
			AND (e.attempt > 0 OR e.job_version = 0 OR (
				j.enabled AND j.fires_since <= e.job_version
				AND e.token = 0 AND now() <= e.due_at + j.grace_ms * interval '1 millisecond'))))
	RETURNING e.id, e.attempt, e.token, e.due_at, coalesce(e.params, j.params),
		j.app, j.name, j.handler, j.route, j.delivery, j.timeout_ms, j.priority, j.dispatch,
		e.inputs, coalesce(e.shard_total, 0), coalesce(e.target, ''), coalesce(e.attempts->-1->>'executor', ''),
		coalesce(e.attempts->-1->>'process', '')`

// limitedApps is asked once a statement, and nearly always empty.
const limitedApps = `ARRAY(SELECT a.name FROM apps AS a WHERE a.limited)`

func scanClaimed(row pgx.CollectableRow) (ports.Claimed, error) {
	var c ports.Claimed
	var params, dispatch, inputs []byte
	var timeoutMS int64
	var shards int
	t := &c.Trigger
	err := row.Scan((*[16]byte)(&t.ID), &t.Attempt, &t.Token, &c.DueAt, &params,
		&c.App, &t.Job, &t.Handler, &c.Route, &c.Delivery, &timeoutMS, &c.Priority, &dispatch,
		&inputs, &shards, &c.Target, &c.Last, &c.LostBy)
	t.JobID, t.Kind, t.ScheduledAt = t.ID.Job(), t.ID.Kind(), t.ID.ScheduledAt()
	t.Params, t.Inputs, t.Timeout = params, inputs, scan.FromMillis(timeoutMS)
	if shards > 0 && t.ID.Ordinal() > 0 {
		t.Shard = &firjob.ShardOf{Index: t.ID.Ordinal() - 1, Total: shards}
	}
	if err == nil && dispatch != nil {
		c.Dispatch = new(ports.Dispatch)
		err = json.Unmarshal(dispatch, c.Dispatch)
		t.Exclusive = c.Dispatch.Exclusive
	}
	return c, err
}

// without returns the ids that were not claimed, each once.
func without(ids []firjob.ExecutionID, claimed []ports.Claimed) []firjob.ExecutionID {
	seen := make(map[firjob.ExecutionID]bool, len(ids))
	for i := range claimed {
		seen[claimed[i].Trigger.ID] = true
	}
	var rest []firjob.ExecutionID
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			rest = append(rest, id)
		}
	}
	return rest
}

// claimRest decides about the executions that the plain rules did not cover.
func claimRest(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID, by ports.ClaimBy,
	result *ports.ClaimResult) error {
	candidates, err := lockCandidates(ctx, tx, ids)
	if err != nil {
		return err
	}
	d := decideClaims(ids, candidates)
	slots, err := takeSlots(ctx, tx, d)
	if err != nil {
		return err
	}
	if err := enterApps(ctx, tx, d); err != nil {
		return err
	}
	claimed, err := claimRows(ctx, tx, d.claim, by, true)
	if err != nil {
		return err
	}
	if err := queueUp(ctx, tx, d.wait); err != nil {
		return err
	}
	if err := leaveApps(ctx, tx, d.yield, &d.followed); err != nil {
		return err
	}
	if err := d.apply(ctx, tx, slots); err != nil {
		return err
	}
	result.Claimed = append(result.Claimed, claimed...)
	result.Early, result.Dropped = d.early, d.dropped
	result.Followed = d.followed
	return nil
}

// apply stores who holds the places and ends what is to end.
func (d *claims) apply(ctx context.Context, tx pgx.Tx, slots []*jobSlot) error {
	ends, err := supplant(ctx, tx, slots, &d.followed)
	if err != nil {
		return err
	}
	if err := writeSlots(ctx, tx, slots); err != nil {
		return err
	}
	followed, err := FinishAs(ctx, tx, append(d.end, ends...))
	for _, e := range ends {
		d.followed.Ended = append(d.followed.Ended, e.ID)
	}
	d.followed = join(d.followed, followed)
	return err
}

// join returns what both lead to.
func join(a, b ports.Followed) ports.Followed {
	return ports.Followed{
		Announce:  append(a.Announce, b.Announce...),
		Plan:      append(a.Plan, b.Plan...),
		Ended:     append(a.Ended, b.Ended...),
		Cancel:    append(a.Cancel, b.Cancel...),
		Backfills: append(a.Backfills, b.Backfills...),
		Admit:     a.Admit || b.Admit,
	}
}

// lockCandidates locks and reads the open rows among ids. Those that wait for
// their turn are left out: a hand-over may hold them while it waits for a slot
// that this transaction holds.
func lockCandidates(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID) ([]candidate, error) {
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, lockCandidatesSQL, pg.UUIDs(ids), low, high)
	list, err := pgx.CollectRows(rows, scanCandidate)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if err := findSlots(ctx, tx, list); err != nil {
		return nil, err
	}
	jobs, err := ReadJobs(ctx, tx, pg.JobsOf(ids))
	if err != nil {
		return nil, err
	}
	rows, _ = tx.Query(ctx, limitedAppsSQL)
	limited, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var late []*candidate
	for i := range list {
		c := &list[i]
		c.job = jobs[c.id.Job()]
		c.limited = slices.Contains(limited, c.job.App)
		if c.late() {
			late = append(late, c)
		}
	}
	if err := findNewer(ctx, tx, late); err != nil {
		return nil, err
	}
	return list, findSurplus(ctx, tx, late)
}

const (
	lockCandidatesSQL = `SELECT id, job_version, attempt, token > 0, cancel, due_at, now() FROM executions
		WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid AND state = 'planned' AND NOT waiting
		ORDER BY id FOR UPDATE`
	heldSlotsSQL = `SELECT execution_id, true FROM app_slots WHERE execution_id = ANY($1::uuid[])
		UNION ALL SELECT unnest(holders), false FROM job_slots WHERE job_id = ANY($2::int[])`
	limitedAppsSQL = `SELECT name FROM apps WHERE limited`
)

func scanCandidate(row pgx.CollectableRow) (candidate, error) {
	var c candidate
	err := row.Scan((*[16]byte)(&c.id), &c.version, &c.attempt, &c.givenBack, &c.cancel, &c.dueAt, &c.now)
	return c, err
}

// findSlots tells each of the candidates which places it holds. It asks once
// they are locked: a statement that waits for a lock sees the row as it became,
// but every other table as it was before.
func findSlots(ctx context.Context, tx pgx.Tx, list []candidate) error {
	at := make(map[firjob.ExecutionID]*candidate, len(list))
	ids := make([]firjob.ExecutionID, len(list))
	for i := range list {
		ids[i] = list[i].id
		at[list[i].id] = &list[i]
	}
	rows, _ := tx.Query(ctx, heldSlotsSQL, pg.UUIDs(ids), pg.Numbers(pg.JobsOf(ids)))
	var id firjob.ExecutionID
	var ofApp bool
	_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &ofApp}, func() error {
		switch c := at[id]; {
		case c == nil: // another holder of the job
		case ofApp:
			c.holdsApp = true
		default:
			c.holdsJob = true
		}
		return nil
	})
	return err
}

// ReadJobs returns the named jobs, deleted ones included.
func ReadJobs(ctx context.Context, q pg.Querier, ids []firjob.JobID) (map[firjob.JobID]scan.JobRow, error) {
	rows, _ := q.Query(ctx, readJobsSQL, pg.Numbers(ids))
	list, err := pgx.CollectRows(rows, scan.Job)
	jobs := make(map[firjob.JobID]scan.JobRow, len(list))
	for _, j := range list {
		jobs[j.ID] = j
	}
	return jobs, err
}

const readJobsSQL = `SELECT ` + scan.JobColumns + ` FROM jobs WHERE id = ANY($1::int[])`

// findNewer tells those of the candidates whose job has the policy fire_once which
// later fire of the job is due, if one is.
func findNewer(ctx context.Context, tx pgx.Tx, late []*candidate) error {
	first := map[firjob.JobID]firjob.ExecutionID{} // of each job's candidates
	for _, c := range late {
		if c.job.Misfire.Policy != firjob.MisfireFireOnce {
			continue
		}
		if id, ok := first[c.id.Job()]; !ok || pg.CompareIDs(c.id, id) < 0 {
			first[c.id.Job()] = c.id
		}
	}
	if len(first) == 0 {
		return nil
	}
	jobs := slices.Sorted(maps.Keys(first))
	after := make([]firjob.ExecutionID, len(jobs))
	for i, job := range jobs {
		after[i] = first[job]
	}
	rows, _ := tx.Query(ctx, newestDueSQL, pg.Numbers(jobs), pg.UUIDs(after))
	newest, err := pgx.CollectRows(rows, ScanID)
	if err != nil {
		return err
	}
	latest := make(map[firjob.JobID]firjob.ExecutionID, len(newest))
	for _, id := range newest {
		latest[id.Job()] = id
	}
	for _, c := range late {
		if id := latest[c.id.Job()]; pg.CompareIDs(id, c.id) > 0 {
			c.newer = id
		}
	}
	return nil
}

// Of each job the latest fire that is due and was not left out: it is planned, or
// runs, or ran. No more than the 256 latest executions of a job are looked at.
const newestDueSQL = `SELECT newest FROM (
		SELECT (SELECT id FROM (
				SELECT id, state FROM executions
				WHERE job_id = v.job AND job_id > 0 AND id > v.id AND id < ` + FirstIDNow + `
				ORDER BY id DESC LIMIT 256) AS r
			WHERE state NOT IN ('superseded', 'missed', 'cancelled', 'skipped') AND ` + isScheduled + `
			ORDER BY id DESC LIMIT 1) AS newest
		FROM unnest($1::int[], $2::uuid[]) AS v(job, id)) AS found
	WHERE newest IS NOT NULL`

// queueUp makes executions wait for their turn.
func queueUp(ctx context.Context, tx pgx.Tx, list []Ending) error {
	if len(list) == 0 {
		return nil
	}
	ids, reasons := make([]firjob.ExecutionID, len(list)), make([]string, len(list))
	for i, w := range list {
		ids[i], reasons[i] = w.ID, w.Reason
	}
	low, high := pg.Bounds(ids)
	_, err := tx.Exec(ctx, queueUpSQL, pg.UUIDs(ids), low, high, reasons)
	return err
}

const queueUpSQL = `UPDATE executions AS e SET waiting = true, follow = true, reason = w.reason
	FROM unnest($1::uuid[], $4::text[]) AS w(id, reason)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = w.id`

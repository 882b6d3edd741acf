package storage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// deadlineSlack is how long after a job's timeout the server waits for the
// executor's word before it decides itself.
const deadlineSlack = 5 * time.Second

// Claim makes the executions named by ids running for this replica, where the
// rules allow it. Nearly always one statement does it all; what that leaves over
// is locked, read and decided one by one, in the same transaction.
func (db *DB) Claim(ctx context.Context, ids []firjob.ExecutionID, by firjob.ClaimBy) (result firjob.ClaimResult, err error) {
	if len(ids) == 0 {
		return result, nil
	}
	err = db.inTx(ctx, db.hot, "claim executions", func(ctx context.Context, tx pgx.Tx) error {
		claimed, err := claimRows(ctx, tx, ids, by, false)
		result = firjob.ClaimResult{Claimed: claimed}
		if err != nil || len(claimed) == len(ids) {
			return err
		}
		return claimRest(ctx, tx, without(ids, claimed), by, &result)
	})
	return result, err
}

// claimRows claims what the plain rules allow or, when decided is true, every
// row: then the caller holds their locks and has applied the rules.
func claimRows(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID, by firjob.ClaimBy, decided bool) ([]firjob.Claimed, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	low, high := bounds(ids)
	rows, _ := tx.Query(ctx, claimSQL, uuids(ids), low, high, numbers(jobsOf(ids)), by.Replica, by.Call, by.Lease, deadlineSlack, decided)
	return pgx.CollectRows(rows, scanClaimed)
}

// The rules, in order: nothing of it was claimed or ended; it is due, give or
// take the lead; nobody asked to cancel it; no overlap rule needs a slot; the
// job lives; and a fire that was never tried is one of this version of an enabled
// job and not too late. One that was given back for want of an executor, which
// its token shows, has had its due_at put off: the slow path knows how late it is.
//
// "coalesce" keeps the partial index of live jobs, which is useless here, out
// of the planner's mind.
const claimSQL = `UPDATE executions AS e SET
		state = 'running',
		attempt = e.attempt + 1,
		token = greatest(nextval('fence'), e.token + 1),
		follow = e.follow OR j.kind = 'delay' OR j.overlap <> 'allow',
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
			AND j.overlap = 'allow'
			AND coalesce(j.deleted_at, 'infinity') = 'infinity'
			AND (e.attempt > 0 OR e.job_version = 0 OR (
				j.enabled AND j.fires_since <= e.job_version
				AND (j.misfire = 'fire_all' OR (
					e.token = 0 AND now() <= e.due_at + j.grace_ms * interval '1 millisecond'))))))
	RETURNING e.id, e.attempt, e.token, e.due_at, coalesce(e.params, j.params),
		j.app, j.name, j.handler, j.route, j.delivery, j.timeout_ms`

func scanClaimed(row pgx.CollectableRow) (firjob.Claimed, error) {
	var c firjob.Claimed
	var params []byte
	var timeoutMS int64
	t := &c.Trigger
	err := row.Scan((*[16]byte)(&t.ID), &t.Attempt, &t.Token, &c.DueAt, &params,
		&c.App, &t.Job, &t.Handler, &c.Route, &c.Delivery, &timeoutMS)
	t.JobID, t.Kind, t.ScheduledAt = t.ID.Job(), t.ID.Kind(), t.ID.ScheduledAt()
	t.Params, t.Timeout = params, fromMillis(timeoutMS)
	return c, err
}

// without returns the ids that were not claimed, each once.
func without(ids []firjob.ExecutionID, claimed []firjob.Claimed) []firjob.ExecutionID {
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
func claimRest(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID, by firjob.ClaimBy, result *firjob.ClaimResult) error {
	candidates, err := lockCandidates(ctx, tx, ids)
	if err != nil {
		return err
	}
	d := decideClaims(ids, candidates)
	if err := takeSlots(ctx, tx, d); err != nil {
		return err
	}
	claimed, err := claimRows(ctx, tx, d.claim, by, true)
	if err != nil {
		return err
	}
	if err := queueUp(ctx, tx, d.wait); err != nil {
		return err
	}
	if result.Followed, err = finishAs(ctx, tx, d.end); err != nil {
		return err
	}
	result.Claimed = append(result.Claimed, claimed...)
	result.Early = append(result.Early, d.early...)
	result.Dropped = append(result.Dropped, d.dropped...)
	return nil
}

// lockCandidates locks and reads the open rows among ids. Those that wait for
// their turn are left out: a hand-over may hold them while it waits for a slot
// that this transaction holds.
func lockCandidates(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID) ([]candidate, error) {
	low, high := bounds(ids)
	rows, _ := tx.Query(ctx, lockCandidatesSQL, uuids(ids), low, high)
	list, err := pgx.CollectRows(rows, scanCandidate)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	jobs, err := readJobs(ctx, tx, jobsOf(ids))
	if err != nil {
		return nil, err
	}
	var late []*candidate
	for i := range list {
		list[i].job = jobs[list[i].id.Job()]
		if list[i].late() {
			late = append(late, &list[i])
		}
	}
	return list, findNewer(ctx, tx, late)
}

const lockCandidatesSQL = `SELECT id, job_version, attempt, cancel, due_at, now(),
		EXISTS (SELECT FROM overlap_slots AS s WHERE s.job_id = e.job_id AND s.execution_id = e.id)
	FROM executions AS e
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid AND state = 'planned' AND NOT waiting
	ORDER BY id FOR UPDATE`

func scanCandidate(row pgx.CollectableRow) (candidate, error) {
	var c candidate
	err := row.Scan((*[16]byte)(&c.id), &c.version, &c.attempt, &c.cancel, &c.dueAt, &c.now, &c.letIn)
	return c, err
}

// readJobs returns the named jobs, deleted ones included.
func readJobs(ctx context.Context, tx pgx.Tx, ids []firjob.JobID) (map[firjob.JobID]jobRow, error) {
	rows, _ := tx.Query(ctx, readJobsSQL, numbers(ids))
	list, err := pgx.CollectRows(rows, scanJob)
	jobs := make(map[firjob.JobID]jobRow, len(list))
	for _, j := range list {
		jobs[j.ID] = j
	}
	return jobs, err
}

const readJobsSQL = `SELECT ` + jobColumns + ` FROM jobs WHERE id = ANY($1::int[])`

// findNewer tells each of the candidates which later fire of its job is due, if
// one is.
func findNewer(ctx context.Context, tx pgx.Tx, late []*candidate) error {
	if len(late) == 0 {
		return nil
	}
	first := map[firjob.JobID]firjob.ExecutionID{} // of each job's candidates
	for _, c := range late {
		if id, ok := first[c.id.Job()]; !ok || compareIDs(c.id, id) < 0 {
			first[c.id.Job()] = c.id
		}
	}
	jobs := slices.Sorted(maps.Keys(first))
	after := make([]firjob.ExecutionID, len(jobs))
	for i, job := range jobs {
		after[i] = first[job]
	}
	rows, _ := tx.Query(ctx, newestDueSQL, numbers(jobs), uuids(after))
	newest, err := pgx.CollectRows(rows, scanID)
	if err != nil {
		return err
	}
	latest := make(map[firjob.JobID]firjob.ExecutionID, len(newest))
	for _, id := range newest {
		latest[id.Job()] = id
	}
	for _, c := range late {
		if id := latest[c.id.Job()]; compareIDs(id, c.id) > 0 {
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
				WHERE job_id = v.job AND job_id > 0 AND id > v.id AND id < ` + firstIDNow + `
				ORDER BY id DESC LIMIT 256) AS r
			WHERE state NOT IN ('superseded', 'missed', 'cancelled', 'skipped') AND ` + isScheduled + `
			ORDER BY id DESC LIMIT 1) AS newest
		FROM unnest($1::int[], $2::uuid[]) AS v(job, id)) AS found
	WHERE newest IS NOT NULL`

// queueUp makes executions wait for their turn.
func queueUp(ctx context.Context, tx pgx.Tx, list []ending) error {
	if len(list) == 0 {
		return nil
	}
	ids, reasons := make([]firjob.ExecutionID, len(list)), make([]string, len(list))
	for i, w := range list {
		ids[i], reasons[i] = w.id, w.reason
	}
	low, high := bounds(ids)
	_, err := tx.Exec(ctx, queueUpSQL, uuids(ids), low, high, reasons)
	return err
}

const queueUpSQL = `UPDATE executions AS e SET waiting = true, follow = true, reason = w.reason
	FROM unnest($1::uuid[], $4::text[]) AS w(id, reason)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = w.id`

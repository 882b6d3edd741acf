package flow

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// The sweeps look for open executions in the order of their ids through the
// index executions_open, which leaves the overlap queues out. An open execution
// that is due or running was scheduled before now, so the search ends at the
// present instant and never sees what is planned for later.

// DuePlanned returns up to limit planned executions that are due before
// now+lead and do not wait for their turn, earliest id first. It is the delay
// queue of the degraded mode.
func (db *Flow) DuePlanned(ctx context.Context, lead time.Duration, limit int) ([]firjob.Due, error) {
	return db.planned(ctx, "look for due executions", firjob.ExecutionID{}, lead, limit)
}

// Overdue returns up to limit executions that are planned, not waiting for
// their turn, and due since longer than slack.
func (db *Flow) Overdue(ctx context.Context, slack time.Duration, limit int) ([]firjob.Due, error) {
	return db.planned(ctx, "look for overdue executions", firjob.ExecutionID{}, -slack, limit)
}

// Upcoming returns up to limit planned executions with an id above after that
// are due before now+horizon and do not wait for their turn, in the order of
// their ids.
func (db *Flow) Upcoming(ctx context.Context, horizon time.Duration, after firjob.ExecutionID,
	limit int) ([]firjob.Due, error) {
	return db.planned(ctx, "look for upcoming executions", after, horizon, limit)
}

func (db *Flow) planned(ctx context.Context, verb string, after firjob.ExecutionID, lead time.Duration,
	limit int) ([]firjob.Due, error) {
	rows, _ := db.Hot.Query(ctx, plannedSQL, [16]byte(after), lead, limit)
	due, err := pgx.CollectRows(rows, ScanDue)
	return due, pg.Classify(verb, err)
}

const plannedSQL = `SELECT id, due_at FROM executions
	WHERE finished_at IS NULL AND NOT waiting AND id > $1::uuid AND id < ` + firstIDAfter2 + `
		AND state = 'planned' AND due_at < now() + $2::interval
	ORDER BY id LIMIT $3`

// firstIDAfter2 is firjob.FirstIDAt of now + $2, rounded up.
const firstIDAfter2 = `rpad(lpad(to_hex(ceil(extract(epoch FROM now() + $2::interval) * 1000)::bigint), 12, '0'), 32,
	'0')::uuid`

// Lose ends attempts without an answer; those that are not current any more,
// and those that are bound to their lease, are left alone.
func (db *Flow) Lose(ctx context.Context, attempts []firjob.AttemptRef, reason string) (ports.Followed, error) {
	if len(attempts) == 0 {
		return ports.Followed{}, nil
	}
	ids, tokens := splitRefs(attempts)
	low, high := pg.Bounds(ids)
	current := make(map[firjob.AttemptRef]bool, len(attempts))
	for i := range ids {
		current[firjob.AttemptRef{ID: ids[i], Token: tokens[i]}] = true
	}
	return db.endAttempts(ctx, "give attempts up", func(a *attemptRow, random float64) {
		if current[firjob.AttemptRef{ID: a.id, Token: a.token}] && a.state == firjob.StateRunning && !a.bound() {
			a.lose(pg.Clean(reason), random)
		}
	}, lockAttemptsSQL, pg.UUIDs(ids), low, high)
}

// LoseExecutor ends the running attempts that a beat has shown to be on an
// executor that is gone, but for those that are bound to their lease.
func (db *Flow) LoseExecutor(ctx context.Context, executor firjob.ExecutorKey, reason string) (ports.Followed, error) {
	return db.endAttempts(ctx, "give an executor up", func(a *attemptRow, random float64) {
		if a.job.App == executor.App && !a.bound() {
			a.lose(pg.Clean(reason), random)
		}
	}, onExecutorSQL, executor.Address, executor.Incarnation)
}

const onExecutorSQL = `SELECT ` + attemptColumns + ` FROM executions
	WHERE finished_at IS NULL AND NOT waiting AND id < ` + FirstIDSoon + ` AND state = 'running' AND executor = $1
	AND incarnation = $2
	ORDER BY id FOR UPDATE SKIP LOCKED`

// LoseReplica ends the attempts that a server that is gone had claimed and
// that no executor has ever named in a beat, and the HTTP calls that it made.
// Claims made at before or later are left alone: the server came back to make them.
func (db *Flow) LoseReplica(ctx context.Context, replica string, before time.Time,
	reason string) (ports.Followed, error) {
	return db.endAttempts(ctx, "give up the claims of a server", func(a *attemptRow, random float64) {
		a.lose(pg.Clean(reason), random)
	}, byReplicaSQL, replica, before)
}

const byReplicaSQL = `SELECT ` + attemptColumns + ` FROM executions
	WHERE ` + leftByReplica + ` ORDER BY id FOR UPDATE SKIP LOCKED`

const leftByReplica = `finished_at IS NULL AND NOT waiting AND id < ` + FirstIDSoon +
	` AND state = 'running' AND claimed_by = $1
		AND (executor IS NULL OR (executor = 'server' AND incarnation = $1))
		AND claimed_at < $2`

// InQuestion tells how many attempts LoseReplica would end, and the apps of those
// that an executor may have. It changes nothing and waits for no lock.
func (db *Flow) InQuestion(ctx context.Context, replica string, before time.Time) (n int, apps []string, err error) {
	rows, _ := db.Hot.Query(ctx, inQuestionSQL, replica, before)
	var job firjob.JobID
	var attempts int
	var unnamed bool
	var jobs []firjob.JobID
	_, err = pgx.ForEachRow(rows, []any{&job, &attempts, &unnamed}, func() error {
		n += attempts
		if unnamed {
			jobs = append(jobs, job)
		}
		return nil
	})
	if err == nil && len(jobs) > 0 {
		rows, _ = db.Hot.Query(ctx, appsInQuestionSQL, pg.Numbers(jobs))
		apps, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	return n, apps, pg.Classify("look for what a server left", err)
}

const (
	inQuestionSQL = `SELECT job_id, count(*), bool_or(executor IS NULL) FROM executions
	WHERE ` + leftByReplica + ` GROUP BY job_id`
	appsInQuestionSQL = `SELECT DISTINCT app FROM jobs WHERE id = ANY($1::int[]) ORDER BY app`
)

// ExpireLeases ends up to limit attempts whose lease, or whose deadline, has
// passed. A passed deadline is an answer, timed_out; a passed lease is none.
func (db *Flow) ExpireLeases(ctx context.Context, limit int) (ports.Followed, error) {
	return db.endAttempts(ctx, "expire leases", func(a *attemptRow, random float64) {
		if a.overtime() {
			a.timeOut(random)
		} else {
			a.lose("the lease ended at "+a.leaseUntil.Format(time.RFC3339Nano)+" without a word from the executor",
				random)
		}
	}, expiredSQL, limit)
}

const expiredSQL = `SELECT ` + attemptColumns + ` FROM executions
	WHERE finished_at IS NULL AND NOT waiting AND id < ` + FirstIDSoon + ` AND state = 'running'
		AND (lease_until < now() OR deadline_at < now())
	ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`

// FirstIDSoon is firjob.FirstIDAt of a moment after which nothing can have
// been claimed: claims lead the clock by a second.
const FirstIDSoon = `rpad(lpad(to_hex(ceil(extract(epoch FROM now()) * 1000)::bigint + 2000), 12, '0'), 32, '0')::uuid`

// endAttempts locks the rows of a query of attemptColumns, lets judge change
// them and writes what it changed. Rows that another transaction holds are about
// to change anyway.
func (db *Flow) endAttempts(ctx context.Context, verb string, judge func(a *attemptRow, random float64), query string,
	args ...any) (followed ports.Followed, err error) {
	err = db.InTx(ctx, db.Hot, verb, func(ctx context.Context, tx pgx.Tx) error {
		result, _ := tx.Query(ctx, query, args...)
		rows, err := readAttempts(ctx, tx, result)
		if err != nil {
			return err
		}
		var lost, timedOut int
		for i := range rows {
			before := rows[i].lost
			judge(&rows[i], rand.Float64())
			switch {
			case rows[i].lost > before:
				lost++
			case rows[i].changed:
				timedOut++
			}
		}
		s, err := writeAttempts(ctx, tx, rows)
		if err != nil {
			return err
		}
		followed, err = followEnds(ctx, tx, s.final, s.again)
		followed.Lost, followed.TimedOut = lost, timedOut
		return err
	})
	return followed, err
}

func splitRefs(refs []firjob.AttemptRef) (ids []firjob.ExecutionID, tokens []int64) {
	for _, r := range refs {
		ids, tokens = append(ids, r.ID), append(tokens, r.Token)
	}
	return ids, tokens
}

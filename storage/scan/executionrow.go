package scan

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// ExecutionColumns are the columns that scanExecution reads, in its order, of
// executions e and jobs j.
const ExecutionColumns = columnsToParams + `coalesce(e.params, j.params)` + columnsToResult + `e.result` + columnsToEnd

// shardColumns leave out what may be large: a broadcast may have thousands of
// shards, and a mebibyte of result each.
const shardColumns = columnsToParams + `NULL::json` + columnsToResult + `NULL::json` + columnsToEnd

const (
	columnsToParams = `e.id, e.job_version, j.app, j.name, j.handler, e.due_at, e.state::text, coalesce(e.reason, ''),
	e.attempt, e.token, coalesce(e.executor, ''), `
	columnsToResult = `, e.started_at, e.finished_at, `
	columnsToEnd    = `, e.attempts, e.origin, e.missed_until, coalesce(e.missed_count, 0), e.waiting, e.parent, e.root,
	coalesce(e.shard_total, 0), coalesce(e.target, ''), ` + ProgressColumns
)

func Execution(row pgx.CollectableRow) (firjob.Execution, error) {
	var e firjob.Execution
	var params, result, attempts []byte
	var origin, parent, root *[16]byte
	var missedUntil *time.Time
	var missedCount, shards int
	var target string
	var p ProgressRow
	err := row.Scan((*[16]byte)(&e.ID), &e.JobVersion, &e.App, &e.Job, &e.Handler, &e.DueAt, &e.State, &e.Reason,
		&e.Attempt, &e.Token, &e.Executor, &params, &e.StartedAt, &e.FinishedAt, &result,
		&attempts, &origin, &missedUntil, &missedCount, &e.Waiting, &parent, &root, &shards, &target, &p.Percent,
		&p.Note, &p.At)
	if err != nil {
		return e, err
	}
	e.JobID, e.Kind, e.ScheduledAt = e.ID.Job(), e.ID.Kind(), e.ID.ScheduledAt()
	e.Params, e.Result, e.RetryOf = params, result, (*firjob.ExecutionID)(origin)
	e.Parent, e.Root, e.Progress = (*firjob.ExecutionID)(parent), (*firjob.ExecutionID)(root), p.Progress()
	if e.ID.Ordinal() > 0 {
		e.Shard = &firjob.ShardOf{Index: e.ID.Ordinal() - 1, Total: shards, Target: target}
	}
	if missedUntil != nil {
		e.Missed = &firjob.MissedRange{Until: *missedUntil, Count: missedCount}
	}
	if e.Attempts, err = ReadAttemptsJSON(attempts); err != nil {
		return e, err
	}
	addLatestAttempt(&e)
	e.LatenessMS = lateness(e)
	return e, nil
}

// addLatestAttempt lists the attempt that stands in the row itself: the one
// that runs, or the last of those that ended.
func addLatestAttempt(e *firjob.Execution) {
	if e.Attempt == 0 || e.State == firjob.StatePlanned || len(e.Attempts) > 0 &&
		e.Attempts[len(e.Attempts)-1].Token == e.Token {
		return
	}
	latest := firjob.Attempt{Attempt: e.Attempt, Token: e.Token, Executor: e.Executor,
		StartedAt: e.StartedAt, FinishedAt: e.FinishedAt}
	if e.State.Final() {
		latest.Outcome, latest.Reason = firjob.Outcome(e.State), e.Reason
	}
	e.Attempts = append(e.Attempts, latest)
}

// lateness is the first known start of a handler after the scheduled time, in
// milliseconds; nil if none is known, and of a backfill, whose times are past by
// their nature.
func lateness(e firjob.Execution) *float64 {
	if e.Kind == firjob.KindBackfill {
		return nil
	}
	for _, a := range e.Attempts {
		if a.StartedAt != nil {
			ms := max(0, float64(a.StartedAt.Sub(e.ScheduledAt))/float64(time.Millisecond))
			return &ms
		}
	}
	return nil
}

// AddDetails reads what lists of executions leave out, because it may be large.
func AddDetails(ctx context.Context, q pg.Querier, e *firjob.Execution) error {
	rows, _ := q.Query(ctx, inputsSQL, [16]byte(e.ID))
	inputs, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	e.Inputs = inputs
	if err != nil || e.Shard != nil {
		return err
	}
	low, high := ShardsBetween(e.ID)
	rows, _ = q.Query(ctx, shardsSQL, low, high, [16]byte(e.ID))
	e.Shards, err = pgx.CollectRows(rows, Execution)
	return err
}

const (
	inputsSQL = `SELECT inputs FROM executions WHERE id = $1`
	shardsSQL = `SELECT ` + shardColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
		WHERE e.id BETWEEN $1::uuid AND $2::uuid AND e.parent = $3 ORDER BY e.id`
)

// FindExecution also tells whether the execution is recorded as such, and does
// not wait as a later trigger.
func FindExecution(ctx context.Context, q pg.Querier,
	id firjob.ExecutionID) (e firjob.Execution, recorded bool, err error) {
	rows, _ := q.Query(ctx, executionSQL, [16]byte(id))
	if e, err = pgx.CollectExactlyOneRow(rows, Execution); err == nil {
		return e, true, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return e, false, err
	}
	rows, _ = q.Query(ctx, laterSQL, [16]byte(id))
	e, err = pgx.CollectExactlyOneRow(rows, Later)
	if errors.Is(err, pgx.ErrNoRows) {
		err = firjob.Errorf(firjob.CodeNotFound, "there is no execution %s", id)
	}
	return e, false, err
}

const (
	executionSQL = `SELECT ` + ExecutionColumns +
		` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id WHERE e.id = $1`
	laterSQL = `SELECT ` + LaterColumns + ` FROM later_triggers AS l JOIN jobs AS j ON j.id = l.job_id WHERE l.id = $1`
)

// LaterColumns are the columns that scanLater reads, in its order, of
// later_triggers l and jobs j.
const LaterColumns = `l.id, j.app, j.name, j.handler, l.fire_at, coalesce(l.params, j.params), l.cancelled_at`

func Later(row pgx.CollectableRow) (firjob.Execution, error) {
	e := firjob.Execution{State: firjob.StatePlanned}
	var params []byte
	err := row.Scan((*[16]byte)(&e.ID), &e.App, &e.Job, &e.Handler, &e.DueAt, &params, &e.FinishedAt)
	e.JobID, e.Kind, e.ScheduledAt, e.Params = e.ID.Job(), e.ID.Kind(), e.ID.ScheduledAt(), json.RawMessage(params)
	if e.FinishedAt != nil {
		e.State, e.Reason = firjob.StateCancelled, "cancelled on request"
	}
	return e, err
}

// ProgressColumns are the columns of executions e of which progressRow is made.
// What an earlier attempt has said is not this one's progress; a claim does not
// write these columns only to clear them.
const ProgressColumns = `coalesce(e.percent, 0), coalesce(e.note, ''),
	CASE WHEN e.progressed_at >= e.claimed_at THEN e.progressed_at END`

type ProgressRow struct {
	Percent int
	Note    string
	At      *time.Time
}

// Progress returns what the present attempt has said; nil if nothing.
func (p ProgressRow) Progress() *firjob.Progress {
	if p.At == nil {
		return nil
	}
	return &firjob.Progress{Percent: p.Percent, Note: p.Note, At: *p.At}
}

// ShardsBetween returns the least and the greatest id that a shard of the
// broadcast can have. Shards of other broadcasts of the same millisecond may lie
// between.
func ShardsBetween(id firjob.ExecutionID) (low, high [16]byte) {
	return id.Shard(0), id.Shard(firjob.MaxShards - 1)
}

func ReadAttemptsJSON(data []byte) ([]firjob.Attempt, error) {
	if data == nil {
		return nil, nil
	}
	var list []firjob.Attempt
	err := json.Unmarshal(data, &list)
	return list, err
}

package storage

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// executionColumns are the columns that scanExecution reads, in its order, of
// executions e and jobs j.
const executionColumns = columnsToParams + `coalesce(e.params, j.params)` + columnsToResult + `e.result` + columnsToEnd

// shardColumns leave out what may be large: a broadcast may have thousands of
// shards, and a mebibyte of result each.
const shardColumns = columnsToParams + `NULL::json` + columnsToResult + `NULL::json` + columnsToEnd

const (
	columnsToParams = `e.id, e.job_version, j.app, j.name, j.handler, e.due_at, e.state::text, coalesce(e.reason, ''),
	e.attempt, e.token, coalesce(e.executor, ''), `
	columnsToResult = `, e.started_at, e.finished_at, `
	columnsToEnd    = `, e.attempts, e.origin, e.missed_until, coalesce(e.missed_count, 0), e.waiting, e.parent, e.root,
	coalesce(e.shard_total, 0), coalesce(e.target, ''), ` + progressColumns
)

func scanExecution(row pgx.CollectableRow) (firjob.Execution, error) {
	var e firjob.Execution
	var params, result, attempts []byte
	var origin, parent, root *[16]byte
	var missedUntil *time.Time
	var missedCount, shards int
	var target string
	var p progressRow
	err := row.Scan((*[16]byte)(&e.ID), &e.JobVersion, &e.App, &e.Job, &e.Handler, &e.DueAt, &e.State, &e.Reason,
		&e.Attempt, &e.Token, &e.Executor, &params, &e.StartedAt, &e.FinishedAt, &result,
		&attempts, &origin, &missedUntil, &missedCount, &e.Waiting, &parent, &root, &shards, &target, &p.percent,
		&p.note, &p.at)
	if err != nil {
		return e, err
	}
	e.JobID, e.Kind, e.ScheduledAt = e.ID.Job(), e.ID.Kind(), e.ID.ScheduledAt()
	e.Params, e.Result, e.RetryOf = params, result, (*firjob.ExecutionID)(origin)
	e.Parent, e.Root, e.Progress = (*firjob.ExecutionID)(parent), (*firjob.ExecutionID)(root), p.progress()
	if e.ID.Ordinal() > 0 {
		e.Shard = &firjob.ShardOf{Index: e.ID.Ordinal() - 1, Total: shards, Target: target}
	}
	if missedUntil != nil {
		e.Missed = &firjob.MissedRange{Until: *missedUntil, Count: missedCount}
	}
	if e.Attempts, err = readAttemptsJSON(attempts); err != nil {
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

// Execution returns an execution, one that is still to be planned included.
// Its inputs and, of a broadcast, its shards, without params and results, are
// given, too. CodeNotFound if there is none.
func (db *DB) Execution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error) {
	e, recorded, err := findExecution(ctx, db.api, id)
	if err == nil && recorded {
		err = addDetails(ctx, db.api, &e)
	}
	return e, classify("read the execution", err)
}

// addDetails reads what lists of executions leave out, because it may be large.
func addDetails(ctx context.Context, q querier, e *firjob.Execution) error {
	rows, _ := q.Query(ctx, inputsSQL, [16]byte(e.ID))
	inputs, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	e.Inputs = inputs
	if err != nil || e.Shard != nil {
		return err
	}
	low, high := shardsBetween(e.ID)
	rows, _ = q.Query(ctx, shardsSQL, low, high, [16]byte(e.ID))
	e.Shards, err = pgx.CollectRows(rows, scanExecution)
	return err
}

const (
	inputsSQL = `SELECT inputs FROM executions WHERE id = $1`
	shardsSQL = `SELECT ` + shardColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
		WHERE e.id BETWEEN $1::uuid AND $2::uuid AND e.parent = $3 ORDER BY e.id`
)

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// findExecution also tells whether the execution is recorded as such, and does
// not wait as a later trigger.
func findExecution(ctx context.Context, q querier,
	id firjob.ExecutionID) (e firjob.Execution, recorded bool, err error) {
	rows, _ := q.Query(ctx, executionSQL, [16]byte(id))
	if e, err = pgx.CollectExactlyOneRow(rows, scanExecution); err == nil {
		return e, true, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return e, false, err
	}
	rows, _ = q.Query(ctx, laterSQL, [16]byte(id))
	e, err = pgx.CollectExactlyOneRow(rows, scanLater)
	if errors.Is(err, pgx.ErrNoRows) {
		err = firjob.Errorf(firjob.CodeNotFound, "there is no execution %s", id)
	}
	return e, false, err
}

const (
	executionSQL = `SELECT ` + executionColumns +
		` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id WHERE e.id = $1`
	laterSQL = `SELECT ` + laterColumns + ` FROM later_triggers AS l JOIN jobs AS j ON j.id = l.job_id WHERE l.id = $1`
)

// laterColumns are the columns that scanLater reads, in its order, of
// later_triggers l and jobs j.
const laterColumns = `l.id, j.app, j.name, j.handler, l.fire_at, coalesce(l.params, j.params), l.cancelled_at`

func scanLater(row pgx.CollectableRow) (firjob.Execution, error) {
	e := firjob.Execution{State: firjob.StatePlanned}
	var params []byte
	err := row.Scan((*[16]byte)(&e.ID), &e.App, &e.Job, &e.Handler, &e.DueAt, &params, &e.FinishedAt)
	e.JobID, e.Kind, e.ScheduledAt, e.Params = e.ID.Job(), e.ID.Kind(), e.ID.ScheduledAt(), json.RawMessage(params)
	if e.FinishedAt != nil {
		e.State, e.Reason = firjob.StateCancelled, "cancelled on request"
	}
	return e, err
}

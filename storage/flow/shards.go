package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// endShards counts shards that ended and ends the broadcasts whose last one
// did, which it returns. A shard that somebody has run again by itself is of no
// broadcast.
func endShards(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) ([]ended, error) {
	t := tallyShards(list)
	if len(t.ids) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, lockBroadcastsSQL, pg.UUIDs(t.ids)); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, countShardsSQL, pg.UUIDs(t.ids), t.ended, t.failed)
	over, err := pgx.CollectRows(rows, scanTally)
	if err != nil {
		return nil, err
	}
	return endBroadcasts(ctx, tx, over, followed)
}

const (
	lockBroadcastsSQL = `SELECT FROM broadcasts WHERE execution_id = ANY($1::uuid[]) ORDER BY execution_id FOR UPDATE`
	countShardsSQL    = `UPDATE broadcasts AS b SET open = b.open - v.ended, failed = b.failed + v.failed
		FROM unnest($1::uuid[], $2::int[], $3::int[]) AS v(id, ended, failed)
		WHERE b.execution_id = ANY($1::uuid[]) AND b.execution_id = v.id
		RETURNING b.execution_id, b.total, b.open, b.failed`
)

// shardTally is how many shards of each broadcast ended now.
type shardTally struct {
	ids           []firjob.ExecutionID
	ended, failed []int32
}

func tallyShards(list []ended) (t shardTally) {
	place := map[firjob.ExecutionID]int{}
	for _, e := range list {
		if e.id.Ordinal() == 0 {
			continue
		}
		id := broadcastOf(e.id)
		i, known := place[id]
		if !known {
			i = len(t.ids)
			place[id] = i
			t.ids, t.ended, t.failed = append(t.ids, id), append(t.ended, 0), append(t.failed, 0)
		}
		t.ended[i]++
		if e.state != firjob.StateSucceeded {
			t.failed[i]++
		}
	}
	return t
}

// tally is how a broadcast stands.
type tally struct {
	id                  firjob.ExecutionID
	total, open, failed int
}

func scanTally(row pgx.CollectableRow) (tally, error) {
	var t tally
	err := row.Scan((*[16]byte)(&t.id), &t.total, &t.open, &t.failed)
	return t, err
}

// endBroadcasts ends those of which no shard is open.
func endBroadcasts(ctx context.Context, tx pgx.Tx, tallies []tally, followed *ports.Followed) ([]ended, error) {
	var over, failed []ended
	for _, t := range tallies {
		if t.open > 0 {
			continue
		}
		e, err := endBroadcast(ctx, tx, t)
		if err != nil {
			return nil, err
		}
		over = append(over, e)
		followed.Ended = append(followed.Ended, e.id)
		if e.state == firjob.StateFailed {
			failed = append(failed, e)
		}
	}
	return over, recordDeadLetters(ctx, tx, failed)
}

// endBroadcast ends a broadcast as its shards have: succeeded if each of them
// has, else cancelled if that was asked for, else failed.
func endBroadcast(ctx context.Context, tx pgx.Tx, t tally) (e ended, err error) {
	reason := ""
	if t.failed > 0 {
		if reason, err = shardFailures(ctx, tx, t); err != nil {
			return e, err
		}
	}
	result := fmt.Sprintf(`{"total":%d,"succeeded":%d,"failed":%d}`, t.total, t.total-t.failed, t.failed)
	if _, err := tx.Exec(ctx, forgetBroadcastSQL, [16]byte(t.id)); err != nil {
		return e, err
	}
	err = tx.QueryRow(ctx, endBroadcastSQL, [16]byte(t.id), t.failed, pg.Pointer(reason),
		result).Scan((*[16]byte)(&e.id),
		&e.at, &e.state)
	return e, err
}

const (
	forgetBroadcastSQL = `DELETE FROM broadcasts WHERE execution_id = $1`
	endBroadcastSQL    = `UPDATE executions SET finished_at = now(), result = $4::text::json,
			state = (CASE WHEN $2::int = 0 THEN 'succeeded' WHEN cancel THEN 'cancelled'
			ELSE 'failed' END)::execution_state,
			reason = CASE WHEN cancel AND $2::int > 0 THEN 'cancelled on request; ' ELSE '' END || $3::text
		WHERE id = $1 RETURNING id, finished_at, state::text`
)

// Bounds of what a broadcast says of the shards that failed.
const (
	namedShards    = 10  // that are named one by one
	maxShardReason = 100 // bytes of the reason of each
)

// shardFailures says in a sentence which shards did not succeed.
func shardFailures(ctx context.Context, tx pgx.Tx, t tally) (string, error) {
	low, high := scan.ShardsBetween(t.id)
	rows, _ := tx.Query(ctx, shardFailuresSQL, low, high, [16]byte(t.id), namedShards)
	named, err := pgx.CollectRows(rows, scanShardFailure)
	if rest := t.failed - len(named); rest > 0 {
		named = append(named, fmt.Sprintf("and %d more", rest))
	}
	return fmt.Sprintf("%d of %d shards did not succeed: %s", t.failed, t.total, strings.Join(named, "; ")), err
}

const shardFailuresSQL = `SELECT id, coalesce(executor, target, ''), state::text, coalesce(reason, '') FROM executions
	WHERE id BETWEEN $1::uuid AND $2::uuid AND parent = $3 AND state NOT IN ('succeeded', 'planned', 'running')
	ORDER BY id LIMIT $4`

func scanShardFailure(row pgx.CollectableRow) (string, error) {
	var id firjob.ExecutionID
	var executor, state, reason string
	err := row.Scan((*[16]byte)(&id), &executor, &state, &reason)
	if len(reason) > maxShardReason {
		reason = strings.ToValidUTF8(reason[:maxShardReason], "") + "…"
	}
	return strings.TrimSuffix(fmt.Sprintf("%d (%s) %s: %s", id.Ordinal()-1, executor, state, reason), ": "), err
}

// failedShards returns the shards of a broadcast that have not succeeded.
func failedShards(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID) ([]ports.Shard, error) {
	low, high := scan.ShardsBetween(id)
	rows, _ := tx.Query(ctx, failedShardsSQL, low, high, [16]byte(id))
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ports.Shard, error) {
		var id firjob.ExecutionID
		var s ports.Shard
		err := row.Scan((*[16]byte)(&id), &s.Address)
		s.Index = id.Ordinal() - 1
		return s, err
	})
}

const failedShardsSQL = `SELECT id, coalesce(target, '') FROM executions
	WHERE id BETWEEN $1::uuid AND $2::uuid AND parent = $3 AND state NOT IN ('succeeded', 'planned', 'running')
	ORDER BY id`

// shardRow is a shard, locked.
type shardRow struct {
	firjob.AttemptRef
	state firjob.State
}

// LockShards locks the shards of a broadcast; any other execution has none. It
// comes before the lock of the broadcast itself, as where a shard's end ends it.
func LockShards(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID) ([]shardRow, error) {
	if id.Ordinal() > 0 {
		return nil, nil
	}
	low, high := scan.ShardsBetween(id)
	rows, _ := tx.Query(ctx, lockShardsSQL, low, high, [16]byte(id))
	return pgx.CollectRows(rows, scanShardRow)
}

func scanShardRow(row pgx.CollectableRow) (shardRow, error) {
	var s shardRow
	err := row.Scan((*[16]byte)(&s.ID), &s.Token, &s.state)
	return s, err
}

const lockShardsSQL = `SELECT id, token, state::text FROM executions
	WHERE id BETWEEN $1::uuid AND $2::uuid AND parent = $3 ORDER BY id FOR UPDATE`

// AskCancel notes that a running execution is to be cancelled, and cancels the
// open ones of its shards: a planned one ends, of one that runs the executor is
// to be told. Where the caller found no shards it looks again: the lock of the
// execution, which the caller holds, may have waited for them to be made.
func AskCancel(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID,
	shards []shardRow) (followed ports.Followed, err error) {
	if len(shards) == 0 {
		if shards, err = LockShards(ctx, tx, id); err != nil {
			return followed, err
		}
	}
	ids, ends, refs := sortShards(shards, "cancelled on request, with its broadcast")
	ids = append(ids, id)
	low, high := pg.Bounds(ids)
	if _, err := tx.Exec(ctx, askCancelSQL, pg.UUIDs(ids), low, high); err != nil {
		return followed, err
	}
	if followed, err = FinishAs(ctx, tx, ends); err != nil || len(refs) == 0 {
		return followed, err
	}
	jobs, err := ReadJobs(ctx, tx, []firjob.JobID{id.Job()})
	for _, ref := range refs {
		followed.Cancel = append(followed.Cancel, ports.Cancel{App: jobs[id.Job()].App, Attempt: ref})
	}
	return followed, err
}

const askCancelSQL = `UPDATE executions SET cancel = true WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid
	AND $3::uuid`

// sortShards tells which of the shards run, how the planned ones are to end, and
// which attempts are to be told to.
func sortShards(shards []shardRow, reason string) (running []firjob.ExecutionID, ends []Ending,
	refs []firjob.AttemptRef) {
	for _, s := range shards {
		switch s.state {
		case firjob.StatePlanned:
			ends = append(ends, Ending{s.ID, firjob.StateCancelled, reason})
		case firjob.StateRunning:
			running, refs = append(running, s.ID), append(refs, s.AttemptRef)
		}
	}
	return running, ends, refs
}

// pressShards asks the shards of a broadcast that is to be replaced to end. It
// returns those that are to end now, for the caller to finish, and whether it has
// asked all: those that others have locked it leaves out.
func pressShards(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID, app, reason string,
	followed *ports.Followed) (ends []Ending, all bool, err error) {
	low, high := scan.ShardsBetween(id)
	rows, _ := tx.Query(ctx, freeShardsSQL, low, high, [16]byte(id))
	shards, err := pgx.CollectRows(rows, scanShardRow)
	if err != nil {
		return nil, false, err
	}
	var open int // counted after: one that ends meanwhile is no more to be asked
	if err := tx.QueryRow(ctx, openShardsSQL, low, high, [16]byte(id)).Scan(&open); err != nil {
		return nil, false, err
	}
	all = open <= len(shards)
	running, ends, refs := sortShards(shards, reason)
	if len(running) == 0 {
		return ends, all, nil
	}
	for _, ref := range refs {
		followed.Cancel = append(followed.Cancel, ports.Cancel{App: app, Attempt: ref})
	}
	low, high = pg.Bounds(running)
	_, err = tx.Exec(ctx, askCancelSQL, pg.UUIDs(running), low, high)
	return ends, all, err
}

const (
	isOpenShard = `id BETWEEN $1::uuid AND $2::uuid AND parent = $3 AND coalesce(finished_at, 'infinity') = 'infinity'`

	freeShardsSQL = `SELECT id, token, state::text FROM executions
		WHERE ` + isOpenShard + ` ORDER BY id FOR UPDATE SKIP LOCKED`
	openShardsSQL = `SELECT count(*) FROM executions WHERE ` + isOpenShard
)

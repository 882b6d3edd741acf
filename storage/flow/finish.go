package flow

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Finish records results, with what follows from them, in one transaction.
// Receipts are in the order of results. Successes of current attempts, nearly all
// results, take one statement. The others are locked and read, and the rules decide about
// each. A result counts only if its executor belongs to the app of the execution.
func (db *Flow) Finish(ctx context.Context, results []ports.FinishItem) (out ports.FinishResult, err error) {
	if len(results) == 0 {
		return out, nil
	}
	err = db.InTx(ctx, db.Hot, "record results", func(ctx context.Context, tx pgx.Tx) error {
		out = ports.FinishResult{Receipts: make([]firjob.Receipt, len(results))}
		done, err := db.recordSuccesses(ctx, tx, results, out.Receipts)
		if err != nil {
			return err
		}
		more, err := finishRest(ctx, tx, results, out.Receipts)
		if err != nil {
			return err
		}
		out.Followed, err = followEnds(ctx, tx, append(done, more.final...), more.again)
		return err
	})
	if err != nil {
		return out, err
	}
	failpoint.Crash(failpoint.BeforeAnswer, len(out.Followed.Ended))
	return out, nil
}

// followEnds does what follows from executions that became final, and from those that
// are planned again.
func followEnds(ctx context.Context, tx pgx.Tx, final, again []finished) (ports.Followed, error) {
	ids := make([]firjob.ExecutionID, 0, len(final))
	var follow, failed []ended
	for _, f := range final {
		ids = append(ids, f.id)
		if f.follow {
			follow = append(follow, f.ended)
		}
		switch f.state {
		case firjob.StateFailed, firjob.StateTimedOut, firjob.StateLost:
			failed = append(failed, f.ended)
		}
	}
	var due []firjob.Due
	var retried []ended
	for _, f := range again {
		due = append(due, firjob.Due{ID: f.id, At: f.at})
		if f.follow {
			retried = append(retried, f.ended)
		}
	}
	followed, err := afterFinal(ctx, tx, follow, retried...)
	if err != nil {
		return followed, err
	}
	followed.Announce = append(followed.Announce, due...)
	followed.Ended = append(followed.Ended, ids...)
	return followed, recordDeadLetters(ctx, tx, failed)
}

// finished is an execution that became final, or planned again: then "at" is
// when it is due. follow tells whether anything follows from its end.
type finished struct {
	ended
	follow bool
}

func scanFinished(row pgx.CollectableRow) (finished, error) {
	var f finished
	err := row.Scan((*[16]byte)(&f.id), &f.at, &f.state, &f.follow)
	return f, err
}

// recordSuccesses records the first success of each execution whose attempt is
// current and sets its receipt. The apps are compared here: joining the jobs read
// three more pages a row.
func (db *Flow) recordSuccesses(ctx context.Context, tx pgx.Tx, results []ports.FinishItem,
	receipts []firjob.Receipt) ([]finished, error) {
	ids := make([]firjob.ExecutionID, len(results))
	for i := range results {
		ids[i] = results[i].Result.ID
	}
	if err := db.apps.Fill(ctx, tx, pg.JobsOf(ids)); err != nil {
		return nil, err
	}
	s := gatherSuccesses(results, &db.apps)
	if len(s.ids) == 0 {
		return nil, nil
	}
	low, high := pg.Bounds(s.ids)
	rows, _ := tx.Query(ctx, succeedSQL, pg.UUIDs(s.ids), low, high,
		s.tokens, s.executors, s.incarnations, s.started, s.ended, s.bodies, clockSlack)
	done, err := pgx.CollectRows(rows, scanFinished)
	for _, f := range done {
		receipts[s.at[f.id]] = firjob.ReceiptRecorded
	}
	return done, err
}

const succeedSQL = `UPDATE executions AS e SET
		state = 'succeeded', started_at = ` + heldStart + `, finished_at = ` + heldEnd + `,
		executor = r.executor, incarnation = r.incarnation, result = r.result::json, reason = NULL
	FROM unnest($1::uuid[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[])
			AS r(id, token, executor, incarnation, started_at, finished_at, result)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
		AND e.token = r.token AND e.state = 'running'
	RETURNING e.id, e.finished_at, e.state::text, e.follow`

// successes are the columns of the hot statement's batch.
type successes struct {
	at                      map[firjob.ExecutionID]int // place among the results
	ids                     []firjob.ExecutionID
	tokens                  []int64
	executors, incarnations []string
	started, ended          pgtype.FlatArray[pgtype.Timestamptz]
	bodies                  []*string
}

func gatherSuccesses(results []ports.FinishItem, apps *scan.JobApps) *successes {
	s := &successes{at: make(map[firjob.ExecutionID]int, len(results))}
	for _, i := range byID(results) {
		item, r := results[i], results[i].Result
		if _, twice := s.at[r.ID]; twice || r.Outcome != firjob.OutcomeSucceeded ||
			!apps.Owns(item.Executor.App, r.ID.Job()) {
			continue
		}
		s.at[r.ID] = i
		s.ids = append(s.ids, r.ID)
		s.tokens = append(s.tokens, r.Token)
		s.executors = append(s.executors, pg.Clean(item.Executor.Address))
		s.incarnations = append(s.incarnations, pg.Clean(item.Executor.Incarnation))
		s.started = append(s.started, pg.Instant(r.StartedAt))
		s.ended = append(s.ended, pg.Instant(endAfter(r.StartedAt, r.FinishedAt)))
		s.bodies = append(s.bodies, pg.StorableJSON(r.Result))
	}
	return s
}

// byID returns the places of results in the order of their ids, those of one
// execution as they came: all transactions lock rows in this order.
func byID(results []ports.FinishItem) []int {
	places := make([]int, len(results))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places,
		func(a, b int) int { return pg.CompareIDs(results[a].Result.ID, results[b].Result.ID) })
	return places
}

// finishRest decides about the results that have no receipt yet, in their order.
func finishRest(ctx context.Context, tx pgx.Tx, results []ports.FinishItem,
	receipts []firjob.Receipt) (written, error) {
	var ids []firjob.ExecutionID
	for i, item := range results {
		if receipts[i] == "" {
			ids = append(ids, item.Result.ID)
		}
	}
	if len(ids) == 0 {
		return written{}, nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, lockAttemptsSQL, pg.UUIDs(ids), low, high)
	open, err := readAttempts(ctx, tx, rows)
	if err != nil {
		return written{}, err
	}
	known := make(map[firjob.ExecutionID]*attemptRow, len(open))
	for i := range open {
		known[open[i].id] = &open[i]
	}
	for i, item := range results {
		if receipts[i] == "" {
			receipts[i] = known[item.Result.ID].answer(item, rand.Float64())
		}
	}
	return writeAttempts(ctx, tx, open)
}

const lockAttemptsSQL = `SELECT ` + attemptColumns + ` FROM executions
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid
	ORDER BY id FOR UPDATE`

// readAttempts collects rows of attemptColumns and joins them with their jobs.
func readAttempts(ctx context.Context, tx pgx.Tx, rows pgx.Rows) ([]attemptRow, error) {
	list, err := pgx.CollectRows(rows, scanAttempt)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	ids := make([]firjob.ExecutionID, len(list))
	for i, a := range list {
		ids[i] = a.id
	}
	jobs, err := ReadJobs(ctx, tx, pg.JobsOf(ids))
	for i := range list {
		list[i].job = jobs[list[i].id.Job()]
	}
	return list, err
}

// written are the executions that writeAttempts has changed.
type written struct {
	final []finished
	again []finished
}

// writeAttempts writes the rows that were changed.
func writeAttempts(ctx context.Context, tx pgx.Tx, rows []attemptRow) (s written, err error) {
	w := gatherChanged(rows)
	if len(w.ids) == 0 {
		return s, nil
	}
	low, high := pg.Bounds(w.ids)
	result, _ := tx.Query(ctx, writeAttemptsSQL, pg.UUIDs(w.ids), low, high, w.states, w.reasons, w.lost, w.due,
		w.started,
		w.finished, w.executors, w.incarnations, w.bodies, w.attempts)
	list, err := pgx.CollectRows(result, scanFinished)
	for _, f := range list {
		if f.state.Final() {
			s.final = append(s.final, f)
		} else {
			s.again = append(s.again, f)
		}
	}
	return s, err
}

// An execution that waits for its turn waits no longer: the result of an attempt that
// was given up may come while the execution waits for its next attempt.
const writeAttemptsSQL = `UPDATE executions AS e SET state = r.state::execution_state, reason = r.reason, lost = r.lost,
		due_at = r.due_at, started_at = r.started_at, finished_at = r.finished_at, executor = r.executor,
		incarnation = r.incarnation, result = r.result::json, attempts = r.attempts::jsonb,
		lease_until = NULL, deadline_at = NULL, waiting = false
	FROM unnest($1::uuid[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[],
			$10::text[], $11::text[], $12::text[], $13::text[])
		AS r(id, state, reason, lost, due_at, started_at, finished_at, executor, incarnation, result, attempts)
	WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid AND e.id = r.id
	RETURNING e.id, coalesce(e.finished_at, e.due_at), e.state::text, e.follow`

// changed are the columns of rows to settle.
type changed struct {
	ids                              []firjob.ExecutionID
	states                           []string
	reasons, executors, incarnations []*string
	lost                             []int32
	due, started, finished           pgtype.FlatArray[pgtype.Timestamptz]
	bodies, attempts                 []*string
}

func gatherChanged(rows []attemptRow) *changed {
	w := &changed{}
	for _, a := range rows {
		if !a.changed {
			continue
		}
		w.ids = append(w.ids, a.id)
		w.states = append(w.states, string(a.state))
		w.reasons = append(w.reasons, pg.Pointer(a.reason))
		w.lost = append(w.lost, int32(a.lost))
		w.due = append(w.due, pg.Instant(a.dueAt))
		w.started = append(w.started, pg.Instant(a.startedAt))
		w.finished = append(w.finished, pg.Instant(a.finishedAt))
		w.executors = append(w.executors, pg.Pointer(a.executor))
		w.incarnations = append(w.incarnations, pg.Pointer(a.incarnation))
		w.bodies = append(w.bodies, pg.StorableJSON(a.result))
		w.attempts = append(w.attempts, attemptsJSON(a.attempts))
	}
	return w
}

// recordDeadLetters notes executions that failed for good. A broadcast is one dead
// letter; its shards are none.
func recordDeadLetters(ctx context.Context, tx pgx.Tx, failed []ended) error {
	var ids []firjob.ExecutionID
	var jobs []int32
	var at []time.Time
	for _, e := range failed {
		if e.id.Ordinal() == 0 {
			ids, jobs, at = append(ids, e.id), append(jobs, int32(e.id.Job())), append(at, e.at)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, recordDeadLettersSQL, pg.UUIDs(ids), jobs, at)
	return err
}

const recordDeadLettersSQL = `INSERT INTO dead_letters (execution_id, job_id, failed_at)
	SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) ON CONFLICT (execution_id) DO NOTHING`

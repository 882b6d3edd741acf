package records

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Trigger records an execution of kind manual. When due is true it is among
// the executions and planned, and is to be announced; otherwise its time is
// beyond the horizon and it waits to be planned. The same idempotency key with
// the same request returns the execution of the first call; with another
// request CodeKeyReused. Keys are forgotten after 24 hours. Triggers of several
// callers may share a transaction.
func (db *Records) Trigger(ctx context.Context, t ports.TriggerRequest) (e firjob.Execution, due bool, err error) {
	trigger := db.triggers.Do
	if t.Key != "" || ports.WriteOf(ctx).Alone() {
		trigger = func(ctx context.Context, list []ports.TriggerRequest) ([]ports.Triggered, error) {
			return db.TriggerMany(ctx, t.Job, list)
		}
	} else {
		ctx = context.WithoutCancel(ctx) // as in CreateJob: what is recorded must be announced
	}
	made, err := trigger(ctx, []ports.TriggerRequest{t})
	if err != nil {
		return e, false, err
	}
	return made[0].Execution, made[0].Due, made[0].Err
}

// TriggerMany does the same for many requests of one job, all in one
// transaction, and returns the outcome of each in their order. CodeNotFound if
// there is no such job.
func (db *Records) TriggerMany(ctx context.Context, job firjob.JobID,
	list []ports.TriggerRequest) (made []ports.Triggered, err error) {
	err = db.Write(ctx, "trigger the job", func(ctx context.Context, tx pgx.Tx) error {
		known, err := lookForJobs(ctx, tx, job)
		if err != nil {
			return err
		}
		if _, lives := known.jobs[job]; !lives {
			return noJob(job)
		}
		wanted := manualsOf(job, known.now, list)
		made = make([]ports.Triggered, len(list))
		first, err := claimKeys(ctx, tx, job, wanted, made)
		if err != nil {
			return err
		}
		if err := recordManuals(ctx, tx, first, nil); err != nil {
			return err
		}
		return tellManuals(ctx, tx, known, first, wanted, made)
	})
	return made, err
}

func jobLives(ctx context.Context, tx pgx.Tx, id firjob.JobID) error {
	var lives bool
	err := tx.QueryRow(ctx, jobLivesSQL, int64(id)).Scan(&lives)
	if err == nil && !lives {
		err = noJob(id)
	}
	return err
}

func noJob(id firjob.JobID) error {
	return firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
}

const jobLivesSQL = `SELECT EXISTS (SELECT FROM jobs WHERE id = $1::bigint AND deleted_at IS NULL)`

// manual is an execution that somebody asks for.
type manual struct {
	id          firjob.ExecutionID
	at          time.Time
	params      *string // nil: the job's
	later       bool    // beyond the horizon: it waits to be planned
	key         string
	fingerprint []byte
}

// manualsOf gives each request its instant and its identity. Requests of one
// batch differ in their nonces by counting: as many random ones would collide.
func manualsOf(job firjob.JobID, now time.Time, list []ports.TriggerRequest) []manual {
	nonce := firjob.RandomNonce()
	manuals := make([]manual, len(list))
	for i, t := range list {
		at := now.Add(t.Delay)
		if !t.At.IsZero() {
			at = t.At
		}
		at = at.Truncate(time.Millisecond)
		manuals[i] = manual{id: firjob.NewExecutionID(job, at, firjob.KindManual, nonce+uint32(i)), at: at,
			params: pg.Text(t.Params), later: at.After(now.Add(t.Horizon)), key: t.Key, fingerprint: fingerprintOf(t)}
	}
	return manuals
}

// fingerprintOf tells requests apart.
func fingerprintOf(t ports.TriggerRequest) []byte {
	at := ""
	switch {
	case !t.At.IsZero():
		at = t.At.UTC().Format(time.RFC3339Nano)
	case t.Delay != 0:
		at = t.Delay.String()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", t.Job, at, t.Params))
	return sum[:]
}

// claimKeys binds the idempotency keys of wanted to their ids, or finds out to
// which executions they are bound already: those ids are put in place. It returns
// what is to be recorded. A key that belongs to another request is an error of
// its item, which then has no id.
func claimKeys(ctx context.Context, tx pgx.Tx, job firjob.JobID, wanted []manual,
	made []ports.Triggered) (first []manual, err error) {
	bound, err := boundKeys(ctx, tx, job, wanted)
	if err != nil {
		return nil, err
	}
	for i := range wanted {
		m := &wanted[i]
		known, keyed := bound[m.key]
		switch {
		case !keyed || known.id == m.id:
			first = append(first, *m)
		case bytes.Equal(known.fingerprint, m.fingerprint):
			m.id = known.id
		default:
			m.id = firjob.ExecutionID{}
			made[i].Err = firjob.Errorf(firjob.CodeKeyReused, "the idempotency key %q was used with another request",
				m.key)
		}
	}
	return first, nil
}

// boundKeys claims the keys among wanted that are free and returns what each
// belongs to now. Keys are claimed in their order, or two batches could wait for
// each other.
func boundKeys(ctx context.Context, tx pgx.Tx, job firjob.JobID, wanted []manual) (map[string]manual, error) {
	var keys []string
	var fingerprints [][]byte
	var ids []firjob.ExecutionID
	for _, m := range wanted {
		if m.key != "" {
			keys, fingerprints, ids = append(keys, m.key), append(fingerprints, m.fingerprint), append(ids, m.id)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, claimKeysSQL, int64(job), keys, fingerprints, pg.UUIDs(ids)); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, readKeysSQL, int64(job), keys)
	bound := make(map[string]manual, len(keys))
	var m manual
	_, err := pgx.ForEachRow(rows, []any{&m.key, &m.fingerprint, (*[16]byte)(&m.id)}, func() error {
		bound[m.key] = m
		m.fingerprint = nil // the next row gets one of its own
		return nil
	})
	return bound, err
}

const (
	claimKeysSQL = `INSERT INTO idempotency_keys (job_id, key, fingerprint, execution_id)
		SELECT $1, u.key, u.fingerprint, u.id
		FROM unnest($2::text[], $3::bytea[], $4::uuid[]) WITH ORDINALITY AS u(key, fingerprint, id, place)
		ORDER BY u.key, u.place
		ON CONFLICT (job_id, key) DO NOTHING`
	readKeysSQL = `SELECT key, fingerprint, execution_id FROM idempotency_keys WHERE job_id = $1
		AND key = ANY($2::text[])`
)

// recordManuals writes executions, or the triggers that become some later. origin
// is the execution that they retry, if any.
func recordManuals(ctx context.Context, tx pgx.Tx, list []manual, origin *firjob.ExecutionID) error {
	now, later := columnsOf(list, false), columnsOf(list, true)
	if len(later.ids) > 0 {
		if _, err := tx.Exec(ctx, insertLaterSQL, pg.UUIDs(later.ids), later.jobs(), pg.Instants(later.at),
			later.params); err != nil {
			return err
		}
	}
	if len(now.ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, insertManualSQL, pg.UUIDs(now.ids), now.jobs(), pg.Instants(now.at), now.params,
		(*[16]byte)(origin))
	return pg.InsertError(err, now.ids)
}

// manualColumns are manuals as parameters.
type manualColumns struct {
	ids    []firjob.ExecutionID
	at     []time.Time
	params []*string
}

func (c manualColumns) jobs() []int32 {
	jobs := make([]firjob.JobID, len(c.ids))
	for i, id := range c.ids {
		jobs[i] = id.Job()
	}
	return pg.Numbers(jobs)
}

func columnsOf(list []manual, later bool) (c manualColumns) {
	for _, m := range list {
		if m.later == later {
			c.ids, c.at, c.params = append(c.ids, m.id), append(c.at, m.at), append(c.params, m.params)
		}
	}
	return c
}

const (
	insertLaterSQL = `INSERT INTO later_triggers (id, job_id, fire_at, params)
		SELECT u.id, u.job, u.at, u.params::json FROM unnest($1::uuid[], $2::int[], $3::timestamptz[],
		$4::text[]) AS u(id, job, at, params)`
	insertManualSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params, origin)
		SELECT u.id, u.job, 0, u.at, u.params::json, $5
		FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[]) AS u(id, job, at, params)`
)

// tellManuals puts the executions of wanted, one that is still to be planned
// included, into the outcomes that have no error: first were recorded now, those
// of others, which earlier requests with their keys have recorded, are read.
func tellManuals(ctx context.Context, tx pgx.Tx, jobs triggerable, first, wanted []manual,
	made []ports.Triggered) error {
	known := make(map[firjob.ExecutionID]ports.Triggered, len(wanted))
	for _, m := range first {
		known[m.id] = jobs.recorded(m)
	}
	var earlier []firjob.ExecutionID
	for _, m := range wanted {
		if _, ok := known[m.id]; !ok && !m.id.IsZero() {
			earlier = append(earlier, m.id)
		}
	}
	if err := readManuals(ctx, tx, earlier, known); err != nil {
		return err
	}
	for i, m := range wanted {
		if found, ok := known[m.id]; ok {
			made[i] = found
		} else if !m.id.IsZero() {
			made[i].Err = firjob.Errorf(firjob.CodeNotFound, "there is no execution %s", m.id)
		}
	}
	return nil
}

// readManuals reads executions, those that are still to be planned included.
func readManuals(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID,
	into map[firjob.ExecutionID]ports.Triggered) error {
	if len(ids) == 0 {
		return nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, manualsSQL, pg.UUIDs(ids), low, high)
	list, err := pgx.CollectRows(rows, scan.Execution)
	if err != nil {
		return err
	}
	for _, e := range list {
		into[e.ID] = ports.Triggered{Execution: e, Due: e.State == firjob.StatePlanned}
	}
	rows, _ = tx.Query(ctx, laterManualsSQL, pg.UUIDs(ids))
	if list, err = pgx.CollectRows(rows, scan.Later); err != nil {
		return err
	}
	for _, e := range list {
		into[e.ID] = ports.Triggered{Execution: e}
	}
	return nil
}

const (
	manualsSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
		WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid`
	laterManualsSQL = `SELECT ` + scan.LaterColumns +
		` FROM later_triggers AS l JOIN jobs AS j ON j.id = l.job_id WHERE l.id = ANY($1::uuid[])`
)

// RetryExecution records a manual execution that runs a finished one's job and
// params again and names it. CodeConflict while it is not final.
func (db *Records) RetryExecution(ctx context.Context, id firjob.ExecutionID) (e firjob.Execution, err error) {
	err = db.Write(ctx, "retry the execution", func(ctx context.Context, tx pgx.Tx) error {
		old, _, err := scan.FindExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		if !old.State.Final() {
			return firjob.Errorf(firjob.CodeConflict, "execution %s is %s; only one that has ended can be retried", id,
				old.State)
		}
		again, err := repeat(ctx, tx, old)
		if err != nil {
			return err
		}
		e, _, err = scan.FindExecution(ctx, tx, again)
		return err
	})
	return e, err
}

// repeat records a manual execution that runs what old ran.
func repeat(ctx context.Context, tx pgx.Tx, old firjob.Execution) (firjob.ExecutionID, error) {
	if err := jobLives(ctx, tx, old.JobID); err != nil {
		return firjob.ExecutionID{}, err
	}
	now, err := txNow(ctx, tx)
	if err != nil {
		return firjob.ExecutionID{}, err
	}
	again := manualsOf(old.JobID, now, []ports.TriggerRequest{{Params: old.Params}})
	again[0].id[6], again[0].id[7] = old.ID[6], old.ID[7] // a shard stays that shard
	if err := recordManuals(ctx, tx, again, &old.ID); err != nil {
		return firjob.ExecutionID{}, err
	}
	if err := inherit(ctx, tx, again[0].id, old.ID); err != nil {
		return firjob.ExecutionID{}, err
	}
	return again[0].id, markRedriven(ctx, tx, map[firjob.ExecutionID]firjob.Due{old.ID: {ID: again[0].id}})
}

// CancelExecution ends a planned execution as cancelled, or notes that a
// running one is to be cancelled. CodeConflict if it is final already.
func (db *Records) CancelExecution(ctx context.Context,
	id firjob.ExecutionID) (e firjob.Execution, followed ports.Followed, err error) {
	err = db.Write(ctx, "cancel the execution", func(ctx context.Context, tx pgx.Tx) error {
		recorded, err := cancelLater(ctx, tx, id)
		if err != nil {
			return err
		}
		if recorded {
			if followed, err = cancelRecorded(ctx, tx, id); err != nil {
				return err
			}
		}
		e, _, err = scan.FindExecution(ctx, tx, id)
		return err
	})
	return e, followed, err
}

// cancelRecorded cancels what is among the executions.
func cancelRecorded(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID) (followed ports.Followed, err error) {
	shards, err := flow.LockShards(ctx, tx, id)
	if err != nil {
		return followed, err
	}
	var state firjob.State
	err = tx.QueryRow(ctx, lockStateSQL, [16]byte(id)).Scan(&state)
	switch {
	case err != nil:
	case state.Final():
		err = alreadyFinal(id, state)
	case state == firjob.StateRunning:
		followed, err = flow.AskCancel(ctx, tx, id, shards)
	default:
		followed, err = flow.FinishAs(ctx, tx, []flow.Ending{
			{ID: id, State: firjob.StateCancelled, Reason: "cancelled on request"}})
	}
	return followed, err
}

const (
	lockStateSQL   = `SELECT state::text FROM executions WHERE id = $1 FOR UPDATE`
	cancelLaterSQL = `UPDATE later_triggers SET cancelled_at = now() WHERE id = $1 AND cancelled_at IS NULL`
)

// cancelLater cancels a trigger for later, or reports that the id is among the
// executions. It comes first: a trigger may become an execution at this moment,
// but never the other way.
func cancelLater(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID) (recorded bool, err error) {
	tag, err := tx.Exec(ctx, cancelLaterSQL, [16]byte(id))
	if err != nil || tag.RowsAffected() == 1 {
		return false, err
	}
	e, recorded, err := scan.FindExecution(ctx, tx, id)
	if err == nil && !recorded {
		err = alreadyFinal(id, e.State)
	}
	return recorded, err
}

func alreadyFinal(id firjob.ExecutionID, state firjob.State) error {
	return firjob.Errorf(firjob.CodeConflict, "execution %s has ended already: %s", id, state)
}

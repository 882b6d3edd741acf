package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
)

// Trigger records an execution of kind manual. When due is true it is among
// the executions and planned, and is to be announced; otherwise its time is
// beyond the horizon and it waits to be planned. The same idempotency key with
// the same request returns the execution of the first call; with another
// request CodeKeyReused. Keys are forgotten after 24 hours.
func (db *DB) Trigger(ctx context.Context, t firjob.TriggerRequest) (e firjob.Execution, due bool, err error) {
	err = db.inTx(ctx, db.api, "trigger the job", func(ctx context.Context, tx pgx.Tx) error {
		now, err := txNow(ctx, tx)
		if err != nil {
			return err
		}
		if err := jobLives(ctx, tx, t.Job); err != nil {
			return err
		}
		m := manual{job: t.Job, at: now, params: text(t.Params), nonce: firjob.RandomNonce()}
		if !t.At.IsZero() {
			m.at = t.At.Truncate(time.Millisecond)
		}
		id, first, err := claimKey(ctx, tx, t, m.id())
		if err != nil {
			return err
		}
		if first {
			if err := m.record(ctx, tx, m.at.After(now.Add(t.Horizon))); err != nil {
				return err
			}
		}
		e, due, err = findExecution(ctx, tx, id)
		due = due && e.State == firjob.StatePlanned
		return err
	})
	return e, due, err
}

func jobLives(ctx context.Context, tx pgx.Tx, id firjob.JobID) error {
	var lives bool
	err := tx.QueryRow(ctx, jobLivesSQL, int64(id)).Scan(&lives)
	if err == nil && !lives {
		err = firjob.Errorf(firjob.CodeNotFound, "there is no job %d", id)
	}
	return err
}

const jobLivesSQL = `SELECT EXISTS (SELECT FROM jobs WHERE id = $1::bigint AND deleted_at IS NULL)`

// claimKey binds the request's idempotency key to id, or finds out to which
// execution it is bound already.
func claimKey(ctx context.Context, tx pgx.Tx, t firjob.TriggerRequest, id firjob.ExecutionID) (bound firjob.ExecutionID, first bool, err error) {
	if t.Key == "" {
		return id, true, nil
	}
	fingerprint := fingerprintOf(t)
	tag, err := tx.Exec(ctx, claimKeySQL, int64(t.Job), t.Key, fingerprint, [16]byte(id))
	if err != nil || tag.RowsAffected() == 1 {
		return id, true, err
	}
	var known []byte
	if err := tx.QueryRow(ctx, readKeySQL, int64(t.Job), t.Key).Scan(&known, (*[16]byte)(&bound)); err != nil {
		return id, false, err
	}
	if !bytes.Equal(known, fingerprint) {
		return id, false, firjob.Errorf(firjob.CodeKeyReused, "the idempotency key %q was used with another request", t.Key)
	}
	return bound, false, nil
}

const (
	claimKeySQL = `INSERT INTO idempotency_keys (job_id, key, fingerprint, execution_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (job_id, key) DO NOTHING`
	readKeySQL = `SELECT fingerprint, execution_id FROM idempotency_keys WHERE job_id = $1 AND key = $2`
)

// fingerprintOf tells requests apart.
func fingerprintOf(t firjob.TriggerRequest) []byte {
	at := ""
	if !t.At.IsZero() {
		at = t.At.UTC().Format(time.RFC3339Nano)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", t.Job, at, t.Params))
	return sum[:]
}

// manual is an execution that somebody asks for.
type manual struct {
	job    firjob.JobID
	at     time.Time
	params *string // nil: the job's
	nonce  uint32
	origin *[16]byte // the execution that this one retries
}

func (m manual) id() firjob.ExecutionID {
	return firjob.NewExecutionID(m.job, m.at, firjob.KindManual, m.nonce)
}

// record writes the execution, or the trigger that becomes one later.
func (m manual) record(ctx context.Context, tx pgx.Tx, later bool) error {
	if later {
		_, err := tx.Exec(ctx, insertLaterSQL, [16]byte(m.id()), int64(m.job), m.at, m.params)
		return err
	}
	_, err := tx.Exec(ctx, insertManualSQL, [16]byte(m.id()), int64(m.job), m.at, m.params, m.origin)
	return insertError(err, []firjob.ExecutionID{m.id()})
}

const (
	insertLaterSQL  = `INSERT INTO later_triggers (id, job_id, fire_at, params) VALUES ($1, $2, $3, $4::text::json)`
	insertManualSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params, origin)
		VALUES ($1, $2, 0, $3, $4::text::json, $5)`
)

// RetryExecution records a manual execution that runs a finished one's job and
// params again and names it. CodeConflict while it is not final.
func (db *DB) RetryExecution(ctx context.Context, id firjob.ExecutionID) (e firjob.Execution, err error) {
	err = db.inTx(ctx, db.api, "retry the execution", func(ctx context.Context, tx pgx.Tx) error {
		old, _, err := findExecution(ctx, tx, id)
		if err != nil {
			return err
		}
		if !old.State.Final() {
			return firjob.Errorf(firjob.CodeConflict, "execution %s is %s; only one that has ended can be retried", id, old.State)
		}
		if err := jobLives(ctx, tx, old.JobID); err != nil {
			return err
		}
		now, err := txNow(ctx, tx)
		if err != nil {
			return err
		}
		m := manual{job: old.JobID, at: now, params: text(old.Params), nonce: firjob.RandomNonce(), origin: (*[16]byte)(&id)}
		if err := m.record(ctx, tx, false); err != nil {
			return err
		}
		e, _, err = findExecution(ctx, tx, m.id())
		return err
	})
	return e, err
}

// CancelExecution ends a planned execution as cancelled, or notes that a
// running one is to be cancelled. CodeConflict if it is final already.
func (db *DB) CancelExecution(ctx context.Context, id firjob.ExecutionID) (e firjob.Execution, followed firjob.Followed, err error) {
	err = db.inTx(ctx, db.api, "cancel the execution", func(ctx context.Context, tx pgx.Tx) error {
		recorded, err := cancelLater(ctx, tx, id)
		if err != nil {
			return err
		}
		if recorded {
			if followed, err = cancelRecorded(ctx, tx, id); err != nil {
				return err
			}
		}
		e, _, err = findExecution(ctx, tx, id)
		return err
	})
	return e, followed, err
}

// cancelRecorded cancels what is among the executions.
func cancelRecorded(ctx context.Context, tx pgx.Tx, id firjob.ExecutionID) (followed firjob.Followed, err error) {
	var state firjob.State
	err = tx.QueryRow(ctx, lockStateSQL, [16]byte(id)).Scan(&state)
	switch {
	case err != nil:
	case state.Final():
		err = alreadyFinal(id, state)
	case state == firjob.StateRunning:
		_, err = tx.Exec(ctx, askCancelSQL, [16]byte(id))
	default:
		followed, err = finishAs(ctx, tx, []ending{{id, firjob.StateCancelled, "cancelled on request"}})
	}
	return followed, err
}

const (
	lockStateSQL   = `SELECT state::text FROM executions WHERE id = $1 FOR UPDATE`
	askCancelSQL   = `UPDATE executions SET cancel = true WHERE id = $1`
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
	e, recorded, err := findExecution(ctx, tx, id)
	if err == nil && !recorded {
		err = alreadyFinal(id, e.State)
	}
	return recorded, err
}

func alreadyFinal(id firjob.ExecutionID, state firjob.State) error {
	return firjob.Errorf(firjob.CodeConflict, "execution %s has ended already: %s", id, state)
}

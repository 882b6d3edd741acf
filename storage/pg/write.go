package pg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// Write runs fn in a transaction of the api pool, as the request's firjob.Write
// says: recorded under its key, or rolled back at the end.
func (db *DB) Write(ctx context.Context, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	w := ports.WriteOf(ctx)
	err := db.InTx(ctx, db.API, verb, func(ctx context.Context, tx pgx.Tx) error {
		if err := recordRequest(ctx, tx, w); err != nil {
			return err
		}
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if w.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// recordRequest binds the request's key to what this transaction does. A
// request that was carried out a moment ago, beside this one, is a conflict; its
// answer can be had by asking again.
func recordRequest(ctx context.Context, tx pgx.Tx, w ports.Write) error {
	if w.Key == "" || w.DryRun {
		return nil
	}
	tag, err := tx.Exec(ctx, recordRequestSQL, w.Key, w.Operation, w.Fingerprint)
	if err == nil && tag.RowsAffected() == 0 {
		err = firjob.Errorf(firjob.CodeConflict,
			"another request with the idempotency key %q was carried out at this moment; ask again for its answer",
			w.Key)
	}
	return err
}

const recordRequestSQL = `INSERT INTO idempotent_requests (key, operation, fingerprint) VALUES ($1, $2, $3)
	ON CONFLICT (key, operation) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, status = NULL, headers = NULL,
	body = NULL, created_at = now()
		WHERE idempotent_requests.created_at <= now() - interval '24 hours'`

// Replay returns the answer to an earlier request with the key and operation of
// w, nil if there was none within 24 hours. CodeKeyReused if that was another
// request.
func (db *DB) Replay(ctx context.Context, w ports.Write) (*ports.Answer, error) {
	var fingerprint, headers []byte
	var status *int
	a := &ports.Answer{}
	err := db.API.QueryRow(ctx, replaySQL, w.Key, w.Operation).Scan(&fingerprint, &status, &headers, &a.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, Classify("look for an earlier request", err)
	case !bytes.Equal(fingerprint, w.Fingerprint):
		return nil, firjob.Errorf(firjob.CodeKeyReused, "the idempotency key %q was used with another request", w.Key)
	case status == nil:
		return a, nil
	}
	a.Status = *status
	return a, json.Unmarshal(headers, &a.Headers)
}

const replaySQL = `SELECT fingerprint, status, headers, body FROM idempotent_requests
	WHERE key = $1 AND operation = $2 AND created_at > now() - interval '24 hours'`

// SaveAnswer records the answer to a request that was carried out under a key.
func (db *DB) SaveAnswer(ctx context.Context, w ports.Write, a ports.Answer) error {
	headers, err := json.Marshal(a.Headers)
	if err != nil {
		return err
	}
	_, err = db.API.Exec(ctx, saveAnswerSQL, w.Key, w.Operation, a.Status, string(headers), a.Body)
	return Classify("record an answer", err)
}

const saveAnswerSQL = `UPDATE idempotent_requests SET status = $3, headers = $4::text::json, body = $5 WHERE key = $1
	AND operation = $2`

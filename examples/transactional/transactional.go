// Package transactional shows how a program triggers a job if, and only if, its
// own transaction commits. The trigger is first a row in the program's database
// (an outbox), written in the transaction of what it belongs to. Send posts the
// rows afterwards, each with its own idempotency key, so that it may be killed
// and repeated at any point: the same key triggers once.
package transactional

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
)

// Schema is the table of triggers that are not sent yet, for Postgres.
const Schema = `CREATE TABLE IF NOT EXISTS trigger_outbox (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	job    bigint NOT NULL,
	params jsonb NOT NULL)`

// Trigger asks for a run of the job once tx has committed.
func Trigger(ctx context.Context, tx *sql.Tx, job int64, params any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("write the params: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO trigger_outbox (job, params) VALUES ($1, $2)`, job, text)
	return err
}

// Server is a firjob server and the name of this program, which keeps its
// idempotency keys apart from those of others.
type Server struct {
	URL, Token, Program string
	HTTP                *http.Client
}

// Send posts the oldest trigger that waits, and reports whether there was one.
// Several processes may call it at once, again and again.
func (s Server) Send(ctx context.Context, db *sql.DB) (sent bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	var id, job int64
	var params []byte
	row := tx.QueryRowContext(ctx, `DELETE FROM trigger_outbox WHERE id = (
		SELECT id FROM trigger_outbox ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, job, params`)
	switch err := row.Scan(&id, &job, &params); {
	case err == sql.ErrNoRows:
		return false, nil
	case err != nil:
		return false, err
	}
	if err := s.post(ctx, id, job, params); err != nil {
		return false, err // the row stays, and is posted again with the same key
	}
	return true, tx.Commit()
}

func (s Server) post(ctx context.Context, id, job int64, params json.RawMessage) error {
	body, err := json.Marshal(map[string]any{"params": params})
	if err != nil {
		return err
	}
	url := fmt.Sprintf("%s/api/v1/jobs/%d/trigger", s.URL, job)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", s.Program, id))
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("trigger job %d: %s", job, resp.Status)
	}
	return nil
}

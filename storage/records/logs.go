package records

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/storage/pg"
)

// maxStoredChunk is about how many bytes of lines one row holds at the most, so
// that a log is cut in small steps and a page of it is read in small pieces.
const maxStoredChunk = 64 << 10

// AppendLogs stores chunks of log of an app's executions, each once. Of an
// execution it keeps the newest limit bytes; it returns those of the attempts
// whose execution has come to that. What belongs to no attempt of the app is
// passed over.
func (db *Records) AppendLogs(ctx context.Context, app string, chunks []firjob.LogChunk,
	limit int) (cut []firjob.AttemptRef, err error) {
	rows := storedChunks(chunks)
	if len(rows) == 0 {
		return nil, nil
	}
	err = db.InTx(ctx, db.API, "store lines of log", func(ctx context.Context, tx pgx.Tx) error {
		stored, err := insertChunks(ctx, tx, app, rows)
		if err != nil || len(stored) == 0 {
			return err
		}
		kept, err := accountLogs(ctx, tx, stored)
		if err != nil {
			return err
		}
		cut, err = cutLogs(ctx, tx, kept, limit, chunks)
		return err
	})
	return cut, err
}

// storedChunk is a row of lines.
type storedChunk struct {
	firjob.AttemptRef
	first, last int64
	lines       string // JSON, a list of firjob.LogLine
}

// storedChunks makes rows of chunks, in the order of the primary key, in which
// every transaction locks them. A long chunk becomes several rows, always the
// same ones, so that a repeat of it finds them.
func storedChunks(chunks []firjob.LogChunk) (rows []storedChunk) {
	for _, c := range chunks {
		part := storedChunk{AttemptRef: c.AttemptRef, first: c.First}
		var text bytes.Buffer
		for i, line := range c.Lines {
			text.WriteByte(',')
			text.WriteString(lineJSON(line))
			part.last = c.First + int64(i)
			if text.Len() >= maxStoredChunk || i == len(c.Lines)-1 {
				part.lines = "[" + text.String()[1:] + "]"
				rows = append(rows, part)
				part.first = part.last + 1
				text.Reset()
			}
		}
	}
	slices.SortFunc(rows, func(a, b storedChunk) int {
		return cmp.Or(pg.CompareIDs(a.ID, b.ID), cmp.Compare(a.Token, b.Token), cmp.Compare(a.first, b.first))
	})
	return rows
}

// lineJSON returns a line as it is stored. Attributes that are no JSON are left
// out: the line says more than they do.
func lineJSON(line firjob.LogLine) string {
	line.Text, line.Level = pg.Clean(line.Text), pg.Clean(line.Level)
	if !json.Valid(line.Attrs) {
		line.Attrs = nil
	}
	line.Attrs = jsontext.Fit(line.Attrs, firjob.MaxLogLine)
	text, err := json.Marshal(line)
	if err != nil { // a time beyond what JSON can say
		text, _ = json.Marshal(firjob.LogLine{Level: line.Level, Text: line.Text})
	}
	return pg.Clean(string(text))
}

// logBytes is how many bytes of an execution's log something concerns.
type logBytes struct {
	id    firjob.ExecutionID
	bytes int64
}

func scanLogBytes(row pgx.CollectableRow) (logBytes, error) {
	var b logBytes
	err := row.Scan((*[16]byte)(&b.id), &b.bytes)
	return b, err
}

// insertChunks stores the rows that are new and returns how much they add to
// each execution's log.
func insertChunks(ctx context.Context, tx pgx.Tx, app string, chunks []storedChunk) ([]logBytes, error) {
	var ids []firjob.ExecutionID
	var tokens, first, last []int64
	var lines []string
	for _, c := range chunks {
		ids, tokens, lines = append(ids, c.ID), append(tokens, c.Token), append(lines, c.lines)
		first, last = append(first, c.first), append(last, c.last)
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, insertChunksSQL, pg.UUIDs(ids), low, high, pg.Numbers(pg.JobsOf(ids)), app, tokens, first,
		last,
		lines)
	stored, err := pgx.CollectRows(rows, scanLogBytes)
	return stored, pg.InsertError(err, ids)
}

// An attempt is the present one, or one of those before, which have their
// numbers there. What was cut is not stored again.
const insertChunksSQL = `WITH stored AS (
		INSERT INTO execution_logs AS l (execution_id, token, first, last, attempt, bytes, lines)
		SELECT c.id, c.token, c.first, c.last, a.attempt, octet_length(c.lines), c.lines
		FROM unnest($1::uuid[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[]) AS c(id, token, first, last,
		lines)
			JOIN executions AS e ON e.id = c.id
			JOIN jobs AS j ON j.id = e.job_id
			CROSS JOIN LATERAL (
				SELECT e.attempt WHERE c.token = e.token
				UNION ALL
				SELECT (b->>'attempt')::smallint FROM jsonb_array_elements(e.attempts) AS b
				WHERE c.token < e.token AND (b->>'token')::bigint = c.token) AS a(attempt)
		WHERE e.id = ANY($1::uuid[]) AND e.id BETWEEN $2::uuid AND $3::uuid
			AND j.id = ANY($4::int[]) AND j.app = $5 AND c.token > 0
			AND NOT EXISTS (SELECT FROM execution_logs AS gone WHERE gone.execution_id = c.id
				AND gone.execution_id BETWEEN $2::uuid AND $3::uuid AND gone.token = -c.token AND gone.first = 0
				AND gone.last >= c.first)
		ORDER BY c.id, c.token, c.first
		ON CONFLICT (execution_id, token, first) DO NOTHING
		RETURNING l.execution_id, l.bytes)
	SELECT execution_id, sum(bytes) FROM stored GROUP BY execution_id ORDER BY execution_id`

// accountLogs adds to the accounts of executions and returns what each has now.
// From here on other reports of these executions wait for this one's commit.
func accountLogs(ctx context.Context, tx pgx.Tx, added []logBytes) ([]logBytes, error) {
	ids, sizes := make([]firjob.ExecutionID, len(added)), make([]int64, len(added))
	for i, b := range added {
		ids[i], sizes[i] = b.id, b.bytes
	}
	rows, _ := tx.Query(ctx, accountLogsSQL, pg.UUIDs(ids), sizes)
	return pgx.CollectRows(rows, scanLogBytes)
}

const accountLogsSQL = `INSERT INTO execution_logs AS l (execution_id, token, first, last, attempt, bytes, lines)
	SELECT id, 0, 0, 0, 0, bytes, '' FROM unnest($1::uuid[], $2::bigint[]) AS a(id, bytes) ORDER BY id
	ON CONFLICT (execution_id, token, first) DO UPDATE SET bytes = l.bytes + EXCLUDED.bytes
	RETURNING l.execution_id, l.bytes`

// cutLogs cuts the logs that are longer than limit and returns the attempts
// among chunks that this concerns.
func cutLogs(ctx context.Context, tx pgx.Tx, kept []logBytes, limit int,
	chunks []firjob.LogChunk) (cut []firjob.AttemptRef, err error) {
	for _, b := range kept {
		if b.bytes <= int64(limit) {
			continue
		}
		if err := cutLog(ctx, tx, b, limit); err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if c.ID == b.id && !slices.Contains(cut, c.AttemptRef) {
				cut = append(cut, c.AttemptRef)
			}
		}
	}
	return cut, nil
}

// cutLog deletes the oldest rows until an eighth less than limit is left, so that
// the next lines find room without another cut.
func cutLog(ctx context.Context, tx pgx.Tx, log logBytes, limit int) error {
	_, err := tx.Exec(ctx, cutLogSQL, [16]byte(log.id), log.bytes-int64(limit)*7/8)
	return err
}

const cutLogSQL = `WITH old AS (
		SELECT token, first FROM (
			SELECT token, first, sum(bytes) OVER (ORDER BY token, first) - bytes AS before
			FROM execution_logs WHERE execution_id = $1::uuid AND token > 0) AS r
		WHERE before < $2::bigint
	), gone AS (
		DELETE FROM execution_logs AS l USING old
		WHERE l.execution_id = $1::uuid AND l.token = old.token AND l.first = old.first
		RETURNING l.token, l.last, l.attempt, l.bytes
	), noted AS (
		INSERT INTO execution_logs AS l (execution_id, token, first, last, attempt, bytes, lines)
		SELECT $1::uuid, -token, 0, max(last), max(attempt), 0, '' FROM gone GROUP BY token
		ON CONFLICT (execution_id, token, first) DO UPDATE SET last = greatest(l.last, EXCLUDED.last)
	)
	UPDATE execution_logs SET bytes = bytes - (SELECT coalesce(sum(bytes), 0) FROM gone)
	WHERE execution_id = $1::uuid AND token = 0 AND first = 0`

package records

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// rowsOfPage bounds how many rows of lines one look at a log reads; each holds
// about maxStoredChunk at the most.
const rowsOfPage = 32

// Logs returns a page of an execution's log: attempts in their order, then
// lines. One statement reads the lines and what the execution has come to, so
// that a page that says it is the last one is. CodeNotFound if there is no such
// execution; one that is still to be planned has an empty log.
func (db *Records) Logs(ctx context.Context, id firjob.ExecutionID, filter ports.LogFilter) (ports.LogPage, error) {
	rows, _ := db.API.Query(ctx, logsSQL, [16]byte(id), filter.After.Token, filter.After.Line, filter.Attempt,
		rowsOfPage+1)
	list, err := pgx.CollectRows(rows, scanLogRow)
	switch {
	case err != nil:
		return ports.LogPage{}, pg.Classify("read a log", err)
	case len(list) == 0:
		e, err := db.Execution(ctx, id)
		return ports.LogPage{Next: filter.After, State: e.State, Reason: e.Reason, Ended: e.State.Final()}, err
	}
	return pageOf(list, filter)
}

// The first row to read is the one that holds the line after the cursor.
const logsSQL = `SELECT e.state::text, coalesce(e.reason, ''), ` + scan.ProgressColumns + `,
		(SELECT coalesce(sum(last), 0)::bigint FROM execution_logs
			WHERE execution_id = $1::uuid AND token < 0 AND ($4::int = 0 OR attempt = $4)),
		coalesce(l.token, 0), coalesce(l.first, 0), coalesce(l.attempt, 0), coalesce(l.lines, '')
	FROM executions AS e LEFT JOIN LATERAL (
		SELECT token, first, attempt, lines FROM execution_logs
		WHERE execution_id = $1::uuid AND token > 0
			AND (token, first) >= ($2::bigint, coalesce((
				SELECT first FROM execution_logs WHERE execution_id = $1::uuid AND token = $2
				AND first <= $3::bigint + 1
				ORDER BY first DESC LIMIT 1), 0))
			AND (token > $2 OR last > $3)
			AND ($4::int = 0 OR attempt = $4)
		ORDER BY token, first LIMIT $5) AS l ON true
	WHERE e.id = $1::uuid ORDER BY l.token, l.first`

// logRow is an execution with one row of its log; token is 0 if it has none.
type logRow struct {
	state        firjob.State
	reason       string
	progress     *firjob.Progress
	cut          int64
	token, first int64
	attempt      int
	lines        string
}

func scanLogRow(row pgx.CollectableRow) (logRow, error) {
	var r logRow
	var p scan.ProgressRow
	err := row.Scan(&r.state, &r.reason, &p.Percent, &p.Note, &p.At, &r.cut, &r.token, &r.first, &r.attempt, &r.lines)
	r.progress = p.Progress()
	return r, err
}

// pageOf makes a page of the rows that were read.
func pageOf(rows []logRow, filter ports.LogFilter) (ports.LogPage, error) {
	page := ports.LogPage{Cut: rows[0].cut, Next: filter.After, State: rows[0].state, Reason: rows[0].reason,
		Progress: rows[0].progress}
	for i, r := range rows {
		if r.token == 0 {
			break
		}
		if i == rowsOfPage {
			page.More = true
			break
		}
		if err := r.addTo(&page, filter); err != nil || page.More {
			return page, err
		}
	}
	page.Ended = page.State.Final() && !page.More
	return page, nil
}

// addTo puts the row's lines after the cursor into a page until that is full.
func (r logRow) addTo(page *ports.LogPage, filter ports.LogFilter) error {
	var lines []firjob.LogLine
	if err := json.Unmarshal([]byte(r.lines), &lines); err != nil {
		return fmt.Errorf("read the lines from %d of token %d: %w", r.first, r.token, err)
	}
	for i, line := range lines {
		at := ports.LogCursor{Token: r.token, Line: r.first + int64(i)}
		if at.Token == page.Next.Token && at.Line <= page.Next.Line {
			continue
		}
		if len(page.Lines) == filter.Limit {
			page.More = true
			return nil
		}
		page.Next = at
		if !filter.MinLevel || levelOf(line) >= filter.Level {
			page.Lines = append(page.Lines, ports.LogEntry{Cursor: at, Attempt: r.attempt, LogLine: line})
		}
	}
	return nil
}

// levelOf returns the level of a line; one that cannot be read counts as INFO.
func levelOf(line firjob.LogLine) (level slog.Level) {
	_ = level.UnmarshalText([]byte(line.Level)) // then it is INFO, the zero level
	return level
}

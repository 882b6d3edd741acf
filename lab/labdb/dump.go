package labdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Dump hands over every execution, in the order of their ids, one at a time, so
// that any number of them fit. It ends with the first error of each. Like Audit it
// is for checks, not for the hot path.
func (db *DB) Dump(ctx context.Context, each func(firjob.Execution) error) error {
	return db.afterwards(ctx, "dump the executions", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, dumpSQL)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scan.Execution(rows)
			if err != nil {
				return err
			}
			if err := each(e); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// CountOpen counts the executions that are not final, those that wait included.
func (db *DB) CountOpen(ctx context.Context) (n int64, err error) {
	err = db.afterwards(ctx, "count open executions", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, countOpenSQL).Scan(&n)
	})
	return n, err
}

// Leftovers tells of each place, and of each turn to wait for, that belongs to an
// execution that has ended or is not there. There must be none.
func (db *DB) Leftovers(ctx context.Context) (list []string, err error) {
	err = db.afterwards(ctx, "look for leftovers", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, leftoversSQL)
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			var table string
			var id firjob.ExecutionID
			var state *string
			if err := row.Scan(&table, (*[16]byte)(&id), &state); err != nil {
				return "", err
			}
			if state == nil {
				return fmt.Sprintf("%s holds %s, which does not exist", table, id), nil
			}
			return fmt.Sprintf("%s holds %s, which is %s", table, id, *state), nil
		})
		return err
	})
	return list, err
}

// afterwards runs fn in a transaction that may take its time and sees one state
// of the database.
func (db *DB) afterwards(ctx context.Context, verb string, fn func(tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, db.API.Conns, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx,
				fmt.Sprintf(`SET LOCAL statement_timeout = %d`, auditPatience/time.Millisecond)); err != nil {
				return err
			}
			return fn(tx)
		})
	return pg.Classify(verb, err)
}

const (
	dumpSQL = `SELECT ` + scan.ExecutionColumns +
		` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id ORDER BY e.id`
	countOpenSQL = `SELECT count(*) FROM executions WHERE finished_at IS NULL`
	leftoversSQL = `SELECT held.what, held.id, e.state::text
		FROM (SELECT 'job_slots' AS what, unnest(holders) AS id FROM job_slots
			UNION ALL SELECT 'app_slots', execution_id FROM app_slots
			UNION ALL SELECT 'app_queue', execution_id FROM app_queue
			UNION ALL SELECT 'broadcasts', execution_id FROM broadcasts) AS held
		LEFT JOIN executions AS e ON e.id = held.id
		WHERE e.id IS NULL OR e.finished_at IS NOT NULL
		ORDER BY 1, 2`
)

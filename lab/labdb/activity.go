package labdb

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// Durability returns how the database makes commits durable, by the names of its
// settings, and its version. CodeConflict if a commit may be lost: what is
// measured so is no measurement.
func (db *DB) Durability(ctx context.Context) (map[string]string, error) {
	rows, _ := db.API.Query(ctx, durabilitySQL)
	found := map[string]string{}
	var name, value string
	_, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		found[name] = value
		return nil
	})
	if err != nil {
		return nil, pg.Classify("read the settings", err)
	}
	for _, must := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if found[must] == "off" {
			return found, firjob.Errorf(firjob.CodeConflict,
				"the database has %s = off and may lose commits: benchmarks want it on", must)
		}
	}
	return found, nil
}

// Activity is what the database has done since its statistics began.
type Activity struct {
	Transactions int64
	Statements   int64 // -1: not counted, because pg_stat_statements is not loaded
}

// Activity reads what the database has done so far.
func (db *DB) Activity(ctx context.Context) (a Activity, err error) {
	if err := db.API.QueryRow(ctx, transactionsSQL).Scan(&a.Transactions); err != nil {
		return a, pg.Classify("read the activity", err)
	}
	var loaded string
	if err := db.API.QueryRow(ctx, preloadedSQL).Scan(&loaded); err != nil {
		return a, pg.Classify("read the activity", err)
	}
	if !strings.Contains(loaded, "pg_stat_statements") {
		a.Statements = -1
		return a, nil
	}
	if _, err := db.API.Exec(ctx, makeCounter); err != nil {
		return a, pg.Classify("count statements", err)
	}
	err = db.API.Conns.QueryRow(ctx, `SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&a.Statements)
	return a, pg.Classify("count statements", err)
}

// CountJobs counts the jobs that are not deleted.
func (db *DB) CountJobs(ctx context.Context) (n int64, err error) {
	err = db.afterwards(ctx, "count jobs", func(tx pgx.Tx) error { return tx.QueryRow(ctx, countJobsSQL).Scan(&n) })
	return n, err
}

// Strays counts the executions of the scope that are none of the fires which jobs
// have from their first one on, every interval. Of a scope's other executions no
// two are the same fire, for that is their id.
func (db *DB) Strays(ctx context.Context, s AuditScope, firsts map[firjob.JobID]time.Time,
	interval time.Duration) (n int64, err error) {
	var jobs, at []int64
	for id, first := range firsts {
		jobs, at = append(jobs, int64(id)), append(at, first.UnixMilli())
	}
	err = db.afterwards(ctx, "look for strays", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, straysSQL, [16]byte(firjob.FirstIDAt(s.From)), [16]byte(firjob.FirstIDAt(s.Until)),
			int64(s.FirstJob), int64(s.LastJob), jobs, at, interval.Milliseconds(), int32(0x80|s.Kind)).Scan(&n)
	})
	return n, err
}

// EndPlanning takes from jobs, first to last, their next fires unless these lie
// before at. It returns how many jobs have such a fire, which is yet to be planned.
func (db *DB) EndPlanning(ctx context.Context, first, last firjob.JobID, at time.Time) (left int64, err error) {
	err = db.patiently(ctx, "end the planning", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, endPlanningSQL, int64(first), int64(last), at).Scan(&left)
	})
	return left, err
}

// Stall returns the longest time between two starts that followed one another
// among the executions that were scheduled within the span, and the latest of
// these after its time.
func (db *DB) Stall(ctx context.Context, from, until time.Time) (stall, latest time.Duration, err error) {
	var gapMS, lateMS float64
	err = db.afterwards(ctx, "look for a stall", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, stallSQL, [16]byte(firjob.FirstIDAt(from)),
			[16]byte(firjob.FirstIDAt(until))).Scan(&gapMS, &lateMS)
	})
	return millis(gapMS), millis(lateMS), err
}

func millis(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}

// DropOldest drops the oldest day before the horizon as MaintainPartitions does,
// and returns its name, "" if there is none. CodeUnavailable: the lock was not to
// be had at once.
func (db *DB) DropOldest(ctx context.Context, before time.Time) (string, error) {
	rows, _ := db.API.Query(ctx, pg.PartitionListSQL)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", pg.Classify("list partitions", err)
	}
	if len(names) == 0 || strings.TrimPrefix(names[0], "executions_") >= pg.DayName(before) {
		return "", nil
	}
	return names[0], pg.Classify("drop the partition "+names[0],
		db.DropDay(ctx, strings.TrimPrefix(names[0], "executions_")))
}

// patiently runs fn in a transaction that may take its time.
func (db *DB) patiently(ctx context.Context, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	err := pgx.BeginFunc(ctx, db.API.Conns, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx,
			fmt.Sprintf(`SET LOCAL statement_timeout = %d`, auditPatience/time.Millisecond)); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
	return pg.Classify(verb, err)
}

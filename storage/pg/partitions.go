package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/firjob/firjob"
)

// The executions of one UTC day are one partition, executions_YYYYMMDD, from
// FirstIDAt of its midnight to FirstIDAt of the next, and their logs another,
// execution_logs_YYYYMMDD; the two come and go together. There is no default
// partition: attaching a day would have to scan it under a lock. A fire of a day
// that has none, such as one that was missed months ago, makes it.

const Day = 24 * time.Hour

// missingDays is the failure of an insert into days without a partition.
type missingDays struct{ days []time.Time }

func (e *missingDays) Error() string { return fmt.Sprintf("no partition for a day among %v", e.days) }

// InsertError turns the failure of an insert of ids into missingDays if that
// is what it was.
func InsertError(err error, ids []firjob.ExecutionID) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23514" || len(ids) == 0 { // check_violation
		return err
	}
	seen := map[time.Time]bool{}
	missing := &missingDays{}
	for _, id := range ids {
		if d := id.ScheduledAt().Truncate(Day); !seen[d] {
			seen[d] = true
			missing.days = append(missing.days, d)
		}
	}
	return missing
}

// DaysAround returns the UTC days from back before now to ahead after it.
func DaysAround(now time.Time, back, ahead int) []time.Time {
	var days []time.Time
	for d := -back; d <= ahead; d++ {
		days = append(days, now.UTC().Truncate(Day).AddDate(0, 0, d))
	}
	return days
}

// partitioned is a table that has a partition for each day of its ids.
type partitioned struct {
	name    string
	storage string // parameters of a partition
}

func PartitionedTables() []partitioned {
	return []partitioned{{"executions", executionsStorage}, {"execution_logs", logsStorage}}
}

// Partition names the partition of the day that is written as dayName does.
func (p partitioned) Partition(dayName string) string { return p.name + "_" + dayName }

func DayName(d time.Time) string { return d.UTC().Format("20060102") }

// AddPartitions makes the partitions that are missing among days, those of one
// day in a transaction. Attaching, unlike creating in place, leaves readers
// and writers of the other days alone.
func (db *DB) AddPartitions(ctx context.Context, days []time.Time) error {
	for _, d := range days {
		err := db.API.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return addPartition(ctx, tx, d) })
		if err != nil {
			return fmt.Errorf("make the partition of %s: %w", d.Format(time.DateOnly), err)
		}
	}
	return nil
}

func addPartition(ctx context.Context, tx pgx.Tx, d time.Time) error {
	if _, err := tx.Exec(ctx, partitionLockSQL); err != nil {
		return err
	}
	for _, table := range PartitionedTables() {
		if err := table.add(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// add makes the partition of a day if there is none.
func (p partitioned) add(ctx context.Context, tx pgx.Tx, d time.Time) error {
	name := p.Partition(DayName(d))
	var exists bool
	if err := tx.QueryRow(ctx, partitionExistsSQL, name).Scan(&exists); err != nil || exists {
		return err
	}
	create := fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS) WITH (%s)`, name, p.name, p.storage)
	if _, err := tx.Exec(ctx, create); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
		p.name, name, firjob.FirstIDAt(d), firjob.FirstIDAt(d.AddDate(0, 0, 1))))
	return err
}

// More than half of a page stays free when fires are planned. A batch of claims
// touches every row of its pages in one transaction, and where all new versions
// find room beside the old ones no index changes: measured with batches of 512,
// a claim took 3.1 ms so, and 6.3 ms at a fill factor of 80. The room is used in
// the end, because the old versions leave it to the results.
//
// A day's rows change within it and rest afterwards, so vacuum comes early and
// by share of what changed.
const executionsStorage = `fillfactor = 45,
	autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.1,
	autovacuum_vacuum_insert_threshold = 20000, autovacuum_vacuum_insert_scale_factor = 0.1,
	autovacuum_analyze_threshold = 2000, autovacuum_analyze_scale_factor = 0.05`

// Of a log only its account changes, with each chunk.
const logsStorage = `fillfactor = 90, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.1`

const (
	partitionLockSQL   = `SELECT pg_advisory_xact_lock(hashtext('firjob partitions'))`
	partitionExistsSQL = `SELECT to_regclass($1::text) IS NOT NULL`
	PartitionListSQL   = `SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'executions'::regclass ORDER BY c.relname`
)

// DropPartitions drops the days that end at or before the horizon. A drop that
// does not get its lock at once leaves the day for the next call, so that no
// claim queues up behind it.
func (db *DB) DropPartitions(ctx context.Context, before time.Time) error {
	rows, err := db.API.Query(ctx, PartitionListSQL)
	if err != nil {
		return Classify("list partitions", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return Classify("list partitions", err)
	}
	for _, name := range names {
		ended := strings.TrimPrefix(name, "executions_")
		if ended >= DayName(before) {
			break
		}
		if err := db.DropDay(ctx, ended); err != nil {
			return Classify("drop the partition "+name, err)
		}
		db.Log.Info("dropped a partition", "partition", name)
	}
	return nil
}

// DropDay drops the partitions of the day that is written as dayName does.
func (db *DB) DropDay(ctx context.Context, dayName string) error {
	return db.API.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, partitionLockSQL); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, shortLockSQL); err != nil {
			return err
		}
		var names []string
		for _, table := range PartitionedTables() {
			names = append(names, pgx.Identifier{table.Partition(dayName)}.Sanitize())
		}
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+strings.Join(names, ", "))
		return err
	})
}

const shortLockSQL = `SET LOCAL lock_timeout = '100ms'`

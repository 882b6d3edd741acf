package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The executions of one UTC day are one partition, executions_YYYYMMDD, from
// FirstIDAt of its midnight to FirstIDAt of the next, and their logs another,
// execution_logs_YYYYMMDD; the two come and go together. There is no default
// partition: attaching a day would have to scan it under a lock. A fire of a day
// that has none, such as one that was missed months ago, makes it.

const day = 24 * time.Hour

// missingDays is the failure of an insert into days without a partition.
type missingDays struct{ days []time.Time }

func (e *missingDays) Error() string { return fmt.Sprintf("no partition for a day among %v", e.days) }

// insertError turns the failure of an insert of ids into missingDays if that
// is what it was.
func insertError(err error, ids []firjob.ExecutionID) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23514" || len(ids) == 0 { // check_violation
		return err
	}
	seen := map[time.Time]bool{}
	missing := &missingDays{}
	for _, id := range ids {
		if d := id.ScheduledAt().Truncate(day); !seen[d] {
			seen[d] = true
			missing.days = append(missing.days, d)
		}
	}
	return missing
}

// daysAround returns the UTC days from back before now to ahead after it.
func daysAround(now time.Time, back, ahead int) []time.Time {
	var days []time.Time
	for d := -back; d <= ahead; d++ {
		days = append(days, now.UTC().Truncate(day).AddDate(0, 0, d))
	}
	return days
}

// partitioned is a table that has a partition for each day of its ids.
type partitioned struct {
	name    string
	storage string // parameters of a partition
}

func partitionedTables() []partitioned {
	return []partitioned{{"executions", executionsStorage}, {"execution_logs", logsStorage}}
}

// partition names the partition of the day that is written as dayName does.
func (p partitioned) partition(dayName string) string { return p.name + "_" + dayName }

func dayName(d time.Time) string { return d.UTC().Format("20060102") }

// addPartitions makes the partitions that are missing among days, those of one
// day in a transaction. Attaching, unlike creating in place, leaves readers
// and writers of the other days alone.
func (db *DB) addPartitions(ctx context.Context, days []time.Time) error {
	for _, d := range days {
		err := db.api.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return addPartition(ctx, tx, d) })
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
	for _, table := range partitionedTables() {
		if err := table.add(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// add makes the partition of a day if there is none.
func (p partitioned) add(ctx context.Context, tx pgx.Tx, d time.Time) error {
	name := p.partition(dayName(d))
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
	partitionListSQL   = `SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'executions'::regclass ORDER BY c.relname`
)

// MaintainPartitions makes the partitions from yesterday to ahead days from
// now and drops those that lie wholly before the retention, each in a short
// transaction. It also forgets what has no use any more: idempotency keys after
// 24 hours, cancelled triggers after the retention.
func (db *DB) MaintainPartitions(ctx context.Context, ahead int, retention time.Duration) error {
	now, err := db.Now(ctx)
	if err != nil {
		return err
	}
	if err := db.addPartitions(ctx, daysAround(now, 1, ahead)); err != nil {
		return classify("maintain partitions", err)
	}
	return errors.Join(db.dropPartitions(ctx, now.Add(-retention)), db.purge(ctx, now.Add(-retention)))
}

// dropPartitions drops the days that end at or before the horizon. A drop that
// does not get its lock at once leaves the day for the next call, so that no
// claim queues up behind it.
func (db *DB) dropPartitions(ctx context.Context, before time.Time) error {
	rows, err := db.api.Query(ctx, partitionListSQL)
	if err != nil {
		return classify("list partitions", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return classify("list partitions", err)
	}
	for _, name := range names {
		ended := strings.TrimPrefix(name, "executions_")
		if ended >= dayName(before) {
			break
		}
		if err := db.dropDay(ctx, ended); err != nil {
			return classify("drop the partition "+name, err)
		}
		db.log.Info("dropped a partition", "partition", name)
	}
	return nil
}

// dropDay drops the partitions of the day that is written as dayName does.
func (db *DB) dropDay(ctx context.Context, dayName string) error {
	return db.api.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, partitionLockSQL); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, shortLockSQL); err != nil {
			return err
		}
		var names []string
		for _, table := range partitionedTables() {
			names = append(names, pgx.Identifier{table.partition(dayName)}.Sanitize())
		}
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+strings.Join(names, ", "))
		return err
	})
}

const shortLockSQL = `SET LOCAL lock_timeout = '100ms'`

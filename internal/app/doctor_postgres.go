package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/firjob/firjob/storage"
	"github.com/firjob/firjob/storage/inspect"
)

// The bounds of Postgres.
const (
	oldestPostgres = 140000        // server_version_num
	oldTransaction = 1 * time.Hour // it keeps vacuum and the dropping of days from their work
)

// postgres examines the server and the schema, and reports whether what the
// database holds can be examined, too.
func (x *exam) postgres(ctx context.Context, db *storage.DB) (sound bool) {
	x.timed(ctx, "postgres", 0, func(ctx context.Context) {
		if _, err := db.Now(ctx); err != nil {
			x.fail("postgres", err.Error(), "start Postgres, or correct FIRJOB_DATABASE_URL")
			return
		}
		if err := db.SchemaReady(ctx); err != nil {
			x.ok("postgres", "answers")
			x.fail("schema", err.Error(), "firjob migrate up")
			return
		}
		if err := db.Ready(ctx); err != nil {
			x.fail("postgres", err.Error(), "let FIRJOB_DATABASE_URL lead to the primary")
			return
		}
		x.ok("postgres", "answers, and can be written")
		x.ok("schema", "is the one that this program needs")
		sound = true
	})
	if !sound {
		return false
	}
	x.timed(ctx, "postgres clock", 0, func(ctx context.Context) { x.clock(ctx, "postgres clock", db.Now) })
	x.timed(ctx, "postgres settings", 0, func(ctx context.Context) {
		facts, err := db.Facts(ctx)
		if err != nil {
			x.tried("postgres settings", err)
			return
		}
		x.postgresVersion(facts)
		x.postgresSettings(facts.Settings)
		x.connections(facts)
		x.transactions(facts)
	})
	x.timed(ctx, "partitions", 0, func(ctx context.Context) { x.partitions(ctx, db) })
	return true
}

func (x *exam) postgresVersion(f inspect.Facts) {
	if f.VersionNum < oldestPostgres {
		x.fail("postgres version", f.Version+" is too old",
			fmt.Sprintf("use Postgres %d or newer", oldestPostgres/10000))
		return
	}
	x.ok("postgres version", "%s", f.Version)
}

// postgresSettings finds those that break a promise, and those that end in a
// slow database.
func (x *exam) postgresSettings(have map[string]string) {
	before := len(x.findings)
	const check = "postgres settings"
	if have["fsync"] == "off" {
		x.fail(check, "fsync is off: a crash of the machine loses what was acknowledged, or the whole database",
			"ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();")
	}
	if have["synchronous_commit"] == "off" {
		x.fail(check, "synchronous_commit is off for this role and database: a crash loses results that were "+
			"acknowledged, and tokens may be given twice",
			"set it to on, with ALTER SYSTEM, ALTER DATABASE or ALTER ROLE, wherever it is off")
	}
	if have["full_page_writes"] == "off" {
		x.warn(check, "full_page_writes is off: a crash of the machine may damage pages, unless the file system "+
			"writes them whole",
			"ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();")
	}
	if have["autovacuum"] == "off" || have["track_counts"] == "off" {
		x.warn(check, "autovacuum does not run (autovacuum or track_counts is off): tables grow, and claims "+
			"become slow",
			"ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();")
	}
	if len(x.findings) == before {
		x.ok(check, "fsync, synchronous_commit %s, full_page_writes and autovacuum are as they should be",
			have["synchronous_commit"])
	}
}

// connections sees that another server finds room, as in a rolling upgrade.
func (x *exam) connections(f inspect.Facts) {
	text := fmt.Sprintf("%d of %d connections are in use", f.Connections, f.MaxConns)
	if f.MaxConns-f.Connections < x.MaxConns {
		x.warn("postgres connections", fmt.Sprintf("%s: one more server, as in an upgrade, needs %d", text, x.MaxConns),
			"raise max_connections, or lower FIRJOB_DATABASE_CONNS of the servers")
		return
	}
	x.ok("postgres connections", "%s; a server needs %d", text, x.MaxConns)
}

func (x *exam) transactions(f inspect.Facts) {
	if f.OldestTx < oldTransaction {
		x.ok("postgres transactions", "none that this role may see is older than %v", oldTransaction)
		return
	}
	x.warn("postgres transactions",
		fmt.Sprintf("one of %q is open since %v: vacuum cannot clean up behind it, and days that it has read cannot "+
			"be dropped", f.OldestBy, f.OldestTx.Round(time.Second)),
		"find it in pg_stat_activity by xact_start, and end it with pg_terminate_backend")
}

// partitionsWanted is for how many days to come the servers make partitions.
const partitionsWanted = 3

func (x *exam) partitions(ctx context.Context, db *storage.DB) {
	const check = "partitions"
	facts, err := db.PartitionFacts(ctx, partitionsWanted, x.Retention+24*time.Hour) // the servers drop days hourly
	if err != nil {
		x.tried(check, err)
		return
	}
	before := len(x.findings)
	if len(facts.Missing) > 0 {
		x.warn(check, "missing: "+strings.Join(facts.Missing, ", ")+
			": the first fire of such a day makes it, and waits for that",
			"see a server's log for \"partitions cannot be maintained\"; each server makes them at its start "+
				"and hourly")
	}
	if len(facts.Expired) > 0 {
		x.warn(check, fmt.Sprintf("%d are older than the retention of %v and still there, from %s on",
			len(facts.Expired), x.Retention, facts.Expired[0]),
			"see that no transaction stays open on them (pg_stat_activity), and that FIRJOB_RETENTION here is that "+
				"of the servers")
	}
	switch {
	case facts.Filled:
		x.fail(check, facts.Default+
			" is a default partition, and holds rows: the days of these cannot be made any more, and their fires fail",
			"move its rows away in a transaction that detaches it: nothing of fir-job makes or needs a default "+
				"partition")
	case facts.Default != "":
		x.warn(check, facts.Default+" is a default partition: each new day has to look through it under a lock",
			"detach it (ALTER TABLE … DETACH PARTITION "+facts.Default+
				"), see that it is still empty, and drop it; nothing of fir-job needs it")
	}
	if len(x.findings) == before {
		x.ok(check, "there for the next %d days, and none is older than the retention", partitionsWanted)
	}
}

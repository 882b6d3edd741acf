package inspect

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob/storage/pg"
)

// What follows reads what Postgres says of itself, for people who look for
// faults. It writes nothing.

// Facts is how the server and this database are set up.
type Facts struct {
	Version     string // "15.18"
	VersionNum  int    // 150018
	Recovery    bool   // it is a standby
	Settings    map[string]string
	Connections int           // in use, of all databases
	MaxConns    int           // that others than superusers may have
	OldestTx    time.Duration // the age of the oldest transaction of this database that this role may see
	OldestBy    string        // application_name of its session
}

// Facts returns how the server is set up. The settings are those of a session of
// this role in this database: fsync, full_page_writes, synchronous_commit,
// autovacuum, track_counts. Of sessions of other roles an ordinary role sees that
// they are there, and not what they are or since when they have a transaction.
func (db *Inspector) Facts(ctx context.Context) (Facts, error) {
	f := Facts{}
	var age float64
	err := db.API.QueryRow(ctx, factsSQL).Scan(&f.Version, &f.VersionNum, &f.Recovery, &f.Settings, &f.Connections,
		&f.MaxConns, &age, &f.OldestBy)
	f.Version, _, _ = strings.Cut(f.Version, " ")
	f.OldestTx = time.Duration(age * float64(time.Second))
	return f, pg.Classify("read the settings of postgres", err)
}

const factsSQL = `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
	pg_is_in_recovery(),
	(SELECT json_object_agg(name, setting) FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'track_counts')),
	(SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL
	AND coalesce(backend_type, 'client backend') = 'client backend'),
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
	coalesce(extract(epoch FROM clock_timestamp() - oldest.xact_start)::float8, 0),
	coalesce(oldest.application_name, '')
	FROM (SELECT 1) AS one LEFT JOIN LATERAL (SELECT xact_start, application_name FROM pg_stat_activity
		WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
		ORDER BY xact_start LIMIT 1) AS oldest ON true`

// PartitionFacts is how the partitions stand.
type PartitionFacts struct {
	Missing []string // of the days from yesterday to those ahead that have no partition: executions_20270101
	Expired []string // that lie before the retention and are still there
	Default string   // of a default partition, which nobody but people makes; "" if there is none
	Filled  bool     // the default partition holds rows
}

// PartitionFacts compares the partitions with what MaintainPartitions makes of
// them. Only a default partition is read, as far as its first row.
func (db *Inspector) PartitionFacts(ctx context.Context, ahead int, retention time.Duration) (PartitionFacts, error) {
	var facts PartitionFacts
	now, err := db.Now(ctx)
	if err != nil {
		return facts, err
	}
	rows, _ := db.API.Query(ctx, partitionBoundsSQL)
	have := map[string]bool{}
	var table, name string
	var isDefault bool
	_, err = pgx.ForEachRow(rows, []any{&table, &name, &isDefault}, func() error {
		have[name] = true
		date := strings.TrimPrefix(name, table+"_")
		switch {
		case isDefault:
			facts.Default = name
		case date < pg.DayName(now.Add(-retention)):
			facts.Expired = append(facts.Expired, name)
		}
		return nil
	})
	if err != nil {
		return facts, pg.Classify("list partitions", err)
	}
	for _, d := range pg.DaysAround(now, 1, ahead) {
		for _, p := range pg.PartitionedTables() {
			if name := p.Partition(pg.DayName(d)); !have[name] {
				facts.Missing = append(facts.Missing, name)
			}
		}
	}
	if facts.Default != "" {
		query := "SELECT EXISTS (SELECT FROM " + pgx.Identifier{facts.Default}.Sanitize() + ")"
		err = db.API.QueryRow(ctx, query).Scan(&facts.Filled)
	}
	return facts, pg.Classify("look into the default partition", err)
}

const partitionBoundsSQL = `SELECT p.relname::text, c.relname::text, pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
	FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
	WHERE i.inhparent IN ('executions'::regclass, 'execution_logs'::regclass) ORDER BY c.relname`

// dueCountLimit bounds how many jobs are counted.
const dueCountLimit = 10_000

// JobsDue returns, for each app, how many of its jobs for executors have a fire
// before now+ahead: of the first ten thousand that have.
func (db *Inspector) JobsDue(ctx context.Context, ahead time.Duration) (map[string]int, error) {
	rows, _ := db.API.Query(ctx, jobsDueSQL, ahead, dueCountLimit)
	counts := map[string]int{}
	var app string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&app, &n}, func() error { counts[app] = n; return nil })
	return counts, pg.Classify("count the jobs that are due", err)
}

const jobsDueSQL = `SELECT app, count(*) FROM (
	SELECT app FROM jobs WHERE next_fire_at < now() + $1::interval AND (dispatch -> 'http') IS NULL
	ORDER BY next_fire_at LIMIT $2) AS due GROUP BY app`

// AppNames returns the names of all apps.
func (db *Inspector) AppNames(ctx context.Context) ([]string, error) {
	rows, _ := db.API.Query(ctx, appNamesSQL)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return names, pg.Classify("list the apps", err)
}

const appNamesSQL = `SELECT name FROM apps WHERE deleted_at IS NULL ORDER BY name`

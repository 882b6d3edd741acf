package storage_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/firjob/firjob/storage"
)

// rooms are the packages that hold statements, each after those that it imports.
var rooms = []string{"pg", "scan", "flow", "records", "inspect", "."}

// statements returns every SQL statement of the rooms by its name: they are the
// constants whose names end in SQL, so that none can be forgotten here.
func statements(t *testing.T) map[string]string {
	t.Helper()
	found, checked := map[string]string{}, checkedRooms{}
	for _, room := range rooms {
		pkg := checked.add(t, room)
		for _, name := range pkg.Scope().Names() {
			if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && strings.HasSuffix(name, "SQL") {
				name = strings.ToLower(name[:1]) + name[1:]
				if found[name] != "" {
					t.Errorf("two rooms have a statement %s", name)
				}
				found[name] = constant.StringVal(c.Val())
			}
		}
	}
	return found
}

// checkedRooms are rooms with their constants, by import path.
type checkedRooms map[string]*types.Package

// Import returns a room. Constants need no other imports, and what else cannot be
// resolved does not matter.
func (c checkedRooms) Import(path string) (*types.Package, error) {
	if pkg := c[path]; pkg != nil {
		return pkg, nil
	}
	return nil, fmt.Errorf("%s holds no statement", path)
}

func (c checkedRooms) add(t *testing.T, room string) *types.Package {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(room, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	config := types.Config{Importer: c, Error: func(error) {}}
	path := "github.com/firjob/firjob/storage/" + room
	pkg, _ := config.Check(path, set, files, nil)
	c[path] = pkg
	return pkg
}

// session opens a connection with the settings of the hot pool.
func (s *store) session() *pgx.Conn {
	s.t.Helper()
	return s.sessionWith(storage.HotSettings())
}

func (s *store) sessionWith(settings map[string]string) *pgx.Conn {
	s.t.Helper()
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range settings {
		config.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(s.t.Context(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(s.t.Context()) })
	return conn
}

func TestEveryStatementPrepares(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	conn := s.session()
	all := statements(t)
	if len(all) < 50 {
		t.Errorf("found %d statements, want them all", len(all))
	}
	for name, sql := range all {
		if _, err := conn.Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hotStatements are those that run for every batch of executions, with the
// indexes that they may use: a partition's primary key, and those of the tables
// beside. Nothing else finds rows as fast when the statistics are wrong.
var hotStatements = map[string][]string{
	"claimSQL":          {"executions_pkey", "jobs_pkey", "apps_limited"},
	"lockCandidatesSQL": {"executions_pkey"},
	"heldSlotsSQL":      {"app_slots_pkey", "job_slots_pkey"},
	"readJobsSQL":       {"jobs_pkey"},
	"succeedSQL":        {"executions_pkey"},
	"appsOfJobsSQL":     {"jobs_pkey"},
	"lockAttemptsSQL":   {"executions_pkey"},
	"writeAttemptsSQL":  {"executions_pkey"},
	"currentSQL":        {"executions_pkey"},
	"doubtSQL":          {"executions_pkey"},
	"holdersSQL":        {"executions_pkey"},
	"readHeldSQL":       {"executions_pkey", "jobs_pkey"},
	"renewHeldSQL":      {"executions_pkey"},
	"startSQL":          {"executions_pkey", "jobs_pkey"},
	"releaseSQL":        {"executions_pkey"},
	"unclaimSQL":        {"executions_pkey"},
	"finishAsSQL":       {"executions_pkey"},
	"queueUpSQL":        {"executions_pkey"},
	"letInSQL":          {"executions_pkey"},
	"takeSlotsSQL":      {},
	"lockSlotsSQL":      {"job_slots_pkey"},
	"removeSlotsSQL":    {"job_slots_pkey"},
	"writeSlotsSQL":     {"job_slots_pkey"},
	"dueReviewsSQL":     {"job_slots_review"},
	"nextReviewSQL":     {"job_slots_review"},
	"firstWaitingSQL":   {"executions_waiting", "app_queue_execution"},
	"countWaitingSQL":   {"executions_waiting", "app_queue_execution"},
	"lockWaitingSQL":    {"executions_pkey"},
	"lockHoldersSQL":    {"executions_pkey"},
	"limitedAppsSQL":    {"apps_limited"},
	"leaveAppsSQL":      {"app_slots_pkey", "app_queue_execution"},
	"lockGatesSQL":      {},
	"readGatesSQL":      {"apps_pkey", "app_usage_pkey", "app_slots_app"},
	"gateHeadSQL":       {"app_queue_pkey"},
	"lockQueuedSQL":     {"executions_pkey", "jobs_pkey"},
	"leaveQueueSQL":     {"app_queue_execution"},
	"takeAppSlotsSQL":   {},
	"writeGateSQL":      {"app_usage_pkey"},
	"parkSQL":           {},
	"queuedAppsSQL":     {"app_queue_pkey"},
	"lockFreeGatesSQL":  {"app_usage_pkey"},
	"childrenSQL":       {"job_parents_pkey"},
	"endsSQL":           {"executions_pkey"},
	"insertChildrenSQL": {},
	"lockJoinsSQL":      {},
	"saveJoinsSQL":      {},
	"insertShardsSQL":   {},
	"lockBroadcastsSQL": {"broadcasts_pkey"},
	"countShardsSQL":    {"broadcasts_pkey"},
	"shardFailuresSQL":  {"executions_pkey"},
	"failedShardsSQL":   {"executions_pkey"},
	"freeShardsSQL":     {"executions_pkey"},
	"openShardsSQL":     {"executions_pkey"},
	"newestDueSQL":      {"executions_job"},
	"firstCaughtUpSQL":  {"executions_job"},
	"latestIsOpenSQL":   {"executions_job"},
	"insertNewSQL":      {},
	"insertFiresSQL":    {"jobs_pkey"},
	"insertMissedSQL":   {"jobs_pkey"},
	"advanceJobsSQL":    {"jobs_pkey"},
	"namedJobsSQL":      {"jobs_pkey"},
	"lockDelayJobsSQL":  {"jobs_pkey"},
	"dueJobsSQL":        {"jobs_due"},
	"plannedSQL":        {"executions_open"},
	"expiredSQL":        {"executions_open"},
	"onExecutorSQL":     {"executions_open"},
	"byReplicaSQL":      {"executions_open"},

	"overdueSuspectsSQL":  {"executions_open"},
	"orphanedSuspectsSQL": {"executions_open", "broadcasts_pkey"},
	"stuckSuspectsSQL":    {"executions_open", "executors_pkey", "jobs_pkey"},
	"fatesSQL":            {"executions_pkey"},
	"jobsDueSQL":          {"jobs_due"},

	"recordDeadLettersSQL": {},
	"openBackfillsSQL":     {"backfills_open"},
	"lockBackfillSQL":      {"backfills_pkey", "jobs_pkey"},
	"openOfBackfillSQL":    {"executions_backfill"},
	"insertBackfillSQL":    {},
	"saveBackfillSQL":      {"backfills_pkey"},
}

var (
	scanned   = regexp.MustCompile(`(Seq|Bitmap \w+|Index(?: Only)?) Scan(?: Backward)?(?: using (\w+))? on (\w+)`)
	joined    = regexp.MustCompile(`Hash Cond: .*`)
	partition = regexp.MustCompile(`^executions_\d{8}_(\w+?)_?(idx\d*)?$`)
)

// The plan of a hot statement is made once per connection, perhaps when the
// tables are empty, and is kept. It must be the right one all the same: whether
// nothing is there yet, or much is there and the statistics say otherwise.
func TestPlansOfHotStatements(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	t.Run("empty tables", func(t *testing.T) { s.checkPlans(t) })
	s.exec(`ALTER TABLE jobs SET (autovacuum_enabled = off)`)
	s.exec(`ANALYZE`)
	t.Run("statistics of empty tables", func(t *testing.T) { s.checkPlans(t) })
	s.jobsInBulk(2000)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + k), 12, '0') || '800080000000' || lpad(to_hex(j), 8, '0'))::uuid,
			j, 1, now() FROM generate_series(1, 10) AS k, generate_series(1, 2000) AS j`)
	t.Run("stale statistics", func(t *testing.T) { s.checkPlans(t) })
	s.exec(`ANALYZE`)
	s.exec(`UPDATE executions SET state = 'succeeded', finished_at = now()`)
	t.Run("statistics from before a mass change", func(t *testing.T) { s.checkPlans(t) })
}

// Jobs that the API names by their ids are found by these, also in a table that was
// filled a moment ago and of which Postgres has no statistics.
func TestNamedJobsAreFoundByTheirIDs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.exec(`ALTER TABLE jobs SET (autovacuum_enabled = off)`)
	s.jobsInBulk(20_000)
	for _, name := range []string{"lookForJobsSQL", "livingParentsSQL"} {
		plan := s.apiPlan(t, "", name, "'{100,5000,5003,9000,12000,400,401,402}'")
		if !strings.Contains(plan, "jobs_pkey") || strings.Contains(plan, "jobs_name") {
			t.Errorf("%s is planned as\n%s", name, plan)
		}
	}
}

// Lists of what a small app executed do not read the jobs of all others.
func TestListsOfASmallAppReadItsOwnJobs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, err := s.CreateApp(t.Context(), "small", []byte("hash"), []byte("key")); err != nil {
		t.Fatal(err)
	}
	s.jobsInBulk(20_000)
	s.exec(`UPDATE jobs SET app = 'small' WHERE id % 4000 = 0`)
	s.exec(`UPDATE jobs SET deleted_at = now(), enabled = false, next_fire_at = NULL WHERE id % 10 = 0`)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + i), 12, '0') || '800080000000' || lpad(to_hex(j), 8, '0'))::uuid,
			j, 1, now() FROM generate_series(1, 20000) AS i, LATERAL (VALUES (4000), (i)) AS of(j) ON CONFLICT DO NOTHING`)
	s.exec(`VACUUM ANALYZE jobs`)
	s.exec(`ANALYZE executions`)
	const null, small = "NULL", "'small'"
	for name, c := range map[string]struct {
		setup string
		args  []string
	}{
		"executionsOfFewSQL": {"listingSQL", []string{null, null, null, small, "NULL::text[]", "101", "NULL::int[]", null, null}},
		"lookedOfAppSQL":     {"listingSQL", []string{null, null, small, "99"}},
		"countJobsOfSQL":     {"listingSQL", []string{small, "1001"}},
		"deadLettersSQL":     {"", []string{null, small, "NULL::text[]", null, null, "true", null, "101"}},
	} {
		plan := s.apiPlan(t, c.setup, name, c.args...)
		if strings.Contains(plan, "Seq Scan on jobs") || !strings.Contains(plan, "jobs_name") || !strings.Contains(plan, "jobs_deleted") {
			t.Errorf("%s is planned as\n%s", name, plan)
		}
		if whole := unbounded.FindString(plan); whole != "" {
			t.Errorf("%s reads all jobs, %s:\n%s", name, whole, plan)
		}
		if name == "lookedOfAppSQL" && strings.Count(plan, "Sort Key") != 1 {
			t.Errorf("all executions of each job are sorted, not only what was found:\n%s", plan)
		}
	}
}

// unbounded is a scan of all jobs by an index of them: what is below it, if anything,
// is no condition.
var unbounded = regexp.MustCompile(`Scan using jobs_pkey on jobs.*\n +[^I ]`)

var parameter = regexp.MustCompile(`\$\d+`)

// apiPlan returns the plan that the API's sessions make of a statement for arguments,
// which are SQL, after a statement that sets up their transaction, if one is named.
func (s *store) apiPlan(t *testing.T, setup, name string, args ...string) string {
	t.Helper()
	all := statements(t)
	sql := parameter.ReplaceAllStringFunc(all[name], func(p string) string {
		n, err := strconv.Atoi(p[1:])
		if err != nil || n > len(args) {
			t.Fatalf("%s has a parameter %s, want %d", name, p, len(args))
		}
		return args[n-1]
	})
	var plan string
	err := pgx.BeginFunc(t.Context(), s.sessionWith(storage.APISettings()), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), all[setup]); err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), "EXPLAIN (COSTS off) "+sql)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return plan
}

// What is forgotten each hour is found without reading what stays, however much
// that is.
func TestPurgesFindWhatIsOld(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	conn := s.session()
	all := statements(t)
	for _, name := range []string{"purgeKeysSQL", "purgeRequestsSQL", "purgeAppSlotsSQL", "purgeJoinsSQL", "purgeBroadcastsSQL", "purgeDeadLettersSQL"} {
		if plan := s.explain(t, conn, name, all[name], "COSTS off"); strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s reads the whole table:\n%s", name, plan)
		}
	}
}

// Those that wait for their turn may be many and wait for long. No sweep reads
// them.
func TestSweepsDoNotVisitTheOverlapQueue(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	job, _ := s.fire(nil)
	s.exec(`INSERT INTO executions (id, job_id, job_version, due_at, waiting)
		SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 60000 - k), 12, '0') || '800080000000' || lpad(to_hex($1::int), 8, '0'))::uuid,
			$1, 1, now(), true FROM generate_series(1, 3000) AS k`, int32(job.ID))
	conn := s.session()
	all := statements(t)
	for _, name := range []string{"plannedSQL", "expiredSQL", "onExecutorSQL", "byReplicaSQL",
		"overdueSuspectsSQL", "orphanedSuspectsSQL", "stuckSuspectsSQL"} {
		plan := s.explain(t, conn, name, all[name], "ANALYZE, COSTS off, TIMING off")
		if !strings.Contains(plan, "(actual") || strings.Contains(plan, "Filter: 3") {
			t.Errorf("%s reads those that wait:\n%s", name, plan)
		}
	}
}

func (s *store) checkPlans(t *testing.T) {
	conn := s.session()
	all := statements(t)
	for name, allowed := range hotStatements {
		plan := s.explain(t, conn, name, all[name], "COSTS off")
		var used []string
		for _, scan := range scanned.FindAllStringSubmatch(plan, -1) {
			index := scan[2]
			used = append(used, index)
			if index == "" || !strings.HasPrefix(scan[1], "Index") {
				t.Errorf("%s scans %s without an index:\n%s", name, scan[3], plan)
				continue
			}
			if !mayUse(allowed, index) {
				t.Errorf("%s uses %s, want one of %v:\n%s", name, index, allowed, plan)
				break
			}
		}
		if len(used) == 0 && len(allowed) > 0 {
			t.Errorf("%s shows no index, want %v:\n%s", name, allowed, plan)
		}
		for _, on := range joined.FindAllString(plan, -1) {
			if !strings.Contains(on, "id") && !strings.Contains(on, ".app") {
				t.Errorf("%s joins by what is not unique, %s:\n%s", name, on, plan)
			}
		}
		if strings.Contains(plan, "Nested Loop") || strings.Contains(plan, "Merge Join") {
			t.Errorf("%s joins otherwise than by hash:\n%s", name, plan)
		}
	}
}

// mayUse compares an index of a partition, as Postgres has named it, with the
// names of the parent's.
func mayUse(allowed []string, index string) bool {
	own := map[string]string{"pkey": "executions_pkey", "job_id_id": "executions_job", "id": "executions_open",
		"backfill_id_id": "executions_backfill"}
	name := index
	if m := partition.FindStringSubmatch(index); m != nil {
		name = own[m[1]]
		if index[len(index)-len("idx1"):] == "idx1" {
			name = "executions_waiting"
		}
	}
	for _, a := range allowed {
		if a == name {
			return true
		}
	}
	return false
}

// explain returns the generic plan of a statement. Its parameters do not shape
// the plan; but the bounds of ids choose the partitions that are shown, and
// therefore span them all.
func (s *store) explain(t *testing.T, conn *pgx.Conn, name, sql, options string) string {
	t.Helper()
	if sql == "" {
		t.Fatalf("there is no statement %s", name)
	}
	description, err := conn.Prepare(t.Context(), "probe_"+name, sql)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var args []string
	bounds := []string{"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}
	for _, oid := range description.ParamOIDs {
		switch {
		case oid == pgtype.UUIDOID:
			args, bounds = append(args, bounds[0]), bounds[min(1, len(bounds)-1):]
		case oid == pgtype.IntervalOID:
			args = append(args, "'1 hour'")
		default:
			args = append(args, "NULL")
		}
	}
	execute := fmt.Sprintf(`EXPLAIN (%s) EXECUTE "probe_%s"(%s)`, options, name, strings.Join(args, ", "))
	rows, err := conn.Query(t.Context(), strings.TrimSuffix(execute, "()"), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("explain %s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

package storage_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// A shardKey says how tables could be spread over several databases: by which
// columns a row's place is known. Columns of one table mean the same: the job
// number stands in job_id and inside the execution's id. Tables of another group
// are spread by another value, and so lie elsewhere. A table that is in neither
// map is one that is not spread at all.
type shardKey struct {
	columns map[string][]string
	group   map[string]string // "" unless it is named here
	copied  []string          // tables that each database has a copy of
}

// byJob is the key that docs/scaling.md recommends. What is counted for a whole
// app has its place by the app.
var byJob = shardKey{
	columns: map[string][]string{
		"executions": {"job_id", "id"}, "jobs": {"id"}, "job_slots": {"job_id"}, "job_parents": {"parent"}, "child_joins": {"child"},
		"broadcasts": {"execution_id"}, "backfills": {"job_id"}, "dead_letters": {"job_id", "execution_id"},
		"app_usage": {"app"}, "app_slots": {"app"}, "app_queue": {"app"}, "executors": {"app"},
	},
	group:  map[string]string{"app_usage": "app", "app_slots": "app", "app_queue": "app", "executors": "app"},
	copied: []string{"apps"},
}

// byColumn is byJob for a database that cannot see the job number in an id. The
// others are keys that were not chosen.
var (
	byColumn = byJob.with("executions", "job_id")
	byApp    = shardKey{
		columns: map[string][]string{"jobs": {"app"}, "app_usage": {"app"}, "app_slots": {"app"}, "app_queue": {"app"}},
		copied:  []string{"apps"},
	}
	byExecution = shardKey{
		columns: map[string][]string{"executions": {"id"}, "broadcasts": {"execution_id"}, "dead_letters": {"execution_id"},
			"app_slots": {"execution_id"}, "app_queue": {"execution_id"}, "jobs": {"id"}, "job_slots": {"job_id"}, "job_parents": {"parent"}},
		group:  map[string]string{"jobs": "job", "job_slots": "job", "job_parents": "job"},
		copied: []string{"apps"},
	}
)

func (k shardKey) with(table, column string) shardKey {
	k.columns = maps.Clone(k.columns)
	k.columns[table] = []string{column}
	return k
}

const (
	lookout   = "looks for what is due, lost or stuck; each database can be asked for its own, and the answers put together"
	sameJob   = "takes a range of ids, which are all of one job by their making; to name job_id as well would do"
	twoGroups = "reads what is spread by job beside what is spread by app; two statements would do"
	byNumber  = "names the backfill by its own number; to name its job_id as well would do"
	idOfApp   = "finds places of apps by execution; to name the apps as well would do"
)

// crossing are the hot statements that would touch more than one database, or
// that a database could not know to be kept to one, and why. docs/scaling.md
// says what it means.
var crossing = map[string]string{
	"dueJobsSQL": lookout, "plannedSQL": lookout, "expiredSQL": lookout, "onExecutorSQL": lookout, "byReplicaSQL": lookout,
	"dueReviewsSQL": lookout, "nextReviewSQL": lookout, "queuedAppsSQL": lookout, "openBackfillsSQL": lookout,
	"jobsDueSQL": lookout, "overdueSuspectsSQL": lookout, "orphanedSuspectsSQL": lookout, "stuckSuspectsSQL": lookout,
	"failedShardsSQL": sameJob, "freeShardsSQL": sameJob, "openShardsSQL": sameJob, "shardFailuresSQL": sameJob,
	"heldSlotsSQL": twoGroups, "firstWaitingSQL": twoGroups, "countWaitingSQL": twoGroups,
	"lockBackfillSQL": byNumber, "saveBackfillSQL": byNumber, "openOfBackfillSQL": byNumber,
	"leaveAppsSQL": idOfApp, "leaveQueueSQL": idOfApp,
}

// No hot statement may come to need rows of two databases unnoticed.
func TestHotStatementsKeepToTheShardKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	conn := s.unpruned(t)
	all := statements(t)
	for _, name := range slices.Sorted(maps.Keys(hotStatements)) {
		faults := byJob.faults(s.planOf(t, conn, name, all[name]))
		reason, listed := crossing[name]
		switch {
		case len(faults) > 0 && !listed:
			t.Errorf("%s would cross databases:\n  %s\nkeep it to the job number, or list it in crossing with the reason", name, strings.Join(faults, "\n  "))
		case len(faults) == 0 && listed:
			t.Errorf("%s is listed in crossing (%s), but keeps to the job number now: take it off the list", name, reason)
		case listed:
			t.Logf("%s crosses: %s (%s)", name, strings.Join(faults, "; "), reason)
		}
	}
	for name := range crossing {
		if hotStatements[name] == nil {
			t.Errorf("crossing lists %s, which is no hot statement", name)
		}
	}
}

// The job number is the best of the keys that there are.
func TestJobNumberCrossesLeast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	conn := s.unpruned(t)
	all := statements(t)
	crosses := map[string]int{}
	for name := range hotStatements {
		plan := s.planOf(t, conn, name, all[name])
		for key, k := range map[string]shardKey{"job": byJob, "job_id": byColumn, "app": byApp, "execution": byExecution} {
			if len(k.faults(plan)) > 0 {
				crosses[key]++
			}
		}
	}
	for _, other := range []string{"app", "execution"} {
		if crosses["job"] >= crosses[other] {
			t.Errorf("hot statements that cross, by key: %v; want fewer with the job number than with the %s", crosses, other)
		}
	}
	t.Logf("of %d hot statements cross, by key: %v", len(hotStatements), crosses)
}

// docs/scaling.md counts those that cross, by their reasons.
func TestScalingDocumentCountsWhatCrosses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("| **job number** | %d |", len(crossing))}
	counts := map[string]int{}
	for _, reason := range crossing {
		counts[reason]++
	}
	for reason, n := range counts {
		why, mend, _ := strings.Cut(reason, "; ")
		want = append(want, fmt.Sprintf("| %s | %d | %s |", why, n, mend))
	}
	for _, line := range want {
		if !strings.Contains(string(text), line) {
			t.Errorf("docs/scaling.md does not say %q", line)
		}
	}
}

// The judge itself: what it finds, and what it lets pass.
func TestShardKeyFaults(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	conn := s.unpruned(t)
	tests := []struct{ name, sql, want string }{
		{"by id", `SELECT state FROM executions WHERE id = ANY($1::uuid[])`, ""},
		{"by job", `SELECT id FROM executions WHERE job_id = $1 AND job_id > 0`, ""},
		{"joined by the job", `SELECT e.id FROM executions AS e, jobs AS j WHERE e.id = ANY($1::uuid[]) AND j.id = ANY($2::int[]) AND j.id = e.job_id`, ""},
		{"a batch", `INSERT INTO dead_letters (execution_id, job_id, failed_at) SELECT u.id, u.job, now() FROM unnest($1::uuid[], $2::int[]) AS u(id, job)`, ""},
		{"a copied table", `SELECT j.id FROM jobs AS j WHERE j.id = $1 AND j.app <> ALL(ARRAY(SELECT name FROM apps WHERE limited))`, ""},
		{"by state", `SELECT id FROM executions WHERE finished_at IS NULL AND NOT waiting`, "executions"},
		{"by what a subquery finds", `SELECT state FROM executions WHERE job_id > 0 AND job_id = (SELECT id FROM jobs WHERE id = $1 AND name = 'n' LIMIT 1)`, "executions"},
		{"joined by the app", `SELECT a.id FROM jobs AS a, jobs AS b WHERE a.id = ANY($1::int[]) AND b.id = ANY($2::int[]) AND a.app = b.app`, "joins"},
		{"joined by nothing", `SELECT e.id FROM executions AS e, job_slots AS s WHERE e.id = $1 AND s.job_id = $2`, "joins"},
		{"by what may be either", `SELECT id FROM jobs WHERE id = $1 OR app = $2`, "jobs"},
		{"two groups", `SELECT 1 FROM app_slots AS a, job_slots AS s WHERE a.app = $1 AND s.job_id = $2`, "joins"},
		{"rows of another table", `INSERT INTO dead_letters (execution_id, job_id, failed_at) SELECT id, job_id, now() FROM later_triggers`, "later_triggers"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults := byJob.faults(s.planOf(t, conn, fmt.Sprintf("synthetic_%d", i), tt.sql))
			if got := strings.Join(faults, "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%s\ngot the faults %q, want %q among them, and none if that is empty", tt.sql, faults, tt.want)
			}
		})
	}
}

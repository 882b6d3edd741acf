package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/scheduler"
	"github.com/firjob/firjob/storage"
)

// Numbers of what is at work.
const (
	suspectsCounted = 1000
	soonDue         = time.Hour
	// executorFresh is how old a beat may be that Postgres knows: servers write
	// those of the last moments each 2 s.
	executorFresh = 15 * time.Second
)

// work looks for executions and jobs that nobody sees to.
func (x *exam) work(ctx context.Context, db *storage.DB) {
	x.timed(ctx, "executions", 0, func(ctx context.Context) { x.stuck(ctx, db) })
	x.timed(ctx, "executors", 0, func(ctx context.Context) { x.executors(ctx, db) })
}

// stuck computes the gauges that must read zero.
func (x *exam) stuck(ctx context.Context, db *storage.DB) {
	const check = "executions"
	report, err := db.Stuck(ctx, scheduler.StuckBoundsOf(x.LeaseTTL), suspectsCounted)
	if err != nil {
		x.tried(check, err)
		return
	}
	before := len(x.findings)
	if s := report.Overdue; s.Count > 0 {
		x.fail(check, "overdue and not claimed: "+counted(s.Count, s.First),
			"see that servers run and reach Postgres; a server's log and \"firjob execution explain\" of the "+
				"first say more")
	}
	if s := report.Orphaned; s.Count > 0 {
		x.fail(check, "running, but held by nobody: "+counted(s.Count, s.First),
			"see firjob_sweep_age_seconds of each server, and a server's log for \"end leases\"")
	}
	if s := report.Stuck; s.Count > 0 {
		x.fail(check, "running past their timeout, or on an executor that is gone: "+counted(s.Count, s.First),
			"firjob execution cancel them; see a server's log for \"executor gone\" and \"end leases\"")
	}
	if len(x.findings) == before {
		x.ok(check, "none is overdue, orphaned or stuck")
	}
}

// counted writes a number and the earliest ids.
func counted(n int, first []firjob.ExecutionID) string {
	text := fmt.Sprint(n)
	if n >= suspectsCounted {
		text += " or more"
	}
	var ids []string
	for _, id := range first[:min(3, len(first))] {
		ids = append(ids, id.String())
	}
	return text + ", the earliest " + strings.Join(ids, ", ")
}

// executors looks for apps whose fires nobody would run.
func (x *exam) executors(ctx context.Context, db *storage.DB) {
	const check = "executors"
	due, err := db.JobsDue(ctx, soonDue)
	if err != nil {
		x.tried(check, err)
		return
	}
	live, err := db.Executors(ctx, executorFresh)
	if err != nil {
		x.tried(check, err)
		return
	}
	alive := map[string]int{}
	for _, e := range live {
		alive[e.App]++
	}
	before := len(x.findings)
	for _, app := range slices.Sorted(maps.Keys(due)) {
		if alive[app] == 0 {
			x.fail(check, fmt.Sprintf("app %s has no live executor, and jobs with a fire within %v: %d", app, soonDue,
				due[app]),
				"start its executors, or pause its jobs; until then its executions wait")
		}
	}
	if len(x.findings) == before {
		x.ok(check, "every app with jobs that are soon due has one that lives; %d in all", len(live))
	}
}

// index compares the delay queue with Postgres, twice, since both are in motion.
func (x *exam) index(ctx context.Context, db *storage.DB, queue *redisq.Client) {
	const check = "index"
	x.timed(ctx, check, x.Pause, func(ctx context.Context) {
		audit := &scheduler.IndexAudit{Store: db, Queue: queue, Horizon: x.Horizon}
		if _, err := audit.Look(ctx); err != nil {
			x.tried(check, err)
			return
		}
		select {
		case <-time.After(x.Pause):
		case <-ctx.Done():
		}
		drift, err := audit.Look(ctx)
		if err != nil {
			x.tried(check, err)
			return
		}
		x.drift(check, drift)
	})
}

func (x *exam) drift(check string, d ports.IndexDrift) {
	if ids := d.Unknown; len(ids) > 0 {
		x.warn(check, "in Redis, but unknown to Postgres: "+counted(len(ids), ids),
			"they do no harm and go when they are due; after a restore, empty Redis: the servers rebuild the index")
	}
	if ids := d.Ended; len(ids) > 0 {
		x.warn(check, "long due in Redis, but ended in Postgres: "+counted(len(ids), ids),
			"see that servers run and that their clocks agree with that of Redis")
	}
	if ids := d.Missing; len(ids) > 0 {
		x.warn(check, "planned and soon due in Postgres, but not in Redis, so up to two seconds late: "+
			counted(len(ids), ids),
			"redis-cli DEL fj:meta makes the servers rebuild the index; look for evictions and failovers of Redis")
	}
	if d.Count() == 0 {
		x.ok(check, "what was looked at in Redis and in Postgres agrees")
	}
}

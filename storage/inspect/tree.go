package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Tree returns an execution with what it led to, and the root of the tree that
// it belongs to. Shards are part of their broadcast and left out. Of the
// executions of the run since then no more than limit are looked at, the earliest
// first; cut tells that there are more. CodeNotFound if there is no such execution.
func (db *Inspector) Tree(ctx context.Context, id firjob.ExecutionID,
	limit int) (tree ports.Tree, root firjob.ExecutionID, cut bool, err error) {
	top, _, err := scan.FindExecution(ctx, db.API, id)
	if err != nil {
		return tree, root, false, pg.Classify("read the tree", err)
	}
	root = rootOf(top)
	since := top.ScheduledAt
	if top.FinishedAt != nil && top.FinishedAt.Before(since) { // it was cancelled before its time
		since = *top.FinishedAt
	}
	rows, _ := db.API.Query(ctx, treeSQL, [16]byte(root), [16]byte(firjob.FirstIDAt(since)), limit+1)
	below, err := pgx.CollectRows(rows, scan.Execution)
	if err != nil {
		return tree, root, false, pg.Classify("read the tree", err)
	}
	if cut = len(below) > limit; cut {
		below = below[:limit]
	}
	g := &grove{root: root, below: map[firjob.ExecutionID][]firjob.Execution{}}
	for _, e := range below {
		if e.Parent != nil && e.ID != id {
			g.below[*e.Parent] = append(g.below[*e.Parent], e)
		}
	}
	if err := g.readChildren(ctx, db.API, top, below); err != nil {
		return tree, root, false, pg.Classify("read the tree", err)
	}
	return g.tree(top), root, cut, nil
}

func rootOf(e firjob.Execution) firjob.ExecutionID {
	if e.Root != nil {
		return *e.Root
	}
	return e.ID
}

// A shard's ordinal, the 12 bits after the version, is not 0.
const treeSQL = `SELECT ` + scan.ExecutionColumns + ` FROM executions AS e JOIN jobs AS j ON j.id = e.job_id
	WHERE e.root = $1 AND e.id >= $2 AND substring(uuid_send(e.id) FROM 7 FOR 2) = '\x8000'
	ORDER BY e.id LIMIT $3`

// grove is what a tree is made of.
type grove struct {
	root     firjob.ExecutionID
	below    map[firjob.ExecutionID][]firjob.Execution // by parent
	children map[firjob.JobID][]firjob.JobID           // by parent
	jobs     map[firjob.JobID]scan.JobRow              // the children
	joins    map[firjob.JobID]joinState                // by child
}

// joinState is how a join of the run stands.
type joinState struct {
	ends      []firjob.ParentEnd
	triggered *firjob.ExecutionID
}

// readChildren reads which children the jobs of the executions have, and how
// their joins stand.
func (g *grove) readChildren(ctx context.Context, q pg.Querier, top firjob.Execution, below []firjob.Execution) error {
	ids := []firjob.ExecutionID{top.ID}
	for _, e := range below {
		ids = append(ids, e.ID)
	}
	rows, _ := q.Query(ctx, flow.ChildrenSQL, pg.Numbers(pg.JobsOf(ids)))
	var named map[firjob.JobID]bool
	var err error
	if g.children, named, err = flow.ScanChildren(rows); err != nil || len(named) == 0 {
		return err
	}
	if g.jobs, err = flow.ReadJobs(ctx, q, slices.Sorted(maps.Keys(named))); err != nil {
		return err
	}
	rows, _ = q.Query(ctx, joinsSQL, [16]byte(firjob.RunOf(g.root)))
	g.joins = map[firjob.JobID]joinState{}
	var child firjob.JobID
	var ends []byte
	var triggered *[16]byte
	_, err = pgx.ForEachRow(rows, []any{&child, &ends, &triggered}, func() error {
		state := joinState{triggered: (*firjob.ExecutionID)(triggered)}
		err := json.Unmarshal(ends, &state.ends)
		g.joins[child] = state
		return err
	})
	return err
}

const joinsSQL = `SELECT child, ends, triggered FROM child_joins WHERE run = $1`

// tree returns e and what is below it. Ids grow from parents to children but
// for executions of one millisecond, and each has one parent: there is no circle.
func (g *grove) tree(e firjob.Execution) ports.Tree {
	t := ports.Tree{Execution: e}
	ran := map[firjob.JobID]bool{}
	for _, child := range g.below[e.ID] {
		ran[child.JobID] = ran[child.JobID] || child.RetryOf == nil
		t.Children = append(t.Children, g.tree(child))
	}
	if e.Shard != nil {
		return t
	}
	for _, child := range g.children[e.JobID] {
		if job := g.jobs[child]; !ran[child] && !job.Deleted && job.Parents != nil {
			t.NotRun = append(t.NotRun, ports.NotRun{JobID: child, Job: job.Name, Reason: g.whyNot(e, job)})
		}
	}
	return t
}

// whyNot says why the end of e has not triggered a child.
func (g *grove) whyNot(e firjob.Execution, child scan.JobRow) string {
	on, _ := flow.ConditionOf(*child.Parents, e.JobID)
	join := g.joins[child.ID]
	switch {
	case !e.State.Final():
		return "waits for the end of this execution"
	case !on.Meets(e.State):
		return fmt.Sprintf("runs on %s; the parent %s", on, became(e.State))
	case join.triggered != nil:
		return fmt.Sprintf("was triggered in this run by another parent's end: execution %s", join.triggered)
	case len(child.Parents.Of) > 1 && child.Parents.Join != firjob.JoinAny && !flow.JoinMet(*child.Parents, join.ends):
		return joinLacks(*child.Parents, join.ends)
	case !child.Enabled:
		return "the job is paused"
	}
	return "the job was paused, or not a child yet, when the parent ended"
}

// joinLacks says for which end a join waits, or which one has spoilt it.
func joinLacks(parents firjob.Parents, ends []firjob.ParentEnd) string {
	waits := ""
	for _, p := range parents.Of {
		i := slices.IndexFunc(ends, func(e firjob.ParentEnd) bool { return e.Job == p.Job })
		switch {
		case i >= 0 && !p.On.Meets(ends[i].State):
			return fmt.Sprintf("job %d %s, so that not all parents can %s", p.Job, became(ends[i].State), verbOf(p.On))
		case i < 0 && waits == "":
			waits = fmt.Sprintf("waits for job %d", p.Job)
		case i < 0:
			waits += fmt.Sprintf(", job %d", p.Job)
		}
	}
	return waits + " of this run"
}

// became says an end as part of a sentence.
func became(s firjob.State) string {
	switch s {
	case firjob.StateTimedOut:
		return "timed out"
	case firjob.StateSucceeded, firjob.StateFailed:
		return string(s)
	}
	return "was " + string(s)
}

func verbOf(on firjob.On) string {
	switch on {
	case firjob.OnFailure:
		return "fail"
	case firjob.OnEnd:
		return "end"
	}
	return "succeed"
}

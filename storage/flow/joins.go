package flow

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// A job with several parents is triggered once in a run. Its row of child_joins notes
// which parents have ended. A transaction that notes an end locks the row, so that of
// parents that end at the same time the last one finds the others.

// joinKey names the join of a child in a run.
type joinKey struct {
	run   firjob.ExecutionID
	child firjob.JobID
}

func compareJoinKeys(a, b joinKey) int {
	if a.run != b.run {
		return pg.CompareIDs(a.run, b.run)
	}
	return int(int64(a.child) - int64(b.child))
}

// childJoin is a row of child_joins and what happens to it.
type childJoin struct {
	job       scan.JobRow
	fresh     []parentEnd // ended in this transaction
	ends      []firjob.ParentEnd
	triggered *[16]byte
	run       *childRun // the execution that it triggers now
}

// noteEnd adds an end to the join of a child that it belongs to.
func noteEnd(joins map[joinKey]*childJoin, e parentEnd, child scan.JobRow) {
	key := joinKey{firjob.RunOf(e.root), child.ID}
	if joins[key] == nil {
		joins[key] = &childJoin{job: child}
	}
	joins[key].fresh = append(joins[key].fresh, e)
}

// meetJoins locks the joins, enters the new ends and returns the executions
// that are triggered by that.
func meetJoins(ctx context.Context, tx pgx.Tx, joins map[joinKey]*childJoin) ([]*childRun, error) {
	if len(joins) == 0 {
		return nil, nil
	}
	keys := slices.SortedFunc(maps.Keys(joins), compareJoinKeys)
	if err := lockJoins(ctx, tx, keys, joins); err != nil {
		return nil, err
	}
	var childRuns []*childRun
	for _, key := range keys {
		if j := joins[key]; j.meet() {
			childRuns = append(childRuns, j.run)
		}
	}
	return childRuns, nil
}

// meet enters the new ends, the latest of each parent, and reports whether the
// child is triggered. The trigger is the end that completes the join.
func (j *childJoin) meet() bool {
	for _, e := range j.fresh {
		enterEnd(&j.ends, e.ParentEnd)
		if j.triggered == nil && j.run == nil && j.job.Enabled && JoinMet(*j.job.Parents, j.ends) {
			j.run = &childRun{job: j.job.ID, parent: e, inputs: slices.Clone(j.ends)}
		}
	}
	return j.run != nil
}

// enterEnd puts an end in the place of an earlier one of the same job, which has
// been retried, or adds it.
func enterEnd(ends *[]firjob.ParentEnd, e firjob.ParentEnd) {
	if i := slices.IndexFunc(*ends, func(known firjob.ParentEnd) bool { return known.Job == e.Job }); i >= 0 {
		(*ends)[i] = e
		return
	}
	*ends = append(*ends, e)
}

// JoinMet reports whether the ends are those that the join waits for.
func JoinMet(parents firjob.Parents, ends []firjob.ParentEnd) bool {
	met := 0
	for _, e := range ends {
		if meets(parents, e) {
			met++
		}
	}
	return met == len(parents.Of) || met > 0 && parents.Join == firjob.JoinAny
}

// lockJoins locks the rows of joins, makes those that are missing, and reads
// them.
func lockJoins(ctx context.Context, tx pgx.Tx, keys []joinKey, joins map[joinKey]*childJoin) error {
	runs, children := splitKeys(keys)
	rows, _ := tx.Query(ctx, lockJoinsSQL, pg.UUIDs(runs), children)
	var key joinKey
	var ends []byte
	var triggered *[16]byte
	_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&key.run), &key.child, &ends, &triggered}, func() error {
		j := joins[key]
		j.triggered = triggered
		return json.Unmarshal(ends, &j.ends)
	})
	return err
}

// saveJoins writes what was entered.
func saveJoins(ctx context.Context, tx pgx.Tx, joins map[joinKey]*childJoin) error {
	if len(joins) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(joins), compareJoinKeys)
	runs, children := splitKeys(keys)
	ends, triggered := make([]string, len(keys)), make([]*[16]byte, len(keys))
	for i, key := range keys {
		j := joins[key]
		ends[i], triggered[i] = endsJSON(j.ends, firjob.MaxInputs), j.triggered
		if j.run != nil {
			triggered[i] = (*[16]byte)(&j.run.id)
		}
	}
	_, err := tx.Exec(ctx, saveJoinsSQL, pg.UUIDs(runs), children, ends, triggered)
	return err
}

func splitKeys(keys []joinKey) (runs []firjob.ExecutionID, children []int32) {
	for _, key := range keys {
		runs, children = append(runs, key.run), append(children, int32(key.child))
	}
	return runs, children
}

// The rows are locked in the order of their keys. The update of the first
// statement locks, and makes RETURNING tell what stands there; the second is an
// insert because that needs no plan for finding rows.
const (
	lockJoinsSQL = `INSERT INTO child_joins AS c (run, child, ends)
		SELECT v.run, v.child, '[]' FROM unnest($1::uuid[], $2::int[]) AS v(run, child) ORDER BY v.run, v.child
		ON CONFLICT (run, child) DO UPDATE SET updated_at = now()
		RETURNING run, child, ends, triggered`
	saveJoinsSQL = `INSERT INTO child_joins (run, child, ends, triggered)
		SELECT v.run, v.child, v.ends::json, v.triggered
		FROM unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[]) AS v(run, child, ends, triggered)
		ON CONFLICT (run, child) DO UPDATE SET ends = EXCLUDED.ends, triggered = EXCLUDED.triggered`
)

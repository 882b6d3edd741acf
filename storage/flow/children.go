package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// The transaction that records the end of a parent also records the execution of its
// child: both are there, or neither. An end is recorded once, so a child of one parent is
// triggered once. A child of several parents is triggered once because its row of
// child_joins says which parents have ended.

// triggerChildren records the executions of jobs that these ends trigger.
func triggerChildren(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {
	f, err := readFamily(ctx, tx, list)
	if err != nil || f == nil {
		return err
	}
	var childRuns []*childRun
	joins := map[joinKey]*childJoin{}
	for _, e := range f.ends {
		for _, child := range f.children[e.id.Job()] {
			job := f.jobs[child]
			switch {
			case job.Deleted || job.Parents == nil:
			case len(job.Parents.Of) > 1:
				noteEnd(joins, e, job)
			case job.Enabled && meets(*job.Parents, e.ParentEnd):
				childRuns = append(childRuns, &childRun{job: child, parent: e, inputs: []firjob.ParentEnd{e.ParentEnd}})
			}
		}
	}
	met, err := meetJoins(ctx, tx, joins)
	if err != nil {
		return err
	}
	childRuns = append(childRuns, met...)
	if err := recordChildRuns(ctx, tx, childRuns, followed); err != nil {
		return err
	}
	return saveJoins(ctx, tx, joins)
}

// FollowOpen notes for open executions that something follows from their ends. Their
// jobs have become parents in this transaction. A claim writes whether anything follows,
// by what the job is at that moment, so running executions may say no. Planned executions
// that are due soon are changed, too: a claim that has read the old job waits for the row
// and then finds it changed.
func FollowOpen(ctx context.Context, tx pgx.Tx, jobs []firjob.JobID) error {
	rows, _ := tx.Query(ctx, openOfJobsSQL, pg.Numbers(jobs))
	_, err := Adopt(ctx, tx, rows)
	return err
}

const openOfJobsSQL = `SELECT id FROM executions
	WHERE finished_at IS NULL AND NOT waiting AND id < ` + FirstIDSoon + `
		AND job_id = ANY($1::int[]) AND ` + isNoShard + `
	ORDER BY id FOR UPDATE`

// parentEnd is an execution that ended, and to which tree it belongs.
type parentEnd struct {
	firjob.ParentEnd
	id   firjob.ExecutionID
	at   time.Time
	root firjob.ExecutionID
}

// meets reports whether the end is one that a child with these parents asks for.
func meets(parents firjob.Parents, end firjob.ParentEnd) bool {
	on, _ := ConditionOf(parents, end.Job)
	return on.Meets(end.State)
}

func ConditionOf(parents firjob.Parents, job firjob.JobID) (firjob.On, bool) {
	for _, p := range parents.Of {
		if p.Job == job {
			return p.On, true
		}
	}
	return "", false
}

// family is what decides about the children of executions that ended.
type family struct {
	ends     []parentEnd // of jobs that have children, by id
	children map[firjob.JobID][]firjob.JobID
	jobs     map[firjob.JobID]scan.JobRow // parents and children
}

// readFamily returns nil if none of the executions has children. A shard has none; its
// broadcast may have. A superseded fire has none, for it may be planned again.
func readFamily(ctx context.Context, tx pgx.Tx, list []ended) (*family, error) {
	list = slices.DeleteFunc(slices.Clone(list), func(e ended) bool {
		return e.id.Ordinal() > 0 || e.state == firjob.StateSuperseded
	})
	rows, _ := tx.Query(ctx, ChildrenSQL, pg.Numbers(pg.JobsOf(idsOf(list))))
	children, named, err := ScanChildren(rows)
	if err != nil || len(children) == 0 {
		return nil, err
	}
	f := &family{children: children}
	if f.jobs, err = ReadJobs(ctx, tx, slices.Sorted(maps.Keys(named))); err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e ended) bool { return f.children[e.id.Job()] == nil })
	f.ends, err = f.readEnds(ctx, tx, list)
	return f, err
}

// ScanChildren returns the children of each parent, and the jobs of both.
func ScanChildren(rows pgx.Rows) (children map[firjob.JobID][]firjob.JobID, named map[firjob.JobID]bool, err error) {
	children, named = map[firjob.JobID][]firjob.JobID{}, map[firjob.JobID]bool{}
	var parent, child firjob.JobID
	_, err = pgx.ForEachRow(rows, []any{&parent, &child}, func() error {
		children[parent] = append(children[parent], child)
		named[parent], named[child] = true, true
		return nil
	})
	return children, named, err
}

const ChildrenSQL = `SELECT parent, child FROM job_parents WHERE parent = ANY($1::int[]) ORDER BY parent, child`

// readEnds adds to executions what their children are told of them.
func (f *family) readEnds(ctx context.Context, tx pgx.Tx, list []ended) ([]parentEnd, error) {
	if len(list) == 0 {
		return nil, nil
	}
	known := make(map[firjob.ExecutionID]ended, len(list))
	for _, e := range list {
		known[e.id] = e
	}
	ids := idsOf(list)
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, endsSQL, pg.UUIDs(ids), low, high)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (parentEnd, error) {
		var e parentEnd
		var root *[16]byte
		var result []byte
		err := row.Scan((*[16]byte)(&e.id), &root, &result)
		e.root = e.id
		if root != nil {
			e.root = *root
		}
		e.ParentEnd = firjob.ParentEnd{Job: e.id.Job(), Name: f.jobs[e.id.Job()].Name, ExecutionID: e.id,
			State: known[e.id].state, Result: result}
		// An executor's clock may be behind: the end is not before the scheduled time.
		e.at = known[e.id].at
		if scheduled := e.id.ScheduledAt(); e.at.Before(scheduled) {
			e.at = scheduled
		}
		return e, err
	})
}

const endsSQL = `SELECT id, root, result FROM executions
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid ORDER BY id`

// childRun is an execution of a child that is to be recorded.
type childRun struct {
	job    firjob.JobID
	parent parentEnd // whose end triggers it
	inputs []firjob.ParentEnd
	id     firjob.ExecutionID
	tries  uint32 // ids that were tried
}

// scheduledAt is the parent's end, rounded up to the millisecond: nothing is early.
func (b *childRun) scheduledAt() time.Time {
	return b.parent.at.Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

// chooseID sets the next id that is not taken. The nonce is a hash of the run and of the
// end that triggers the child. It has 24 bits, so two executions of a job that are
// triggered in the same millisecond may get the same one.
func (b *childRun) chooseID(taken map[firjob.ExecutionID]bool) {
	run := firjob.RunOf(b.parent.root)
	hash := fnv.New32a()
	_, _ = hash.Write(run[:]) // never fails
	_, _ = hash.Write(b.parent.id[:])
	for again := true; again; again = taken[b.id] {
		b.id = firjob.NewExecutionID(b.job, b.scheduledAt(), firjob.KindChild, hash.Sum32()+b.tries)
		b.tries++
	}
	taken[b.id] = true
}

// maxChildRunRounds bounds how often other ids are chosen for those that others have.
const maxChildRunRounds = 64

// recordChildRuns records executions under ids of their own.
func recordChildRuns(ctx context.Context, tx pgx.Tx, childRuns []*childRun, followed *ports.Followed) error {
	taken := map[firjob.ExecutionID]bool{}
	for round := 0; len(childRuns) > 0; round++ {
		if round == maxChildRunRounds {
			return fmt.Errorf("no id is free for an execution of job %d at %s", childRuns[0].job,
				childRuns[0].scheduledAt())
		}
		for _, b := range childRuns {
			b.chooseID(taken)
		}
		due, err := insertChildRuns(ctx, tx, childRuns)
		if err != nil {
			return err
		}
		followed.Announce = append(followed.Announce, due...)
		recorded := make(map[firjob.ExecutionID]bool, len(due))
		for _, d := range due {
			recorded[d.ID] = true
		}
		childRuns = slices.DeleteFunc(slices.Clone(childRuns), func(b *childRun) bool { return recorded[b.id] })
	}
	return nil
}

func insertChildRuns(ctx context.Context, tx pgx.Tx, childRuns []*childRun) ([]firjob.Due, error) {
	childRuns = slices.Clone(childRuns)
	slices.SortFunc(childRuns, func(a, b *childRun) int { return pg.CompareIDs(a.id, b.id) })
	n := len(childRuns)
	ids, parents, roots := make([]firjob.ExecutionID, n), make([]firjob.ExecutionID, n), make([]firjob.ExecutionID, n)
	jobs, at, inputs := make([]int32, n), make([]time.Time, n), make([]string, n)
	for i, b := range childRuns {
		ids[i], parents[i], roots[i] = b.id, b.parent.id, b.parent.root
		jobs[i], at[i], inputs[i] = int32(b.job), b.scheduledAt(), endsJSON(b.inputs, firjob.MaxInputs)
	}
	rows, _ := tx.Query(ctx, insertChildrenSQL, pg.UUIDs(ids), jobs, at, pg.UUIDs(parents), pg.UUIDs(roots), inputs)
	due, err := pgx.CollectRows(rows, ScanDue)
	return due, pg.InsertError(err, ids)
}

const insertChildrenSQL = `INSERT INTO executions (id, job_id, job_version, due_at, parent, root, inputs)
	SELECT v.id, v.job, 0, v.at, v.parent, v.root, v.inputs::json
	FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::text[])
		AS v(id, job, at, parent, root, inputs)
	ON CONFLICT (id) DO NOTHING RETURNING id, due_at`

// endsJSON returns ends, one at least, as they are stored: in at most size
// bytes, for which the largest results are left out if need be.
func endsJSON(ends []firjob.ParentEnd, size int) string {
	ends = slices.Clone(ends)
	for {
		var data bytes.Buffer
		encoder := json.NewEncoder(&data)
		encoder.SetEscapeHTML(false) // a result is to stay as long as it is
		if err := encoder.Encode(ends); err != nil {
			panic(err) // results are JSON: the store has taken them as such
		}
		largest := &ends[0]
		for i := range ends {
			if len(ends[i].Result) > len(largest.Result) {
				largest = &ends[i]
			}
		}
		if text := bytes.TrimSuffix(data.Bytes(), []byte("\n")); len(text) <= size || largest.Result == nil {
			return string(text)
		}
		largest.Result, largest.Note = nil, "the result was left out: it was too large"
	}
}

package flow

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// A job that bounds its running executions (firjob.Job.Slots) has a row of job_slots,
// which names the executions that hold its slots. A claim takes a slot. The execution
// keeps the slot through every retry. The transaction that finishes the execution passes
// the slot to the first execution that waits. The row stays locked from the decision to
// the commit, so that the next decision sees which executions have begun to wait.
//
// Locks are taken in this order: the executions that the transaction was asked about,
// job_slots by job, app_usage by app, jobs. Other executions that turn out to be
// concerned, because they wait or are to be replaced, are locked only if nobody holds
// them. One that is held is about to change anyway, or Admit looks at it a moment later
// (review_at).

// jobSlot is a row of job_slots, locked by this transaction.
type jobSlot struct {
	id        firjob.JobID
	job       scan.JobRow
	holders   []firjob.ExecutionID
	replaceAt time.Time // zero: no execution waits to replace the holder
	reviewAt  time.Time // zero: there is nothing to look at before a holder ends
	now       time.Time

	waiting   int  // executions that wait for a slot; counted only where queue_limit matters
	blocked   bool // an execution waits for a free slot but could not be locked
	contested bool // an execution waits to replace the holder
}

func scanSlot(row pgx.CollectableRow) (*jobSlot, error) {
	s := &jobSlot{}
	var holders []pgtype.UUID
	var replaceAt, reviewAt *time.Time
	err := row.Scan(&s.id, &holders, &replaceAt, &reviewAt, &s.now)
	for _, h := range holders {
		s.holders = append(s.holders, h.Bytes)
	}
	s.replaceAt, s.reviewAt = OrZero(replaceAt), OrZero(reviewAt)
	s.contested = replaceAt != nil
	return s, err
}

const slotColumns = `job_id, holders, replace_at, review_at, now()`

func (s *jobSlot) holds(id firjob.ExecutionID) bool { return slices.Contains(s.holders, id) }

// free returns how many more executions may run. After an edit more may run than the
// limit allows; they run to their end.
func (s *jobSlot) free() int {
	if s.job.Slots() == 0 {
		return math.MaxInt32
	}
	return s.job.Slots() - len(s.holders)
}

// take takes a slot, unless there is none or other executions have waited longer.
func (s *jobSlot) take(id firjob.ExecutionID) bool {
	if s.free() <= 0 || s.blocked {
		return false
	}
	s.holders = append(s.holders, id)
	return true
}

// leave gives back the slot of id, if it has one.
func (s *jobSlot) leave(id firjob.ExecutionID) {
	s.holders = slices.DeleteFunc(s.holders, func(h firjob.ExecutionID) bool { return h == id })
}

// newest returns the holder that is scheduled last; zero without one.
func (s *jobSlot) newest() (last firjob.ExecutionID) {
	for _, id := range s.holders {
		if pg.CompareIDs(id, last) > 0 {
			last = id
		}
	}
	return last
}

// review asks for another look at an instant.
func (s *jobSlot) review(at time.Time) {
	if s.reviewAt.IsZero() || at.Before(s.reviewAt) {
		s.reviewAt = at
	}
}

// skipped and waits are the reasons of executions that find every slot taken.
func (s *jobSlot) skipped() string {
	switch {
	case s.free() > 0:
		return "others have waited for its place"
	case len(s.holders) == 1:
		return fmt.Sprintf("execution %s was still running", s.holders[0])
	}
	return fmt.Sprintf("%d executions were still running (max_running %d)", len(s.holders), s.job.Slots())
}

func (s *jobSlot) waits() string {
	switch {
	case s.free() > 0:
		return "waits for others to go first"
	case len(s.holders) == 1:
		return fmt.Sprintf("waits for execution %s", s.holders[0])
	}
	return fmt.Sprintf("waits for one of %d executions (max_running %d)", len(s.holders), s.job.Slots())
}

// takeSlots decides which of the contending executions get a slot. Executions that end
// here give their slots back first. Those that have waited come before new ones.
func takeSlots(ctx context.Context, tx pgx.Tx, d *claims) ([]*jobSlot, error) {
	jobs := map[firjob.JobID]scan.JobRow{}
	for _, c := range slices.Concat(d.contend, d.leave) {
		jobs[c.id.Job()] = c.job
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	rows, _ := tx.Query(ctx, takeSlotsSQL, pg.Numbers(slices.Sorted(maps.Keys(jobs))))
	list, err := pgx.CollectRows(rows, scanSlot)
	if err != nil {
		return nil, err
	}
	slots := make(map[firjob.JobID]*jobSlot, len(list))
	for _, s := range list {
		s.job = jobs[s.id]
		slots[s.id] = s
	}
	for _, c := range d.leave {
		slots[c.id.Job()].leave(c.id)
	}
	if err := seat(ctx, tx, list, &d.followed); err != nil {
		return nil, err
	}
	if err := countWaiting(ctx, tx, d.contend, slots); err != nil {
		return nil, err
	}
	d.assignSlots(slots)
	return list, nil
}

// The update changes nothing: it locks the row and makes RETURNING return the holders.
const takeSlotsSQL = `INSERT INTO job_slots AS s (job_id, holders)
	SELECT v.job, '{}' FROM unnest($1::int[]) AS v(job)
	ON CONFLICT (job_id) DO UPDATE SET holders = s.holders
	RETURNING ` + slotColumns

// countWaiting counts, for each oversubscribed job, its queued executions, up to
// queue_limit.
func countWaiting(ctx context.Context, tx pgx.Tx, contend []candidate, slots map[firjob.JobID]*jobSlot) error {
	asking := map[firjob.JobID]int{}
	for _, c := range contend {
		if s := slots[c.id.Job()]; !s.holds(c.id) &&
			(c.job.Overlap == firjob.OverlapQueue || c.job.Overlap == firjob.OverlapAllow) {
			asking[s.id]++
		}
	}
	var jobs, limits []int32
	for id, n := range asking {
		if s := slots[id]; n > s.free() || s.blocked {
			jobs, limits = append(jobs, int32(id)), append(limits, int32(s.job.QueueLimit))
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, countWaitingSQL, jobs, limits)
	var job firjob.JobID
	var n int
	_, err := pgx.ForEachRow(rows, []any{(*uint32)(&job), &n}, func() error {
		slots[job].waiting = n
		return nil
	})
	return err
}

// WaitsForJob holds for executions e that wait for a slot of their job, not of their
// app.
const WaitsForJob = `e.waiting AND (SELECT true FROM app_queue AS q WHERE q.execution_id = e.id) IS NULL`

const countWaitingSQL = `SELECT v.job, (SELECT count(*) FROM (
		SELECT FROM executions AS e WHERE e.job_id = v.job AND ` + WaitsForJob + ` LIMIT v.most) AS w)
	FROM unnest($1::int[], $2::int[]) AS v(job, most)`

// passSlotsOn passes the slots that the executions held to executions that wait.
func passSlotsOn(ctx context.Context, tx pgx.Tx, list []ended, followed *ports.Followed) error {
	ids := idsOf(list)
	rows, _ := tx.Query(ctx, lockSlotsSQL, pg.Numbers(pg.JobsOf(ids)), pg.UUIDs(ids))
	slots, err := pgx.CollectRows(rows, scanSlot)
	if err != nil || len(slots) == 0 {
		return err
	}
	if err := readSlotJobs(ctx, tx, slots); err != nil {
		return err
	}
	for _, s := range slots {
		s.holders = slices.DeleteFunc(s.holders, func(h firjob.ExecutionID) bool { return slices.Contains(ids, h) })
	}
	if err := seat(ctx, tx, slots, followed); err != nil {
		return err
	}
	return writeSlots(ctx, tx, slots)
}

const lockSlotsSQL = `SELECT ` + slotColumns + ` FROM job_slots
	WHERE job_id = ANY($1::int[]) AND holders && $2::uuid[] ORDER BY job_id FOR UPDATE`

func readSlotJobs(ctx context.Context, tx pgx.Tx, slots []*jobSlot) error {
	ids := make([]firjob.JobID, len(slots))
	for i, s := range slots {
		ids[i] = s.id
	}
	jobs, err := ReadJobs(ctx, tx, ids)
	for _, s := range slots {
		s.job = jobs[s.id]
	}
	return err
}

const (
	// seatBatch bounds how many of one job are let in at a time.
	seatBatch = 256
	// seatSpare is how many more are looked at, because some may be let go
	// without a place.
	seatSpare = 64
	// seatRounds bounds how long one transaction goes on with it.
	seatRounds = 4
)

// look returns how many of those that wait are to be looked at.
func (s *jobSlot) look() int {
	switch {
	case s.job.Overlap == firjob.OverlapReplace:
		return seatBatch
	case s.job.StartDeadline > 0:
		return min(s.free(), seatBatch) + seatSpare
	}
	return min(s.free(), seatBatch)
}

// seat lets those in that wait for places that are free, the earliest scheduled
// first; with replace, the latest. Those whose turn is of no use any more, because
// their start deadline has passed or a later one replaces them, are let go without
// a place: the claim, to which all of them come next, ends them.
func seat(ctx context.Context, tx pgx.Tx, slots []*jobSlot, followed *ports.Followed) error {
	open := slots
	for range seatRounds {
		open = slices.DeleteFunc(slices.Clone(open), func(s *jobSlot) bool { return s.free() <= 0 })
		if len(open) == 0 {
			return nil
		}
		lines, attempts, err := lockWaiting(ctx, tx, open)
		if err != nil {
			return err
		}
		var in []firjob.ExecutionID
		open = slices.DeleteFunc(open, func(s *jobSlot) bool {
			all := len(lines[s.id]) < s.look()
			in = append(in, s.seat(lines[s.id], attempts)...)
			followed.Admit = followed.Admit || s.blocked
			return all || s.blocked
		})
		due, err := letWaitingIn(ctx, tx, in)
		if err != nil {
			return err
		}
		followed.Announce = append(followed.Announce, due...)
	}
	for _, s := range open { // a long line; the rest follows with Admit
		s.blocked, followed.Admit = true, true
		s.review(s.now)
	}
	return nil
}

// seat gives the free places to those in line, of which attempts names the ones
// that are locked, and returns who is to be let go on.
func (s *jobSlot) seat(line []firjob.ExecutionID, attempts map[firjob.ExecutionID]int) (in []firjob.ExecutionID) {
	if s.job.Overlap == firjob.OverlapReplace {
		slices.Reverse(line)
	}
	for _, id := range line {
		attempt, locked := attempts[id]
		switch {
		case !locked:
			s.blocked = true
			s.review(s.now)
		case tooLate(id, attempt, s.job.StartDeadline, s.now):
			in = append(in, id)
		case s.free() > 0:
			s.holders, s.replaceAt, s.contested = append(s.holders, id), time.Time{}, false
			in = append(in, id)
		case s.job.Overlap == firjob.OverlapReplace:
			in = append(in, id)
		default:
			return in
		}
	}
	return in
}

// lockWaiting returns, of each job, the first that wait for a place, and of all
// these the ones that could be locked, with their attempts.
func lockWaiting(ctx context.Context, tx pgx.Tx, slots []*jobSlot) (lines map[firjob.JobID][]firjob.ExecutionID,
	attempts map[firjob.ExecutionID]int, err error) {
	ids, looks := make([]int32, len(slots)), make([]int32, len(slots))
	for i, s := range slots {
		ids[i], looks[i] = int32(s.id), int32(s.look())
	}
	rows, _ := tx.Query(ctx, firstWaitingSQL, ids, looks)
	all, err := pgx.CollectRows(rows, ScanID)
	if err != nil || len(all) == 0 {
		return nil, nil, err
	}
	lines = map[firjob.JobID][]firjob.ExecutionID{}
	for _, id := range all {
		lines[id.Job()] = append(lines[id.Job()], id)
	}
	attempts = make(map[firjob.ExecutionID]int, len(all))
	low, high := pg.Bounds(all)
	rows, _ = tx.Query(ctx, lockWaitingSQL, pg.UUIDs(all), low, high)
	var id firjob.ExecutionID
	var attempt int
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &attempt}, func() error {
		attempts[id] = attempt
		return nil
	})
	return lines, attempts, err
}

// "coalesce" keeps the index of those that wait, which is in the order of jobs,
// out of the planner's mind.
const (
	firstWaitingSQL = `SELECT unnest(ARRAY(
			SELECT e.id FROM executions AS e WHERE e.job_id = v.job AND ` + WaitsForJob + ` ORDER BY e.id LIMIT v.most))
		FROM unnest($1::int[], $2::int[]) AS v(job, most)`
	lockWaitingSQL = `SELECT id, attempt FROM executions
		WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid AND coalesce(waiting, false)
		FOR UPDATE SKIP LOCKED`
)

// letWaitingIn makes executions that wait, and that the caller has locked, due
// now.
func letWaitingIn(ctx context.Context, tx pgx.Tx, ids []firjob.ExecutionID) ([]firjob.Due, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	low, high := pg.Bounds(ids)
	rows, _ := tx.Query(ctx, letInSQL, pg.UUIDs(ids), low, high)
	return pgx.CollectRows(rows, ScanDue)
}

const letInSQL = `UPDATE executions SET waiting = false, due_at = greatest(due_at, now()), reason = NULL
	WHERE id = ANY($1::uuid[]) AND id BETWEEN $2::uuid AND $3::uuid
	RETURNING id, due_at`

// writeSlots stores who holds the places now. A row without any has no use,
// unless somebody who waits could not be let in.
func writeSlots(ctx context.Context, tx pgx.Tx, slots []*jobSlot) error {
	var empty, jobs []int32
	var holders []string
	var replaceAt, reviewAt []time.Time
	for _, s := range slots {
		if len(s.holders) == 0 && !s.blocked {
			empty = append(empty, int32(s.id))
			continue
		}
		jobs, holders = append(jobs, int32(s.id)), append(holders, arrayText(s.holders))
		replaceAt, reviewAt = append(replaceAt, s.replaceAt), append(reviewAt, s.reviewAt)
	}
	if len(empty) > 0 {
		if _, err := tx.Exec(ctx, removeSlotsSQL, empty); err != nil {
			return err
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, writeSlotsSQL, jobs, holders, pg.Instants(replaceAt), pg.Instants(reviewAt))
	return err
}

const (
	removeSlotsSQL = `DELETE FROM job_slots WHERE job_id = ANY($1::int[])`
	writeSlotsSQL  = `UPDATE job_slots AS s SET holders = v.holders::uuid[], replace_at = v.replace_at,
		review_at = v.review_at
		FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS v(id, holders, replace_at,
		review_at)
		WHERE s.job_id = ANY($1::int[]) AND s.job_id = v.id`
)

// arrayText returns ids as Postgres writes an array: arrays of unequal lengths
// cannot be parameters of one statement otherwise.
func arrayText(ids []firjob.ExecutionID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return "{" + strings.Join(texts, ",") + "}"
}

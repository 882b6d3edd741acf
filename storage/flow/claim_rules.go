package flow

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// candidate is a planned execution that claimSQL did not take. It is locked, and holds
// everything that the rules below need.
type candidate struct {
	id      firjob.ExecutionID
	version int // of the job that planned it; 0: any
	attempt int
	// givenBack: it was claimed before and given back unsent. If its job was changed
	// meanwhile, it was due before the change: a change supersedes what is not claimed.
	givenBack bool
	cancel    bool
	dueAt     time.Time
	now       time.Time
	holdsJob  bool // has a slot of its job
	holdsApp  bool // has a slot of its app
	limited   bool // its app has limits
	job       scan.JobRow
	newer     firjob.ExecutionID // the latest fire of the job that is due and runs, or ran; zero: none is later
	surplus   bool               // as many later fires as max_catch_up are late, too
}

// needsJob reports whether the execution needs a slot of its job. The shards of a
// broadcast run in the slot of their parent.
func (c candidate) needsJob() bool { return c.job.Slots() > 0 && c.id.Ordinal() == 0 }

// needsApp reports whether the limits of the app apply. They apply to the shards of a
// broadcast, not to the broadcast itself.
func (c candidate) needsApp() bool {
	return c.limited && (c.job.Route != firjob.RouteBroadcast || c.id.Ordinal() > 0)
}

// letIn reports whether the execution has waited for a slot and holds it now.
func (c candidate) letIn() bool { return c.holdsJob || c.holdsApp }

// lead is how long before its instant the execution may be claimed. A slot is given at
// the instant itself, because a slot that is taken now may be free by then.
func (c candidate) lead() time.Duration {
	if c.needsJob() && !c.holdsJob || c.needsApp() && !c.holdsApp {
		return 0
	}
	return time.Second
}

// fresh reports whether it is a fire that was never sent. The job's version and its
// misfire policy apply to such fires only.
func (c candidate) fresh() bool { return c.attempt == 0 && c.version > 0 }

// late reports whether the misfire policy applies. A wait for a slot is no misfire; a
// wait for an executor is.
func (c candidate) late() bool {
	return c.fresh() && !c.letIn() && c.id.Kind() == firjob.KindSchedule && c.lateness() > c.job.Misfire.Grace.Std()
}

// planningTime is how long a late fire waits for the planner to record those after
// it, before it is looked at again.
const planningTime = time.Second

// unplanned reports whether later fires of the job are late and not recorded yet. How
// many of the late fires run is decided when these are planned, so c waits for that.
func (c candidate) unplanned() bool {
	next := c.job.NextFireAt
	return c.late() && c.job.Misfire.Policy == firjob.MisfireFireAll &&
		next != nil && c.now.Sub(*next) > c.job.Misfire.Grace.Std()
}

func (c candidate) lateness() time.Duration { return c.now.Sub(c.id.ScheduledAt()) }

// tooLate reports whether an execution that was never tried is past its job's
// start deadline. The fires of a backfill are in the past by their nature.
func tooLate(id firjob.ExecutionID, attempt int, deadline firjob.Duration, now time.Time) bool {
	return deadline > 0 && attempt == 0 && id.Kind() != firjob.KindBackfill &&
		now.Sub(id.ScheduledAt()) > deadline.Std()
}

// Ending is an execution that ends without another attempt, or that is to wait.
type Ending struct {
	ID     firjob.ExecutionID
	State  firjob.State
	Reason string
}

// claims is what was decided about a batch.
type claims struct {
	touched []candidate // all of them
	leave   []candidate // end, and give a slot of their job back
	contend []candidate // need a slot of their job first
	enter   []candidate // may go on if their app lets them in
	claim   []firjob.ExecutionID
	early   []firjob.Due
	dropped []firjob.ExecutionID
	end     []Ending
	wait    []Ending
	yield   []ended // wait, and give a slot of their app back
	// followed is what follows from the slots that were given and taken.
	followed ports.Followed
}

// decideClaims sorts ids by what is to be done with them. Ids without a candidate are
// not to be claimed at all.
func decideClaims(ids []firjob.ExecutionID, candidates []candidate) *claims {
	d := &claims{touched: candidates}
	known := make(map[firjob.ExecutionID]bool, len(candidates))
	for _, c := range candidates {
		known[c.id] = true
		d.decide(c)
	}
	for _, id := range ids {
		if !known[id] {
			d.dropped = append(d.dropped, id)
		}
	}
	return d
}

func (d *claims) decide(c candidate) {
	state, reason := c.refusal()
	switch {
	case state != "":
		if c.holdsJob {
			d.leave = append(d.leave, c)
		}
		d.finish(c.id, state, reason)
	case c.unplanned():
		d.early = append(d.early, firjob.Due{ID: c.id, At: c.now.Add(planningTime)})
	case c.dueAt.Sub(c.now) > c.lead():
		d.early = append(d.early, firjob.Due{ID: c.id, At: c.dueAt})
	case c.needsJob():
		d.contend = append(d.contend, c)
	default:
		d.enter = append(d.enter, c)
	}
}

// refusal returns the state in which c ends now, and why, or nothing if it
// may go on.
func (c candidate) refusal() (firjob.State, string) {
	switch {
	case c.cancel:
		return firjob.StateCancelled, "cancelled on request"
	case c.job.ID == 0 || c.job.Deleted:
		return firjob.StateSuperseded, "the job was deleted"
	case c.fresh() && !c.job.Enabled && (!c.givenBack || c.late()):
		return firjob.StateSuperseded, "the job is paused"
	case c.fresh() && !c.givenBack && c.version < c.job.Since:
		return firjob.StateSuperseded,
			fmt.Sprintf("the job was changed: version %d planned it, %d is current", c.version, c.job.Version)
	case tooLate(c.id, c.attempt, c.job.StartDeadline, c.now):
		return firjob.StateMissed, fmt.Sprintf("%v late, beyond the start deadline of %v",
			c.lateness().Round(time.Millisecond), c.job.StartDeadline)
	case c.late():
		return c.misfire()
	}
	return "", ""
}

func (c candidate) misfire() (firjob.State, string) {
	late := c.lateness().Round(time.Millisecond)
	switch {
	case c.job.Misfire.Policy == firjob.MisfireSkip:
		return firjob.StateMissed, fmt.Sprintf("%v late, beyond the grace of %v", late, c.job.Misfire.Grace)
	case c.job.Misfire.Policy == firjob.MisfireFireOnce && !c.newer.IsZero():
		return firjob.StateMissed, fmt.Sprintf("%v late; the later fire of %s runs instead",
			late, c.newer.ScheduledAt().Format(time.RFC3339Nano))
	case c.job.Misfire.Policy == firjob.MisfireFireAll && c.surplus:
		return firjob.StateMissed,
			fmt.Sprintf("%v late; fire_all runs the latest %d only (max_catch_up)", late, c.job.Misfire.MaxCatchUp)
	}
	return "", ""
}

func (d *claims) finish(id firjob.ExecutionID, state firjob.State, reason string) {
	d.end = append(d.end, Ending{id, state, reason})
	d.dropped = append(d.dropped, id)
}

func (d *claims) queue(id firjob.ExecutionID, reason string) {
	d.wait = append(d.wait, Ending{ID: id, Reason: reason})
	d.dropped = append(d.dropped, id)
}

// assignSlots applies the overlap rules, the earliest fires first, once the holders of
// each job's slots are known.
func (d *claims) assignSlots(slots map[firjob.JobID]*jobSlot) {
	slices.SortFunc(d.contend, func(a, b candidate) int { return pg.CompareIDs(a.id, b.id) })
	newest := map[firjob.JobID]firjob.ExecutionID{}
	for _, c := range d.contend {
		newest[c.id.Job()] = c.id
	}
	for _, c := range d.contend {
		s := slots[c.id.Job()]
		switch {
		case c.job.Overlap == firjob.OverlapReplace:
			d.settleReplace(s, c, newest[c.id.Job()])
		case s.holds(c.id) || s.take(c.id):
			d.enter = append(d.enter, c)
		case c.job.Overlap == firjob.OverlapSkip:
			d.finish(c.id, firjob.StateSkipped, s.skipped())
		case s.waiting < c.job.QueueLimit:
			s.waiting++
			d.await(c, s)
		default:
			d.finish(c.id, firjob.StateSkipped,
				fmt.Sprintf("%d executions wait already (queue_limit %d)", s.waiting, c.job.QueueLimit))
		}
	}
}

// settleReplace gives the slot of a job to its newest fire. While the holder runs, the
// fire waits until supplant has made room.
func (d *claims) settleReplace(s *jobSlot, c candidate, newest firjob.ExecutionID) {
	switch last := s.newest(); {
	case s.holds(c.id) && c.id == newest:
		d.enter = append(d.enter, c)
	case s.holds(c.id):
		s.leave(c.id)
		d.finish(c.id, firjob.StateCancelled, replacedBy(newest))
	case pg.CompareIDs(c.id, last) < 0:
		d.finish(c.id, firjob.StateSkipped, earlierThan(last))
	case c.id != newest:
		d.finish(c.id, firjob.StateSkipped, replacedBy(newest))
	case s.take(c.id):
		d.enter = append(d.enter, c)
	default:
		s.contested, d.followed.Admit = true, true
		d.await(c, s)
	}
}

// await makes c wait for a slot of its job. If c has a slot of its app, because its job
// was not limited until an edit, c gives that slot back.
func (d *claims) await(c candidate, s *jobSlot) {
	d.queue(c.id, s.waits())
	if c.holdsApp {
		d.yield = append(d.yield, ended{id: c.id})
	}
}

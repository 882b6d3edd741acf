package storage

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// candidate is a planned execution that the plain rules of the claim did not
// let through, locked and with all that decides about it.
type candidate struct {
	id      firjob.ExecutionID
	version int // of the job that planned it; 0: any
	attempt int
	cancel  bool
	dueAt   time.Time
	now     time.Time
	letIn   bool // holds its job's slot already: its turn has come
	job     jobRow
	newer   firjob.ExecutionID // the latest fire of the job that is due and runs, or ran; zero: none is later
}

// claimLead is how long before its instant an execution of the job may be
// claimed. An overlap rule is judged at the instant itself: what runs now may
// have ended by then.
func (j jobRow) claimLead() time.Duration {
	if j.Overlap != firjob.OverlapAllow {
		return 0
	}
	return time.Second
}

// fresh reports whether it is a fire that was never tried. Only such a one is
// bound to the job's version and to its misfire policy.
func (c candidate) fresh() bool { return c.attempt == 0 && c.version > 0 }

// late reports whether the misfire policy has a say. A wait for its turn in the
// overlap queue is no misfire; a wait for an executor is.
func (c candidate) late() bool {
	return c.fresh() && !c.letIn && c.id.Kind() == firjob.KindSchedule && c.lateness() > c.job.Misfire.Grace.Std()
}

func (c candidate) lateness() time.Duration { return c.now.Sub(c.id.ScheduledAt()) }

// ending is an execution that ends without another attempt, or that is to wait.
type ending struct {
	id     firjob.ExecutionID
	state  firjob.State
	reason string
}

// claims is what was decided about a batch.
type claims struct {
	claim   []firjob.ExecutionID
	early   []firjob.Due
	dropped []firjob.ExecutionID
	end     []ending
	wait    []ending
	contend []candidate // need their job's slot first
}

// decideClaims sorts ids by what may be done with them; those without a
// candidate are not to be claimed at all.
func decideClaims(ids []firjob.ExecutionID, candidates []candidate) *claims {
	d := &claims{}
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
	state, reason := c.obstacle()
	switch {
	case state != "":
		d.finish(c.id, state, reason)
	case c.dueAt.Sub(c.now) > c.job.claimLead():
		d.early = append(d.early, firjob.Due{ID: c.id, At: c.dueAt})
	case c.job.Overlap != firjob.OverlapAllow:
		d.contend = append(d.contend, c)
	default:
		d.claim = append(d.claim, c.id)
	}
}

// obstacle returns the state in which c ends now, and why, or nothing if it
// may go on.
func (c candidate) obstacle() (firjob.State, string) {
	switch {
	case c.cancel:
		return firjob.StateCancelled, "cancelled on request"
	case c.job.ID == 0 || c.job.deleted:
		return firjob.StateSuperseded, "the job was deleted"
	case !c.fresh():
		return "", ""
	case !c.job.Enabled:
		return firjob.StateSuperseded, "the job is paused"
	case c.version < c.job.since:
		return firjob.StateSuperseded, fmt.Sprintf("the job was changed: version %d planned it, %d is current", c.version, c.job.Version)
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
	}
	return "", ""
}

func (d *claims) finish(id firjob.ExecutionID, state firjob.State, reason string) {
	d.end = append(d.end, ending{id, state, reason})
	d.dropped = append(d.dropped, id)
}

// firsts returns the candidate of each job with the earliest id: the one that
// takes the slot if it is free. They come in the order of their jobs.
func (d *claims) firsts() []candidate {
	list := slices.Clone(d.contend)
	slices.SortFunc(list, func(a, b candidate) int {
		if a.id.Job() != b.id.Job() {
			return int(int64(a.id.Job()) - int64(b.id.Job()))
		}
		return compareIDs(a.id, b.id)
	})
	return slices.CompactFunc(list, func(a, b candidate) bool { return a.id.Job() == b.id.Job() })
}

// settle applies the overlap rule, now that the holder of each job's slot is
// known.
func (d *claims) settle(holders map[firjob.JobID]firjob.ExecutionID) {
	for _, c := range d.contend {
		holder := holders[c.id.Job()]
		switch {
		case holder == c.id:
			d.claim = append(d.claim, c.id)
		case c.job.Overlap == firjob.OverlapSkip:
			d.finish(c.id, firjob.StateSkipped, fmt.Sprintf("execution %s was still running", holder))
		default:
			d.wait = append(d.wait, ending{id: c.id, reason: fmt.Sprintf("waits for execution %s", holder)})
			d.dropped = append(d.dropped, c.id)
		}
	}
}

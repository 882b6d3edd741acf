package checker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// Options are the tolerances. They are stated in the report and never widened to
// let a run pass.
type Options struct {
	// Lead is how long before its instant a fire may be claimed; a change that
	// comes later than that does not reach it.
	Lead time.Duration
	// Recovery is how soon after the last fault is undone everything must be on
	// time again.
	Recovery time.Duration
	// OnTime is how late a first start may be while nothing is wrong.
	OnTime time.Duration
	// Early is how early a start may be stamped: by what an executor's clock is
	// off, which is nothing on one machine.
	Early time.Duration
	// MaxAttempts bounds the attempts of one execution.
	MaxAttempts int
	// Growth is by which share of its baseline a resource may have grown.
	Growth float64
}

// Defaults returns the tolerances of the standard run.
func Defaults() Options {
	return Options{Lead: 250 * time.Millisecond, Recovery: 15 * time.Second, OnTime: time.Second, MaxAttempts: 100,
		Growth: 0.1}
}

// Violation is one thing that must not be.
type Violation struct {
	Invariant string // as in "I1 complete"
	Execution firjob.ExecutionID
	Job       firjob.JobID
	At        time.Time
	Text      string
}

// String tells it in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: job %d, %s: %s", v.Invariant, v.Job, v.At.UTC().Format("15:04:05.000"), v.Text)
}

// Check judges a history and a dump.
func Check(events []Event, d Dump, o Options) (*Report, error) {
	c, err := newCheck(events, d, o)
	if err != nil {
		return nil, err
	}
	for _, invariant := range []func(){
		c.complete, c.triggered, c.shifts, c.phantoms, c.onTime, c.tokens, c.overlaps, c.acknowledged,
		c.legal, c.begun, c.attempted, c.answered, c.settled, c.effects, c.recovered, c.policies, c.bounded,
	} {
		invariant()
	}
	slices.SortStableFunc(c.report.Violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Invariant, b.Invariant), a.At.Compare(b.At))
	})
	return c.report, nil
}

// check is the state of one judgement.
type check struct {
	Options
	dump   Dump
	events []Event
	origin Event // maps stamps to the wall clock
	end    time.Time

	plans    map[firjob.JobID]plan
	rows     map[firjob.ExecutionID]Row
	byJob    map[firjob.JobID][]Row
	runs     map[firjob.ExecutionID][]run // by their begin
	received map[firjob.ExecutionID][]Event
	faults   []window
	report   *Report
}

// run is one handler, from its start to its end.
type run struct {
	Event
	begin, end time.Duration // end < begin: it never came
}

// window is a fault from its beginning until it was undone.
type window struct {
	class, target string
	from, until   time.Time
}

func newCheck(events []Event, d Dump, o Options) (*check, error) {
	at := slices.IndexFunc(events, func(e Event) bool { return e.Kind == KindRun })
	if at < 0 {
		return nil, fmt.Errorf("the history has no event of kind %q, so that its stamps cannot be told", KindRun)
	}
	c := &check{Options: o, dump: d, events: events, origin: events[at], end: d.At,
		rows: map[firjob.ExecutionID]Row{}, byJob: map[firjob.JobID][]Row{}, runs: map[firjob.ExecutionID][]run{},
		received: map[firjob.ExecutionID][]Event{}}
	c.report = &Report{check: c, Options: o, Began: c.origin.Wall, Ended: d.At, Faults: map[string]int{},
		NotDone: map[string]int{}}
	c.plans = plans(events, c.wall)
	for _, r := range d.Executions {
		if _, twice := c.rows[r.ID]; twice {
			c.fail("I2 no phantom", r.ID, r.ID.ScheduledAt(), "the dump holds it twice")
		}
		c.rows[r.ID] = r
		c.byJob[r.ID.Job()] = append(c.byJob[r.ID.Job()], r)
	}
	c.gather()
	return c, nil
}

// wall tells the wall clock of a stamp.
func (c *check) wall(mono time.Duration) time.Time { return c.origin.Wall.Add(mono - c.origin.Mono) }

// gather sorts the events by what they belong to.
func (c *check) gather() {
	open := map[firjob.AttemptRef]int{}
	faults := map[string]int{}
	for _, e := range c.events {
		ref := firjob.AttemptRef{ID: e.Execution, Token: e.Token}
		switch e.Kind {
		case KindTrigger:
			c.received[e.Execution] = append(c.received[e.Execution], e)
		case KindStart:
			open[ref] = len(c.runs[e.Execution])
			c.runs[e.Execution] = append(c.runs[e.Execution], run{Event: e, begin: e.Mono, end: -1})
		case KindEnd:
			if i, ok := open[ref]; ok {
				c.runs[e.Execution][i].end = e.Mono
			}
		case KindFault:
			key := e.Fault + " " + e.Target
			if e.Phase == PhaseBegin {
				faults[key] = len(c.faults)
				c.faults = append(c.faults,
					window{class: e.Fault, target: e.Target, from: c.wall(e.Mono), until: c.end})
			} else if i, ok := faults[key]; ok {
				c.faults[i].until = c.wall(e.Mono)
				if e.Phase == PhaseOK {
					c.report.Faults[e.Fault]++
				} else {
					c.report.NotDone[e.Fault]++
				}
			}
		}
	}
}

// disturbed returns the end of the latest fault that was at work at the
// instant, or that had not yet been recovered from; false if there was none.
func (c *check) disturbed(at time.Time) (until time.Time, is bool) {
	for _, f := range c.faults {
		if !at.Before(f.from) && !at.After(f.until.Add(c.Recovery)) && f.until.After(until) {
			until, is = f.until, true
		}
	}
	return until, is
}

func (c *check) fail(invariant string, id firjob.ExecutionID, at time.Time, format string, args ...any) {
	c.report.Violations = append(c.report.Violations,
		Violation{Invariant: invariant, Execution: id, Job: id.Job(), At: at, Text: fmt.Sprintf(format, args...)})
}

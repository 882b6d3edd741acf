package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// settings of the experiments, which are flags.
type settings struct {
	kills      int           // E1
	spacing    time.Duration // E1: between two kills
	restart    time.Duration // E1, E7: from a kill to the next start
	stall      time.Duration // E2
	jobs       int           // E3
	several    int           // E3: schedulers
	flushed    int           // E4: tasks that wait for their time
	inFlight   int           // E5, E7: tasks that run
	rounds     int           // E6
	patience   time.Duration // how long a re-run is waited for
	settleTime time.Duration // how long work may take to end after the span
}

// experiment is one fault.
type experiment struct {
	Name  string
	Title string
	size  func(settings) size
	// ticks are the periodic jobs, started together now.
	ticks func(settings, time.Time) []tick
	run   func(ctx context.Context, t *trial) (outcome, error)
	// apt says why the experiment has no meaning for a contender; empty if it has.
	apt func(contender) string
}

// outcome is what came of one experiment with one system.
type outcome struct {
	judge.Verdict
	Open int    `json:"open"` // by the system's own books, at the end
	Note string `json:"note,omitempty"`
}

// trial is one run of an experiment on one system.
type trial struct {
	settings
	system system
	rig    *rig
	ticks  []tick
	say    func(format string, args ...any)
}

// fixed is a size that no setting changes.
func fixed(schedulers, workers int) func(settings) size {
	return func(settings) size { return size{schedulers: schedulers, workers: workers} }
}

// each returns a function that gives ticks each n seconds.
func each(n int) func(settings, time.Time) []tick {
	return func(settings, time.Time) []tick { return everySeconds(n) }
}

// experiments are all of them, in order.
func experiments() []experiment {
	return []experiment{
		{Name: "E1", Title: "the scheduler killed in the second before a fire", size: fixed(2, 1), ticks: each(5),
			run: killScheduler},
		{Name: "E2", Title: "Postgres stalled", size: fixed(2, 1), ticks: each(1), run: stallPostgres,
			apt: needsPostgres},
		{Name: "E2r", Title: "Redis stalled", size: fixed(2, 1), ticks: each(1), run: stallRedis, apt: needsRedis},
		{Name: "E3", Title: "many jobs at one instant",
			size:  func(s settings) size { return size{schedulers: s.several, workers: 1} },
			ticks: burstTicks, run: oneInstant},
		{Name: "E4", Title: "FLUSHALL", size: fixed(2, 1), ticks: each(5), run: flushAll, apt: needsRedis},
		{Name: "E5", Title: "a worker stopped past its lease, then resumed", size: fixed(2, 2), run: stopWorker},
		{Name: "E6", Title: "what acknowledged a result killed at once", size: fixed(2, 1), run: killAfterResult},
		{Name: "E7", Title: "a worker killed and started again in its place", size: fixed(2, 1), run: restartWorker},
	}
}

func needsPostgres(c contender) string {
	if !c.Postgres {
		return "uses no Postgres"
	}
	return ""
}

func needsRedis(c contender) string {
	if !c.Redis {
		return "uses no Redis"
	}
	return ""
}

// runExperiment starts the system on stores of its own, hurts it, and judges.
func runExperiment(ctx context.Context, e experiment, c contender, o *faultOptions) (_ outcome, err error) {
	r, err := newRig(ctx, c, o.firjob, o.appendfsync, o.processOutput())
	if err != nil {
		return outcome{}, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, r.close(ctx))
	}()
	n := e.size(o.settings)
	if c.schedulers > 0 {
		n.schedulers = c.schedulers
	}
	t := &trial{settings: o.settings, system: c.make(n), rig: r, say: o.say}
	if e.ticks != nil {
		t.ticks = e.ticks(o.settings, time.Now())
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if stopErr := t.system.stop(ctx); stopErr != nil {
			o.say("stopping %s: %v", c.Name, stopErr) // its fate is judged already
		}
	}()
	if err := t.system.start(ctx, r, t.ticks); err != nil {
		return outcome{}, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return e.run(ctx, t)
}

// bootPatience is how long a system may take until it runs something.
const bootPatience = 90 * time.Second

// warm waits until the first tick has run, which shows that all is up, and
// returns the moment from which on every fire counts.
func (t *trial) warm(ctx context.Context) (from time.Time, err error) {
	err = t.rig.started(ctx, bootPatience, 1, func(judge.Line) bool { return true })
	return time.Now().Add(time.Second).Truncate(time.Second), err
}

// warmByTask does the same with a task, where there are no ticks.
func (t *trial) warmByTask(ctx context.Context) error {
	if _, err := t.system.submit(ctx, []task{{Key: "warm-up"}}); err != nil {
		return err
	}
	return t.rig.started(ctx, bootPatience, 1, func(judge.Line) bool { return true })
}

// settle waits until the system's own books hold nothing open, or its time is
// over, and a little longer for what the books may not know; then it judges.
func (t *trial) settle(ctx context.Context, targets []judge.Target, fault time.Time) (o outcome, err error) {
	settled := func() (bool, error) {
		n, err := t.system.open(ctx)
		if err == nil {
			o.Open = n
		}
		return err == nil && n == 0, nil // a system that is hurt may not answer for a while
	}
	if err := await(ctx, t.settleTime, "all is final", settled); err != nil && ctx.Err() != nil {
		return o, err
	}
	if !passed(ctx, 3*time.Second) {
		return o, context.Cause(ctx)
	}
	lines, err := t.rig.lines()
	if err != nil {
		return o, err
	}
	o.Verdict = judge.Judge(judge.Case{Targets: targets, Lines: lines, Fault: fault})
	return o, nil
}

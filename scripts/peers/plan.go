package main

import (
	"fmt"
	"time"

	"github.com/firjob/firjob/scripts/peers/judge"
)

// tick is a periodic job: it fires each minute at the second of At, or each day
// at its hour and minute. At is in UTC, in whole seconds, and a daily one in whole
// minutes: the cron library that asynq uses finds no minute in a shifted zone.
type tick struct {
	Key   string    `json:"key"`
	At    time.Time `json:"at"`
	Daily bool      `json:"daily,omitempty"`
}

// cronSeconds is the tick as a cron expression of six fields, in UTC.
func (t tick) cronSeconds() string {
	return fmt.Sprintf("%d %s", t.At.Second(), t.cronMinutes())
}

// cronMinutes is the tick as a cron expression of five fields in the zone that
// makes its second the first of a minute.
func (t tick) cronMinutes() string {
	if t.Daily {
		return fmt.Sprintf("%d %d * * *", t.At.Minute(), t.At.Hour())
	}
	return "* * * * *"
}

// zone is that zone.
func (t tick) zone() *time.Location { return time.FixedZone("", -t.At.Second()) }

// targets are the instants of the tick in [from, until).
func (t tick) targets(from, until time.Time) (list []judge.Target) {
	if t.Daily {
		if !t.At.Before(from) && t.At.Before(until) {
			list = append(list, judge.Target{Key: t.Key, Due: t.At, Window: 24 * time.Hour})
		}
		return list
	}
	at := from.Truncate(time.Minute).Add(time.Duration(t.At.Second()) * time.Second)
	for ; at.Before(until); at = at.Add(time.Minute) {
		if !at.Before(from) {
			list = append(list, judge.Target{Key: t.Key, Due: at, Window: time.Minute})
		}
	}
	return list
}

// everySeconds are ticks that together fire each n seconds; n divides 60.
func everySeconds(n int) (list []tick) {
	for s := 0; s < 60; s += n {
		list = append(list, tick{Key: fmt.Sprintf("tick-%02d", s), At: time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC)})
	}
	return list
}

// burst are n ticks that fire together, in the minute that begins then.
func burst(n int, at time.Time) (list []tick) {
	for i := range n {
		list = append(list, tick{Key: fmt.Sprintf("burst-%05d", i), At: at, Daily: true})
	}
	return list
}

// targetsOf are the instants of all ticks in [from, until).
func targetsOf(ticks []tick, from, until time.Time) (list []judge.Target) {
	for _, t := range ticks {
		list = append(list, t.targets(from, until)...)
	}
	return list
}

// task is something to run once.
type task struct {
	Key  string
	Due  time.Time     // zero: now
	Work time.Duration // how long its handler takes
}

// tasks are n of them.
func tasks(prefix string, n int, due time.Time, work time.Duration) (list []task) {
	for i := range n {
		list = append(list, task{Key: fmt.Sprintf("%s-%03d", prefix, i), Due: due, Work: work})
	}
	return list
}

// targetsOfTasks are due at the given instant if they were due at once.
func targetsOfTasks(list []task, now time.Time) (targets []judge.Target) {
	for _, t := range list {
		due := t.Due
		if due.IsZero() {
			due = now
		}
		targets = append(targets, judge.Target{Key: t.Key, Due: due})
	}
	return targets
}

package flow

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

func TestClaimRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	fire := func(late time.Duration) candidate {
		id := firjob.Fire(7, now.Add(-late))
		job := scan.JobRow{Job: firjob.NewJob()}
		job.ID, job.Version, job.Since = 7, 3, 3
		return candidate{id: id, version: 3, dueAt: id.ScheduledAt(), now: now, job: job}
	}
	with := func(c candidate, change func(*candidate)) candidate {
		change(&c)
		return c
	}
	manual := with(fire(time.Hour), func(c *candidate) {
		c.id, c.version = firjob.NewExecutionID(7, now.Add(-time.Hour), firjob.KindManual, 1), 0
	})
	late := fire(time.Minute)
	fireAll := func(c *candidate) { c.job.Misfire.Policy, c.job.Misfire.MaxCatchUp = firjob.MisfireFireAll, 3 }
	surplus := func(c *candidate) { fireAll(c); c.surplus = true }
	nextDue := func(c *candidate, late time.Duration) { c.job.NextFireAt = new(now.Add(-late)) }
	newer := func(c *candidate) { c.newer = firjob.Fire(7, now.Add(-time.Second)) }
	const claimed, early, contends firjob.State = "claimed", "early", "contends"
	for name, c := range map[string]struct {
		candidate candidate
		want      firjob.State
		reason    string
	}{
		"due":                      {fire(0), claimed, ""},
		"due in a second":          {fire(-time.Second), claimed, ""},
		"due in more than that":    {fire(-1001 * time.Millisecond), early, ""},
		"within the grace":         {fire(5 * time.Second), claimed, ""},
		"late, the only one":       {late, claimed, ""},
		"late, a newer one is due": {with(late, newer), firjob.StateMissed, "1m0s late; the later fire of 2026-11-22T05:59:59Z runs instead"},
		"late, fire_all": {with(with(late, newer), func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireFireAll }),
			claimed, ""},
		"late, fire_all, too many later ones": {with(late, surplus),
			firjob.StateMissed, "1m0s late; fire_all runs the latest 3 only (max_catch_up)"},
		"late, fire_all, let in from the queue": {with(late, func(c *candidate) { surplus(c); c.holdsJob = true }), claimed, ""},
		"late, fire_all, tried before":          {with(late, func(c *candidate) { surplus(c); c.attempt = 1 }), claimed, ""},
		"late, fire_all, late ones to be planned": {with(late, func(c *candidate) { fireAll(c); nextDue(c, 6*time.Second) }),
			early, ""},
		"late, fire_all, planned up to the grace": {with(late, func(c *candidate) { fireAll(c); nextDue(c, 5*time.Second) }),
			claimed, ""},
		"late, fire_once, late ones to be planned": {with(late, func(c *candidate) { nextDue(c, time.Minute) }), claimed, ""},
		"late, skip": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip }),
			firjob.StateMissed, "1m0s late, beyond the grace of 5s"},
		"late, skip, tried before": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip; c.attempt = 1 }),
			claimed, ""},
		"late, skip, let in from the queue": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip; c.holdsJob = true }),
			claimed, ""},
		"manual, hours late": {with(manual, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip }), claimed, ""},
		"manual, paused":     {with(manual, func(c *candidate) { c.job.Enabled = false }), claimed, ""},
		"manual, deleted":    {with(manual, func(c *candidate) { c.job.Deleted = true }), firjob.StateSuperseded, "the job was deleted"},
		"paused":             {with(fire(0), func(c *candidate) { c.job.Enabled = false }), firjob.StateSuperseded, "the job is paused"},
		"paused, a retry":    {with(fire(0), func(c *candidate) { c.job.Enabled = false; c.attempt = 1 }), claimed, ""},
		"changed": {with(fire(0), func(c *candidate) { c.version = 2 }),
			firjob.StateSuperseded, "the job was changed: version 2 planned it, 3 is current"},
		"changed, but not its fires": {with(fire(0), func(c *candidate) { c.version, c.job.Since = 2, 2 }), claimed, ""},
		"changed, a retry":           {with(fire(0), func(c *candidate) { c.version = 2; c.attempt = 1 }), claimed, ""},
		"no such job":                {with(fire(0), func(c *candidate) { c.job = scan.JobRow{} }), firjob.StateSuperseded, "the job was deleted"},
		"cancelled":                  {with(fire(-time.Hour), func(c *candidate) { c.cancel = true }), firjob.StateCancelled, "cancelled on request"},
		"needs the slot":             {with(fire(0), func(c *candidate) { c.job.Overlap = firjob.OverlapSkip }), contends, ""},
		"slot, due in a moment":      {with(fire(-100*time.Millisecond), func(c *candidate) { c.job.Overlap = firjob.OverlapQueue }), early, ""},
		"slot, the shard of a broadcast": {with(fire(0), func(c *candidate) {
			c.id = c.id.Shard(3)
			c.job.Overlap, c.job.Route = firjob.OverlapSkip, firjob.RouteBroadcast
		}), claimed, ""},
		"max_running, due in a moment": {with(fire(-100*time.Millisecond), func(c *candidate) { c.job.MaxRunning = 2 }), early, ""},
		"limited app, due in a moment": {with(fire(-100*time.Millisecond), func(c *candidate) { c.limited = true }), early, ""},
		"limited app, a broadcast": {with(fire(-100*time.Millisecond), func(c *candidate) {
			c.limited, c.job.Route = true, firjob.RouteBroadcast
		}), claimed, ""},
		"beyond the start deadline": {with(late, func(c *candidate) { c.job.StartDeadline = firjob.Duration(30 * time.Second) }),
			firjob.StateMissed, "1m0s late, beyond the start deadline of 30s"},
		"beyond the start deadline, though let in": {with(late, func(c *candidate) { c.holdsJob, c.job.StartDeadline = true, firjob.Duration(30*time.Second) }),
			firjob.StateMissed, "1m0s late, beyond the start deadline of 30s"},
		"slot, but not due": {with(fire(-time.Hour), func(c *candidate) { c.job.Overlap = firjob.OverlapSkip }), early, ""},
	} {
		d := decideClaims([]firjob.ExecutionID{c.candidate.id}, []candidate{c.candidate})
		var got firjob.State
		var reason string
		switch {
		case len(d.enter) == 1:
			got = claimed
		case len(d.early) == 1:
			got = early
		case len(d.contend) == 1:
			got = contends
		case len(d.end) == 1 && len(d.dropped) == 1:
			got, reason = d.end[0].State, d.end[0].Reason
		}
		if got != c.want || reason != c.reason {
			t.Errorf("%s: got %s %q, want %s %q", name, got, reason, c.want, c.reason)
		}
	}
}

func TestOverlapRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	fire := func(ms int) firjob.ExecutionID { return firjob.Fire(1, now.Add(time.Duration(ms)*time.Millisecond)) }
	for name, c := range map[string]struct {
		overlap firjob.Overlap
		places  int
		holders []int // scheduled milliseconds
		waiting int
		limit   int
		ask     []int
		want    string // of those that ask, in the order of ids
	}{
		"a place is free":                {overlap: firjob.OverlapSkip, ask: []int{5, 1}, want: "enter skip"},
		"skip":                           {overlap: firjob.OverlapSkip, holders: []int{0}, ask: []int{1, 2}, want: "skip skip"},
		"skip with two places":           {overlap: firjob.OverlapSkip, places: 2, holders: []int{0}, ask: []int{1, 2}, want: "enter skip"},
		"queue":                          {overlap: firjob.OverlapQueue, holders: []int{0}, limit: 9, ask: []int{2, 1}, want: "wait wait"},
		"queue with three places":        {overlap: firjob.OverlapQueue, places: 3, limit: 9, ask: []int{2, 1, 3, 4}, want: "enter enter enter wait"},
		"queue, the line is full":        {overlap: firjob.OverlapQueue, holders: []int{0}, waiting: 1, limit: 2, ask: []int{1, 2}, want: "wait skip"},
		"allow waits like queue":         {overlap: firjob.OverlapAllow, places: 1, holders: []int{0}, limit: 1, ask: []int{1, 2}, want: "wait skip"},
		"more hold than may":             {overlap: firjob.OverlapQueue, places: 1, holders: []int{0, 1}, limit: 9, ask: []int{1, 2}, want: "enter wait"},
		"replace, nobody runs":           {overlap: firjob.OverlapReplace, ask: []int{1, 2}, want: "skip enter"},
		"replace":                        {overlap: firjob.OverlapReplace, holders: []int{0}, ask: []int{1, 2}, want: "skip wait"},
		"replace, a later one runs":      {overlap: firjob.OverlapReplace, holders: []int{3}, ask: []int{1, 2}, want: "skip skip"},
		"replace the holder's own retry": {overlap: firjob.OverlapReplace, holders: []int{0}, ask: []int{0, 2}, want: "cancel enter"},
	} {
		s := &jobSlot{id: 1, waiting: c.waiting}
		for _, ms := range c.holders {
			s.holders = append(s.holders, fire(ms))
		}
		d := &claims{}
		for _, ms := range c.ask {
			job := scan.JobRow{Job: firjob.NewJob()}
			job.ID, job.Overlap, job.MaxRunning, job.QueueLimit = 1, c.overlap, c.places, c.limit
			s.job = job
			d.contend = append(d.contend, candidate{id: fire(ms), job: job})
		}
		d.assignSlots(map[firjob.JobID]*jobSlot{1: s})
		got := strings.Join(d.outcomes(), " ")
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// outcomes tells what became of the contenders, in the order of their ids.
func (d *claims) outcomes() []string {
	became := map[firjob.ExecutionID]string{}
	for _, c := range d.enter {
		became[c.id] = "enter"
	}
	for _, w := range d.wait {
		became[w.ID] = "wait"
	}
	for _, e := range d.end {
		became[e.ID] = map[firjob.State]string{firjob.StateSkipped: "skip", firjob.StateCancelled: "cancel"}[e.State]
	}
	var list []string
	for _, id := range slices.SortedFunc(maps.Keys(became), pg.CompareIDs) {
		list = append(list, became[id])
	}
	return list
}

func TestStartDeadline(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		kind    firjob.Kind
		late    time.Duration
		attempt int
		want    bool
	}{
		"in time":          {firjob.KindSchedule, 10 * time.Second, 0, false},
		"late":             {firjob.KindSchedule, 10*time.Second + time.Millisecond, 0, true},
		"late, a retry":    {firjob.KindSchedule, time.Minute, 1, false},
		"late, by hand":    {firjob.KindManual, time.Minute, 0, true},
		"late, a child":    {firjob.KindChild, time.Minute, 0, true},
		"late, a backfill": {firjob.KindBackfill, time.Hour, 0, false},
	} {
		id := firjob.NewExecutionID(7, now.Add(-c.late), c.kind, 1)
		if got := tooLate(id, c.attempt, firjob.Duration(10*time.Second), now); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if tooLate(id, c.attempt, 0, now) {
			t.Errorf("%s: too late for a job without a start deadline", name)
		}
	}
}

package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
)

func TestClaimRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	fire := func(late time.Duration) candidate {
		id := firjob.Fire(7, now.Add(-late))
		job := jobRow{Job: firjob.NewJob()}
		job.ID, job.Version, job.since = 7, 3, 3
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
		"late, skip": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip }),
			firjob.StateMissed, "1m0s late, beyond the grace of 5s"},
		"late, skip, tried before": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip; c.attempt = 1 }),
			claimed, ""},
		"late, skip, let in from the queue": {with(late, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip; c.letIn = true }),
			claimed, ""},
		"manual, hours late": {with(manual, func(c *candidate) { c.job.Misfire.Policy = firjob.MisfireSkip }), claimed, ""},
		"manual, paused":     {with(manual, func(c *candidate) { c.job.Enabled = false }), claimed, ""},
		"manual, deleted":    {with(manual, func(c *candidate) { c.job.deleted = true }), firjob.StateSuperseded, "the job was deleted"},
		"paused":             {with(fire(0), func(c *candidate) { c.job.Enabled = false }), firjob.StateSuperseded, "the job is paused"},
		"paused, a retry":    {with(fire(0), func(c *candidate) { c.job.Enabled = false; c.attempt = 1 }), claimed, ""},
		"changed": {with(fire(0), func(c *candidate) { c.version = 2 }),
			firjob.StateSuperseded, "the job was changed: version 2 planned it, 3 is current"},
		"changed, but not its fires": {with(fire(0), func(c *candidate) { c.version, c.job.since = 2, 2 }), claimed, ""},
		"changed, a retry":           {with(fire(0), func(c *candidate) { c.version = 2; c.attempt = 1 }), claimed, ""},
		"no such job":                {with(fire(0), func(c *candidate) { c.job = jobRow{} }), firjob.StateSuperseded, "the job was deleted"},
		"cancelled":                  {with(fire(-time.Hour), func(c *candidate) { c.cancel = true }), firjob.StateCancelled, "cancelled on request"},
		"needs the slot":             {with(fire(0), func(c *candidate) { c.job.Overlap = firjob.OverlapSkip }), contends, ""},
		"slot, due in a moment":      {with(fire(-100*time.Millisecond), func(c *candidate) { c.job.Overlap = firjob.OverlapQueue }), early, ""},
		"slot, but not due":          {with(fire(-time.Hour), func(c *candidate) { c.job.Overlap = firjob.OverlapSkip }), early, ""},
	} {
		d := decideClaims([]firjob.ExecutionID{c.candidate.id}, []candidate{c.candidate})
		var got firjob.State
		var reason string
		switch {
		case len(d.claim) == 1:
			got = claimed
		case len(d.early) == 1:
			got = early
		case len(d.contend) == 1:
			got = contends
		case len(d.end) == 1 && len(d.dropped) == 1:
			got, reason = d.end[0].state, d.end[0].reason
		}
		if got != c.want || reason != c.reason {
			t.Errorf("%s: got %s %q, want %s %q", name, got, reason, c.want, c.reason)
		}
	}
}

func TestOverlapRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	contender := func(job firjob.JobID, ms int, overlap firjob.Overlap) candidate {
		c := candidate{id: firjob.Fire(job, now.Add(time.Duration(ms)*time.Millisecond))}
		c.job.ID, c.job.Overlap = job, overlap
		return c
	}
	a1, a2 := contender(1, 5, firjob.OverlapQueue), contender(1, 1, firjob.OverlapQueue)
	b := contender(2, 0, firjob.OverlapSkip)
	d := &claims{contend: []candidate{b, a1, a2}}
	var firsts []firjob.ExecutionID
	for _, c := range d.firsts() {
		firsts = append(firsts, c.id)
	}
	if diff := cmp.Diff([]firjob.ExecutionID{a2.id, b.id}, firsts); diff != "" {
		t.Errorf("who asks for the slots (-want +got):\n%s", diff)
	}
	holder := firjob.Fire(2, now.Add(-time.Hour))
	d.settle(map[firjob.JobID]firjob.ExecutionID{1: a2.id, 2: holder})
	if diff := cmp.Diff([]firjob.ExecutionID{a2.id}, d.claim); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	if len(d.wait) != 1 || d.wait[0].id != a1.id || len(d.end) != 1 || d.end[0].state != firjob.StateSkipped ||
		!strings.Contains(d.end[0].reason, holder.String()) || len(d.dropped) != 2 {
		t.Errorf("got %+v; want the second of job 1 to wait and job 2's to be skipped", d)
	}
}

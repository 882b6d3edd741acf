package dev

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// describeAll says how executions ended, a line each. Those that were superseded
// before anybody claimed them share a line for each job and reason: a change of a job
// with a short interval ends its fires of the next minute at once.
func describeAll(ended []firjob.Execution, zone *time.Location) []string {
	type group struct{ job, reason string }
	var lines []string
	at := make(map[group]int) // the line of each group
	counts := make(map[group]int)
	for _, e := range ended {
		g := group{e.Job, e.Reason}
		switch {
		case e.State != firjob.StateSuperseded || e.Attempt > 0:
			lines = append(lines, describe(e, zone))
			continue
		case counts[g] == 0:
			at[g] = len(lines)
			lines = append(lines, describe(e, zone))
		}
		counts[g]++
	}
	for g, n := range counts {
		if n > 1 {
			lines[at[g]] = console.OneLine(
				fmt.Sprintf("%-24s %-10s %d fires  (%s)", g.job, firjob.StateSuperseded, n, g.reason))
		}
	}
	return lines
}

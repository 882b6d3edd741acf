package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/firjob/firjob"
)

// showExecution writes an execution and its attempts for people.
func showExecution(out *output, e firjob.Execution) {
	out.field("Execution", e.ID.String())
	out.field("Job", fmt.Sprintf("%d %s", e.JobID, e.Job))
	out.field("App", e.App)
	out.field("Handler", e.Handler)
	out.field("Kind", e.Kind.String())
	if e.RetryOf != nil {
		out.field("Retry of", e.RetryOf.String())
	}
	out.field("State", stateText(e))
	out.field("Scheduled (UTC)", out.when(&e.ScheduledAt))
	if !e.State.Final() && !e.DueAt.Equal(e.ScheduledAt) {
		out.field("Due (UTC)", out.when(&e.DueAt))
	}
	out.field("Started (UTC)", out.when(e.StartedAt))
	out.field("Finished (UTC)", out.when(e.FinishedAt))
	out.field("Lateness", latenessText(e.LatenessMS))
	if e.Missed != nil {
		out.field("Stands for", fmt.Sprintf("%s until %s", counted(e.Missed.Count, "fire", "fires"), e.Missed.Until.UTC().Format(timeFormat)))
	}
	out.field("Params", paramsText(e.Params))
	out.field("Result", paramsText(e.Result))
	showAttempts(out, e.Attempts)
}

func showAttempts(out *output, attempts []firjob.Attempt) {
	if len(attempts) == 0 {
		return
	}
	out.line("")
	out.row("ATTEMPT", "TOKEN", "EXECUTOR", "STARTED (UTC)", "TOOK", "OUTCOME", "REASON")
	for _, a := range attempts {
		out.row(countText(int64(a.Attempt)), countText(a.Token), a.Executor, out.when(a.StartedAt),
			tookText(a.StartedAt, a.FinishedAt), string(a.Outcome), a.Reason)
	}
}

// countText shows a number that counts from 1; "" for 0, which is none: an
// execution that ended before its turn has no attempt and no token.
func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func stateText(e firjob.Execution) string {
	if e.Reason == "" {
		return string(e.State)
	}
	return fmt.Sprintf("%s: %s", e.State, e.Reason)
}

func tookText(started, finished *time.Time) string {
	if started == nil || finished == nil {
		return ""
	}
	return firjob.Duration(max(0, finished.Sub(*started))).String()
}

func latenessText(ms *float64) string {
	if ms == nil {
		return ""
	}
	return firjob.Milliseconds(*ms).String()
}

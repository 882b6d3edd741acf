package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

// showExecution writes an execution and its attempts for people.
func showExecution(out *output, e firjob.Execution) {
	out.field("Execution", e.ID.String())
	out.field("Job", fmt.Sprintf("%s/%s (number %d)", e.App, e.Job, e.JobID))
	out.field("Handler", e.Handler)
	out.field("Kind", e.Kind.String())
	out.field("Shard", shardText(e))
	if e.RetryOf != nil {
		out.field("Retry of", e.RetryOf.String())
	}
	out.field("State", stateText(e))
	out.field(out.at("Scheduled"), out.when(&e.ScheduledAt))
	if !e.State.Final() && !e.DueAt.Equal(e.ScheduledAt) {
		out.field(out.at("Due"), out.when(&e.DueAt))
	}
	out.field(out.at("Started"), out.when(e.StartedAt))
	out.field(out.at("Finished"), out.when(e.FinishedAt))
	if e.Progress != nil {
		out.field("Progress", fmt.Sprintf("%d %% %s", e.Progress.Percent, e.Progress.Note))
	}
	out.field("Lateness", latenessText(e.LatenessMS))
	if e.Missed != nil {
		out.field("Stands for",
			fmt.Sprintf("%s until %s", counted(e.Missed.Count, "fire", "fires"), out.time(&e.Missed.Until)))
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
	out.page.Head(table.Column{Title: "ATTEMPT", Right: true}, table.Column{Title: "TOKEN", Right: true},
		table.Column{Title: "EXECUTOR"},
		table.Column{Title: out.at("STARTED")}, table.Column{Title: "TOOK", Right: true},
		table.Column{Title: "OUTCOME"},
		table.Column{Title: "REASON", Optional: true, Note: true})
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
	return instant.Span(finished.Sub(*started))
}

func latenessText(ms *float64) string {
	if ms == nil {
		return ""
	}
	return instant.Span(time.Duration(*ms * float64(time.Millisecond)))
}

// sinceText says how long an execution took, or since when it has been running.
func sinceText(out *output, e firjob.Execution) string {
	if e.StartedAt != nil && e.FinishedAt == nil {
		return "since " + e.StartedAt.In(out.clock.Zone).Format("15:04:05")
	}
	return tookText(e.StartedAt, e.FinishedAt)
}

func shardText(e firjob.Execution) string {
	if e.Shard == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", e.Shard.Index+1, e.Shard.Total)
}

// progressText is the state, and while it runs what it said of itself.
func progressText(e firjob.Execution) string {
	switch {
	case e.State == firjob.StateRunning && e.Progress != nil:
		return fmt.Sprintf("running %d %%", e.Progress.Percent)
	case e.Waiting:
		return "waiting"
	}
	return string(e.State)
}

func paramsText(params json.RawMessage) string {
	if string(params) == "null" {
		return ""
	}
	return string(params)
}

// Package view writes what several kinds of commands show: executions, executors and
// explanations.
package view

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

// Execution writes an execution and its attempts for people.
func Execution(out *console.Output, e firjob.Execution) {
	out.Field("Execution", e.ID.String())
	out.Field("Job", fmt.Sprintf("%s/%s (number %d)", e.App, e.Job, e.JobID))
	out.Field("Handler", e.Handler)
	out.Field("Kind", e.Kind.String())
	out.Field("Shard", ShardText(e))
	if e.RetryOf != nil {
		out.Field("Retry of", e.RetryOf.String())
	}
	out.Field("State", StateText(e))
	out.Field(out.At("Scheduled"), out.When(&e.ScheduledAt))
	if !e.State.Final() && !e.DueAt.Equal(e.ScheduledAt) {
		out.Field(out.At("Due"), out.When(&e.DueAt))
	}
	out.Field(out.At("Started"), out.When(e.StartedAt))
	out.Field(out.At("Finished"), out.When(e.FinishedAt))
	if e.Progress != nil {
		out.Field("Progress", fmt.Sprintf("%d %% %s", e.Progress.Percent, e.Progress.Note))
	}
	out.Field("Lateness", LatenessText(e.LatenessMS))
	if e.Missed != nil {
		out.Field("Stands for",
			fmt.Sprintf("%s until %s", console.Counted(e.Missed.Count, "fire", "fires"), out.Stamp(&e.Missed.Until)))
	}
	out.Field("Params", ParamsText(e.Params))
	out.Field("Result", ParamsText(e.Result))
	showAttempts(out, e.Attempts)
}

func showAttempts(out *console.Output, attempts []firjob.Attempt) {
	if len(attempts) == 0 {
		return
	}
	out.Line("")
	out.Page.Head(table.Column{Title: "ATTEMPT", Right: true}, table.Column{Title: "TOKEN", Right: true},
		table.Column{Title: "EXECUTOR"},
		table.Column{Title: out.At("STARTED")}, table.Column{Title: "TOOK", Right: true},
		table.Column{Title: "OUTCOME"},
		table.Column{Title: "REASON", Optional: true, Note: true})
	for _, a := range attempts {
		out.Row(CountText(int64(a.Attempt)), CountText(a.Token), a.Executor, out.When(a.StartedAt),
			tookText(a.StartedAt, a.FinishedAt), string(a.Outcome), a.Reason)
	}
}

// CountText shows a number that counts from 1; "" for 0, which is none: an
// execution that ended before its turn has no attempt and no token.
func CountText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func StateText(e firjob.Execution) string {
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

func LatenessText(ms *float64) string {
	if ms == nil {
		return ""
	}
	return instant.Span(time.Duration(*ms * float64(time.Millisecond)))
}

// SinceText says how long an execution took, or since when it has been running.
func SinceText(out *console.Output, e firjob.Execution) string {
	if e.StartedAt != nil && e.FinishedAt == nil {
		return "since " + e.StartedAt.In(out.Clock.Zone).Format("15:04:05")
	}
	return tookText(e.StartedAt, e.FinishedAt)
}

func ShardText(e firjob.Execution) string {
	if e.Shard == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", e.Shard.Index+1, e.Shard.Total)
}

// ProgressText is the state, and while it runs what it said of itself.
func ProgressText(e firjob.Execution) string {
	switch {
	case e.State == firjob.StateRunning && e.Progress != nil:
		return fmt.Sprintf("running %d %%", e.Progress.Percent)
	case e.Waiting:
		return "waiting"
	}
	return string(e.State)
}

func ParamsText(params json.RawMessage) string {
	if string(params) == "null" {
		return ""
	}
	return string(params)
}

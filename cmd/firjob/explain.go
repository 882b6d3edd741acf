package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/firjob/firjob"
)

type jobExplainCmd struct {
	jobArg
	At moment `required:"" placeholder:"TIME" help:"The instant, such as 2027-01-01T02:00:00+08:00; to the second it means every fire within that second."`
}

func (jobExplainCmd) Help() string {
	return "Example:\n\n    firjob job explain 42 --at 2026-11-22T02:00:00+08:00"
}

func (c *jobExplainCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, c.path("explain"), url.Values{"at": {string(c.At)}})
	if err != nil {
		return err
	}
	return show(out, answer, showExplanation)
}

type executionExplainCmd struct{ executionArg }

func (executionExplainCmd) Help() string {
	return "Example:\n\n    firjob execution explain 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionExplainCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, executionPath(c.ID)+"/explain", nil)
	if err != nil {
		return err
	}
	return show(out, answer, showExplanation)
}

// moment is a flag that holds a time as it was written: how finely that is
// counts.
type moment string

// UnmarshalText reads the time.
func (m *moment) UnmarshalText(text []byte) error {
	var at instant
	*m = moment(text)
	return at.UnmarshalText(text)
}

// explanation is the API's answer.
type explanation struct {
	At      time.Time `json:"at"`
	Verdict string    `json:"verdict"`
	Steps   []struct {
		At   *time.Time `json:"at"`
		Rule string     `json:"rule"`
		Text string     `json:"text"`
	} `json:"steps"`
	Execution *firjob.Execution `json:"execution"`
	Before    *time.Time        `json:"before"`
	After     *time.Time        `json:"after"`
}

// showExplanation writes the verdict first: who reads it wants to know that.
func showExplanation(out *output, x explanation) {
	out.line("%s", x.Verdict)
	out.line("")
	out.field("Instant (UTC)", out.when(&x.At))
	if x.Execution != nil {
		out.field("Record", fmt.Sprintf("%s (%s)", x.Execution.ID, x.Execution.State))
	}
	out.field("Fire before (UTC)", out.when(x.Before))
	out.field("Fire after (UTC)", out.when(x.After))
	if len(x.Steps) == 0 {
		return
	}
	out.line("")
	out.row("RULE", "WHEN (UTC)", "WHAT")
	for _, step := range x.Steps {
		when := ""
		if step.At != nil {
			when = step.At.UTC().Format("2006-01-02 15:04:05.000")
		}
		out.row(step.Rule, when, step.Text)
	}
}

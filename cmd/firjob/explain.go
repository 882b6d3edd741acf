package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type jobExplainCmd struct {
	jobArg
	zoneFlag
	At written `required:"" placeholder:"TIME" help:"The instant, such as 2027-01-01T02:00:00+08:00; to the second it means every fire within that second."`
}

func (jobExplainCmd) Help() string {
	return "Example:\n\n    firjob job explain 42 --at 2026-11-22T02:00:00+08:00"
}

func (c *jobExplainCmd) Run(ctx context.Context, api *client, out *output) error {
	path, err := c.path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.get(ctx, path, url.Values{"at": {string(c.At)}})
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
	path, err := c.path(ctx, api, "explain")
	if err != nil {
		return err
	}
	answer, err := api.get(ctx, path, nil)
	if err != nil {
		return err
	}
	return show(out, answer, showExplanation)
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
	out.field(out.at("Instant"), out.when(&x.At))
	if x.Execution != nil {
		out.field("Record", fmt.Sprintf("%s (%s)", x.Execution.ID, x.Execution.State))
	}
	out.field(out.at("Fire before"), out.when(x.Before))
	out.field(out.at("Fire after"), out.when(x.After))
	if len(x.Steps) == 0 {
		return
	}
	out.line("")
	out.page.Head(table.Column{Title: "RULE"}, table.Column{Title: out.at("WHEN")},
		table.Column{Title: "WHAT", Note: true})
	for _, step := range x.Steps {
		when := ""
		if step.At != nil {
			when = step.At.In(out.clock.Zone).Format("2006-01-02 15:04:05.000")
		}
		out.row(step.Rule, when, step.Text)
	}
}

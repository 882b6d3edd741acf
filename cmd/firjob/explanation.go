package main

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

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

package view

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
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

// Explanation writes the verdict first: who reads it wants to know that.
func Explanation(out *console.Output, x explanation) {
	out.Line("%s", x.Verdict)
	out.Line("")
	out.Field(out.At("Instant"), out.When(&x.At))
	if x.Execution != nil {
		out.Field("Record", fmt.Sprintf("%s (%s)", x.Execution.ID, x.Execution.State))
	}
	out.Field(out.At("Fire before"), out.When(x.Before))
	out.Field(out.At("Fire after"), out.When(x.After))
	if len(x.Steps) == 0 {
		return
	}
	out.Line("")
	out.Page.Head(table.Column{Title: "RULE"}, table.Column{Title: out.At("WHEN")},
		table.Column{Title: "WHAT", Note: true})
	for _, step := range x.Steps {
		when := ""
		if step.At != nil {
			when = step.At.In(out.Clock.Zone).Format("2006-01-02 15:04:05.000")
		}
		out.Row(step.Rule, when, step.Text)
	}
}

package executions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type DeadLetterCmd struct {
	client.Connection
	console.OutputFlag
	console.ZoneFlag

	List    deadLetterListCmd    `cmd:"" help:"List executions that failed for good and wait for somebody to look at them."`
	Redrive deadLetterRedriveCmd `cmd:"" help:"Run dead letters again, each once."`
	Dismiss deadLetterDismissCmd `cmd:"" help:"Take dead letters off the list."`
}

// deadLetterFilter are the flags that select dead letters.
type deadLetterFilter struct {
	App   string        `placeholder:"NAME" help:"Only those of this app."`
	Job   client.JobRef `placeholder:"JOB" help:"Only those of this job."`
	State []string      `placeholder:"STATE" help:"Only those in one of these states: failed, timed_out, lost."`
	Since *console.Past `placeholder:"TIME|DURATION" help:"Ended at this time or later. A duration such as 2h counts back from now."`
	Until *console.Past `placeholder:"TIME|DURATION" help:"Ended before this time."`
}

// object returns the filter as the API takes it.
func (f *deadLetterFilter) object(ctx context.Context, api *client.Client) (client.Object, error) {
	o := client.Object{}
	if f.App != "" {
		o["app"] = f.App
	}
	if f.Job != "" {
		id, err := f.Job.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		o["job"] = id
	}
	if len(f.State) > 0 {
		o["state"] = f.State
	}
	if f.Since != nil {
		o["since"] = f.Since.Query()
	}
	if f.Until != nil {
		o["until"] = f.Until.Query()
	}
	return o, nil
}

type deadLetterListCmd struct {
	deadLetterFilter
	Handled bool          `help:"Also those that were redriven or dismissed."`
	Limit   console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (deadLetterListCmd) Help() string {
	return "Example:\n\n    firjob dead-letter list --job 42 --since 24h"
}

func (c *deadLetterListCmd) Run(ctx context.Context, p *console.Process, api *client.Client,
	out *console.Output) error {
	selected, err := c.object(ctx, api)
	if err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range selected {
		query.Set(name, fmt.Sprint(value))
	}
	if len(c.State) > 0 {
		query.Set("state", strings.Join(c.State, ","))
	}
	if c.Handled {
		query.Set("handled", "true")
	}
	answer, err := api.List(ctx, "api/v1/dead-letters", query, int(c.Limit))
	if err != nil {
		return err
	}
	columns := []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: out.At("ENDED")}, {Title: "STATE"},
		{Title: "ATTEMPTS", Right: true}, {Title: "HANDLED", Optional: true, Cut: true}, {Title: "REASON", Note: true}}
	return console.ShowTable(out, answer, "There are no dead letters.", columns, deadLetterCells)
}

func deadLetterCells(out *console.Output, d deadLetter) []string {
	return []string{d.ID.String(), d.App + "/" + d.Job, out.Time(&d.FailedAt), string(d.State),
		view.CountText(int64(d.Attempt)), d.handled(out), d.Reason}
}

// deadLetter is one as the API shows it.
type deadLetter struct {
	firjob.Execution
	FailedAt    time.Time           `json:"failed_at"`
	RedrivenAs  *firjob.ExecutionID `json:"redriven_as"`
	DismissedAt *time.Time          `json:"dismissed_at"`
}

func (d deadLetter) handled(out *console.Output) string {
	switch {
	case d.RedrivenAs != nil:
		return "runs again as " + d.RedrivenAs.String()
	case d.DismissedAt != nil:
		return "dismissed " + out.Stamp(d.DismissedAt)
	}
	return ""
}

// deadLetterBatch names dead letters.
type deadLetterBatch struct {
	IDs []client.ExecutionRef `arg:"" optional:"" name:"id" help:"Ids of the executions; or flags that select them."`
	deadLetterFilter
	All    bool `help:"All dead letters, if no other flag selects some."`
	Limit  *int `placeholder:"N" help:"How many of the selected, the earliest first; 1000 by default, 10000 at most."`
	DryRun bool `help:"Only say what would be done."`
}

func (b *deadLetterBatch) body(ctx context.Context, api *client.Client) (client.Object, error) {
	filter, err := b.object(ctx, api)
	switch {
	case err != nil:
		return nil, err
	case len(b.IDs) > 0 && (len(filter) > 0 || b.All || b.Limit != nil):
		return nil, console.Usagef("give ids or flags that select, not both")
	case len(b.IDs) > 0:
		ids := make([]firjob.ExecutionID, len(b.IDs))
		for i, ref := range b.IDs {
			if ids[i], err = ref.Find(ctx, api); err != nil {
				return nil, err
			}
		}
		return client.Object{"ids": ids}, nil
	case len(filter) == 0 && !b.All:
		return nil, console.Usagef("which ones? give ids, flags that select them, or --all")
	}
	o := client.Object{"filter": filter}
	client.Put(o, "limit", b.Limit)
	return o, nil
}

// handle asks the API to do something about dead letters and shows what it did.
func (b *deadLetterBatch) handle(ctx context.Context, api *client.Client, out *console.Output, verb,
	done string) error {
	body, err := b.body(ctx, api)
	if err != nil {
		return err
	}
	answer, err := api.Do(ctx,
		client.Call{Method: http.MethodPost, Path: "api/v1/dead-letters:" + verb, Query: client.DryRun(b.DryRun),
			Body: body})
	if err != nil {
		return err
	}
	var result deadLettersDone
	if err := json.Unmarshal(answer, &result); err != nil {
		return console.NotUnderstood(err)
	}
	err = console.Show(out, answer, func(out *console.Output, result deadLettersDone) {
		for _, item := range result.Items {
			switch {
			case item.Error != nil:
				out.Line("%s: %s", item.ID, item.Error.Detail)
			case item.RedrivenAs != nil && !b.DryRun:
				out.Line("%s runs again as %s.", item.ID, item.RedrivenAs)
			}
		}
		if b.DryRun {
			done = "would be " + done
		}
		out.Line("%d %s, %d refused.", result.Done, done, result.Refused)
	})
	if err == nil && result.Refused > 0 {
		err = errors.New(console.Counted(result.Refused, "of the dead letters was refused",
			"of the dead letters were refused"))
	}
	return err
}

// deadLettersDone is the API's answer.
type deadLettersDone struct {
	Done    int `json:"done"`
	Refused int `json:"refused"`
	Items   []struct {
		ID         firjob.ExecutionID  `json:"id"`
		RedrivenAs *firjob.ExecutionID `json:"redriven_as"`
		Error      *struct {
			Detail string `json:"detail"`
		} `json:"error"`
	} `json:"items"`
}

type deadLetterRedriveCmd struct{ deadLetterBatch }

func (deadLetterRedriveCmd) Help() string {
	return `Examples:

    firjob dead-letter redrive 019c8e5a-3a00-8000-8000-00000000002a
    firjob dead-letter redrive --job 42 --state lost --since 2h --dry-run`
}

func (c *deadLetterRedriveCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	return c.handle(ctx, api, out, "redrive", "redriven")
}

type deadLetterDismissCmd struct{ deadLetterBatch }

func (deadLetterDismissCmd) Help() string {
	return "Example:\n\n    firjob dead-letter dismiss --app billing --until 24h"
}

func (c *deadLetterDismissCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	return c.handle(ctx, api, out, "dismiss", "dismissed")
}

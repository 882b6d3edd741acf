package main

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
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type deadLetterCmd struct {
	connection
	outputFlag
	zoneFlag

	List    deadLetterListCmd    `cmd:"" help:"List executions that failed for good and wait for somebody to look at them."`
	Redrive deadLetterRedriveCmd `cmd:"" help:"Run dead letters again, each once."`
	Dismiss deadLetterDismissCmd `cmd:"" help:"Take dead letters off the list."`
}

// deadLetterFilter are the flags that select dead letters.
type deadLetterFilter struct {
	App   string   `placeholder:"NAME" help:"Only those of this app."`
	Job   jobRef   `placeholder:"JOB" help:"Only those of this job."`
	State []string `placeholder:"STATE,..." help:"Only those in one of these states: failed, timed_out, lost."`
	Since *past    `placeholder:"TIME|DURATION" help:"Ended at this time or later, or as long ago at most, such as 2h."`
	Until *past    `placeholder:"TIME|DURATION" help:"Ended before this time."`
}

// object returns the filter as the API takes it.
func (f *deadLetterFilter) object(ctx context.Context, api *client) (object, error) {
	o := object{}
	if f.App != "" {
		o["app"] = f.App
	}
	if f.Job != "" {
		id, err := f.Job.find(ctx, api)
		if err != nil {
			return nil, err
		}
		o["job"] = id
	}
	if len(f.State) > 0 {
		o["state"] = f.State
	}
	if f.Since != nil {
		o["since"] = f.Since.query()
	}
	if f.Until != nil {
		o["until"] = f.Until.query()
	}
	return o, nil
}

type deadLetterListCmd struct {
	deadLetterFilter
	Handled bool  `help:"Also those that were redriven or dismissed."`
	Limit   limit `default:"100" help:"How many at most; 0 = all."`
}

func (deadLetterListCmd) Help() string {
	return "Example:\n\n    firjob dead-letter list --job 42 --since 24h"
}

func (c *deadLetterListCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
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
	answer, err := api.list(ctx, "api/v1/dead-letters", query, int(c.Limit))
	if err != nil {
		return err
	}
	columns := []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: out.at("ENDED")}, {Title: "STATE"},
		{Title: "ATTEMPTS", Right: true}, {Title: "HANDLED", Optional: true, Cut: true}, {Title: "REASON", Note: true}}
	return showTable(out, answer, "There are no dead letters.", columns, func(out *output, d deadLetter) []string {
		return []string{d.ID.String(), d.App + "/" + d.Job, out.time(&d.FailedAt), string(d.State),
			countText(int64(d.Attempt)), d.handled(out), d.Reason}
	})
}

// deadLetter is one as the API shows it.
type deadLetter struct {
	firjob.Execution
	FailedAt    time.Time           `json:"failed_at"`
	RedrivenAs  *firjob.ExecutionID `json:"redriven_as"`
	DismissedAt *time.Time          `json:"dismissed_at"`
}

func (d deadLetter) handled(out *output) string {
	switch {
	case d.RedrivenAs != nil:
		return "runs again as " + d.RedrivenAs.String()
	case d.DismissedAt != nil:
		return "dismissed " + out.when(d.DismissedAt)
	}
	return ""
}

// deadLetterBatch names dead letters.
type deadLetterBatch struct {
	IDs []executionRef `arg:"" optional:"" name:"id" help:"Ids of the executions; or else flags that select them."`
	deadLetterFilter
	All    bool `help:"All of them, if no other flag selects."`
	Limit  *int `placeholder:"N" help:"How many of the selected, the earliest first; 1000 by default, 10000 at most."`
	DryRun bool `help:"Only say what would be done."`
}

func (b *deadLetterBatch) body(ctx context.Context, api *client) (object, error) {
	filter, err := b.object(ctx, api)
	switch {
	case err != nil:
		return nil, err
	case len(b.IDs) > 0 && (len(filter) > 0 || b.All || b.Limit != nil):
		return nil, usagef("give ids or flags that select, not both")
	case len(b.IDs) > 0:
		ids := make([]firjob.ExecutionID, len(b.IDs))
		for i, ref := range b.IDs {
			if ids[i], err = ref.find(ctx, api); err != nil {
				return nil, err
			}
		}
		return object{"ids": ids}, nil
	case len(filter) == 0 && !b.All:
		return nil, usagef("which ones? give ids, flags that select them, or --all")
	}
	o := object{"filter": filter}
	put(o, "limit", b.Limit)
	return o, nil
}

// handle asks the API to do something about dead letters and shows what it did.
func (b *deadLetterBatch) handle(ctx context.Context, api *client, out *output, verb, done string) error {
	body, err := b.body(ctx, api)
	if err != nil {
		return err
	}
	answer, err := api.do(ctx,
		call{method: http.MethodPost, path: "api/v1/dead-letters:" + verb, query: dryRun(b.DryRun), body: body})
	if err != nil {
		return err
	}
	var result deadLettersDone
	if err := json.Unmarshal(answer, &result); err != nil {
		return notUnderstood(err)
	}
	err = show(out, answer, func(out *output, result deadLettersDone) {
		for _, item := range result.Items {
			switch {
			case item.Error != nil:
				out.line("%s: %s", item.ID, item.Error.Detail)
			case item.RedrivenAs != nil && !b.DryRun:
				out.line("%s runs again as %s.", item.ID, item.RedrivenAs)
			}
		}
		if b.DryRun {
			done = "would be " + done
		}
		out.line("%d %s, %d refused.", result.Done, done, result.Refused)
	})
	if err == nil && result.Refused > 0 {
		err = errors.New(counted(result.Refused, "of the dead letters was refused", "of the dead letters were refused"))
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

func (c *deadLetterRedriveCmd) Run(ctx context.Context, api *client, out *output) error {
	return c.handle(ctx, api, out, "redrive", "redriven")
}

type deadLetterDismissCmd struct{ deadLetterBatch }

func (deadLetterDismissCmd) Help() string {
	return "Example:\n\n    firjob dead-letter dismiss --app billing --until 24h"
}

func (c *deadLetterDismissCmd) Run(ctx context.Context, api *client, out *output) error {
	return c.handle(ctx, api, out, "dismiss", "dismissed")
}

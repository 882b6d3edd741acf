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
)

type deadLetterCmd struct {
	connection
	outputFlag

	List    deadLetterListCmd    `cmd:"" help:"List executions that failed for good and wait for somebody to look at them."`
	Redrive deadLetterRedriveCmd `cmd:"" help:"Run dead letters again, each once."`
	Dismiss deadLetterDismissCmd `cmd:"" help:"Take dead letters off the list."`
}

// deadLetterFilter are the flags that select dead letters.
type deadLetterFilter struct {
	App   string       `placeholder:"NAME" help:"Only those of this app."`
	Job   firjob.JobID `placeholder:"ID" help:"Only those of this job."`
	State []string     `placeholder:"STATE,..." help:"Only those in one of these states: failed, timed_out, lost."`
	Since *past        `placeholder:"TIME|DURATION" help:"Ended at this time or later, or as long ago at most, such as 2h."`
	Until *past        `placeholder:"TIME|DURATION" help:"Ended before this time."`
}

// object returns the filter as the API takes it.
func (f *deadLetterFilter) object(p *process) object {
	o := object{}
	if f.App != "" {
		o["app"] = f.App
	}
	if f.Job != 0 {
		o["job"] = f.Job
	}
	if len(f.State) > 0 {
		o["state"] = f.State
	}
	if f.Since != nil {
		o["since"] = f.Since.query(p.now())
	}
	if f.Until != nil {
		o["until"] = f.Until.query(p.now())
	}
	return o
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
	query := url.Values{}
	for name, value := range c.object(p) {
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
	heading := []string{"ID", "JOB", "ENDED (UTC)", "STATE", "ATTEMPTS", "REASON", "HANDLED"}
	return showList(out, answer, "There are no dead letters.", heading, func(out *output, d deadLetter) []string {
		return []string{d.ID.String(), fmt.Sprintf("%d %s", d.JobID, d.Job), out.when(&d.FailedAt), string(d.State),
			countText(int64(d.Attempt)), d.Reason, d.handled(out)}
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
	IDs []firjob.ExecutionID `arg:"" optional:"" name:"id" help:"Ids of the executions; or else flags that select them."`
	deadLetterFilter
	All    bool `help:"All of them, if no other flag selects."`
	Limit  *int `placeholder:"N" help:"How many of the selected, the earliest first; 1000 by default, 10000 at most."`
	DryRun bool `help:"Only say what would be done."`
}

func (b *deadLetterBatch) body(p *process) (object, error) {
	filter := b.object(p)
	switch {
	case len(b.IDs) > 0 && (len(filter) > 0 || b.All || b.Limit != nil):
		return nil, usagef("give ids or flags that select, not both")
	case len(b.IDs) > 0:
		return object{"ids": b.IDs}, nil
	case len(filter) == 0 && !b.All:
		return nil, usagef("which ones? give ids, flags that select them, or --all")
	}
	o := object{"filter": filter}
	put(o, "limit", b.Limit)
	return o, nil
}

// handle asks the API to do something about dead letters and shows what it did.
func (b *deadLetterBatch) handle(ctx context.Context, p *process, api *client, out *output, verb, done string) error {
	body, err := b.body(p)
	if err != nil {
		return err
	}
	answer, err := api.do(ctx, call{method: http.MethodPost, path: "api/v1/dead-letters:" + verb, query: dryRun(b.DryRun), body: body})
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

func (c *deadLetterRedriveCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	return c.handle(ctx, p, api, out, "redrive", "redriven")
}

type deadLetterDismissCmd struct{ deadLetterBatch }

func (deadLetterDismissCmd) Help() string {
	return "Example:\n\n    firjob dead-letter dismiss --app billing --until 24h"
}

func (c *deadLetterDismissCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	return c.handle(ctx, p, api, out, "dismiss", "dismissed")
}

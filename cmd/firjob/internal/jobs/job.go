// Package jobs holds the commands for jobs, their backfills and schedules, and for
// calendars.
package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type Cmd struct {
	client.Connection
	console.OutputFlag

	Create  jobCreateCmd  `cmd:"" help:"Make a job."`
	Batch   jobBatchCmd   `cmd:"" help:"Make many jobs from a file."`
	List    jobListCmd    `cmd:"" help:"List jobs, and how each ended last."`
	Get     jobGetCmd     `cmd:"" help:"Show a job."`
	Edit    jobEditCmd    `cmd:"" help:"Change a job; what is not named stays as it is."`
	Pause   jobPauseCmd   `cmd:"" help:"Stop jobs from firing."`
	Resume  jobResumeCmd  `cmd:"" help:"Let paused jobs fire again."`
	Delete  jobDeleteCmd  `cmd:"" help:"Delete jobs; their history stays."`
	Trigger jobTriggerCmd `cmd:"" help:"Run a job once, now or later."`
	Next    jobNextCmd    `cmd:"" help:"Show the coming fires of a job."`

	Explain  jobExplainCmd  `cmd:"" help:"Say what became of an instant of a job, and why."`
	Backfill jobBackfillCmd `cmd:"" help:"Run the fires of a past range."`
}

type jobListCmd struct {
	jobFilter
	console.ZoneFlag
	client.WatchFlag
	Limit console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (jobListCmd) Help() string {
	return "Examples:\n\n    firjob job list --app billing --paused\n    firjob job list --failing --watch"
}

func (c *jobListCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	columns := []table.Column{{Title: "ID", Right: true}, {Title: "JOB", Cut: true},
		{Title: "RUNS", Cut: true, Drop: true},
		{Title: "SCHEDULE", Cut: true}, {Title: out.At("NEXT FIRE")}, {Title: "LAST"},
		{Title: "REASON", Optional: true, Note: true}}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := c.find(ctx, api, int(c.Limit))
		if err != nil {
			return err
		}
		return console.ShowTable(out, answer, "There are no such jobs.", columns, jobCells)
	})
}

func jobCells(out *console.Output, j jobView) []string {
	next := out.When(j.NextFireAt)
	if !j.Enabled {
		next = "paused"
	}
	last := lastEnd{}
	if j.Last != nil {
		last = *j.Last
	}
	return []string{fmt.Sprint(j.ID), j.App + "/" + j.Name, runsText(j.Job), whenText(out, j.Job), next,
		string(last.State), last.Reason}
}

type jobGetCmd struct {
	client.JobArg
	console.ZoneFlag
	client.WatchFlag
}

func (jobGetCmd) Help() string {
	return "Examples:\n\n    firjob job get 42\n    firjob job get billing/nightly"
}

func (c *jobGetCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api)
	if err != nil {
		return err
	}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := api.Get(ctx, path, url.Values{"last": {"true"}})
		if err != nil {
			return err
		}
		return console.Show(out, answer, func(out *console.Output, j jobView) {
			showJob(out, j.Job)
			out.Field("Attention", handlerNote(ctx, api, j.Job))
			if j.Last != nil {
				out.Field("Last end", j.Last.text())
				out.Field("Last execution", j.Last.ID.String())
			}
		})
	})
}

// handlerNote says what is wrong with the handler of a job; "" if nothing is, or if
// the executors cannot be listed.
func handlerNote(ctx context.Context, api *client.Client, j firjob.Job) string {
	if j.HTTP != nil {
		return ""
	}
	answer, err := api.Get(ctx, client.AppPath(client.AppName(j.App))+"/executors", nil)
	if err != nil {
		return ""
	}
	var found console.Rows[view.Executor]
	if json.Unmarshal(answer, &found) != nil {
		return ""
	}
	if note := view.MissingHandler(j.Handler, found.Items); note != "" {
		return fmt.Sprintf("the handler %q cannot run: %s", j.Handler, note)
	}
	return ""
}

type jobPauseCmd struct {
	jobSelection
	Reason string `placeholder:"TEXT" help:"Why, for whoever looks at the job."`
}

func (jobPauseCmd) Help() string {
	return `Examples:

    firjob job pause 42 --reason "upstream is down"
    firjob job pause billing/nightly billing/hourly
    firjob job pause --app billing --kind cron --yes`
}

func (c *jobPauseCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	return c.change(ctx, p, api, out, console.Change{Verb: "pause", Done: "paused",
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Post(ctx, at.Path+"/pause", client.ReasonBody(c.Reason))
		},
		Show: func(out *console.Output, answer []byte) error {
			return console.Show(out, answer, showPaused)
		},
	})
}

type jobResumeCmd struct {
	jobSelection
	console.ZoneFlag
	Reason string `placeholder:"TEXT" help:"Why."`
}

func (jobResumeCmd) Help() string {
	return "Examples:\n\n    firjob job resume 42\n    firjob job resume --app billing --paused"
}

func (c *jobResumeCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	return c.change(ctx, p, api, out, console.Change{Verb: "resume", Done: "resumed",
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Post(ctx, at.Path+"/resume", client.ReasonBody(c.Reason))
		},
		Show: func(out *console.Output, answer []byte) error { return console.Show(out, answer, showResumed) },
	})
}

func showPaused(out *console.Output, j firjob.Job) { out.Line("Job %s is paused.", nameText(j)) }

func showResumed(out *console.Output, j firjob.Job) {
	if j.NextFireAt == nil {
		out.Line("Job %s is on. No fire is planned for it.", nameText(j))
		return
	}
	out.Line("Job %s is on. Its next fire is at %s (%s).", nameText(j), out.Stamp(j.NextFireAt), out.Ago(j.NextFireAt))
}

type jobDeleteCmd struct{ jobSelection }

func (jobDeleteCmd) Help() string {
	return "Examples:\n\n    firjob job delete billing/nightly\n    firjob job delete --app billing --query test- --yes"
}

func (c *jobDeleteCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	return c.change(ctx, p, api, out, console.Change{Verb: "delete", Done: "deleted", Always: true,
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Change(ctx, client.Call{Method: http.MethodDelete, Path: at.Path})
		},
		Show: func(out *console.Output, answer []byte) error {
			return out.Done(answer, "Job %s was deleted.", c.Jobs[0])
		},
	})
}

type jobNextCmd struct {
	client.JobArg
	console.ZoneFlag
	Count int `short:"n" default:"10" help:"How many."`
}

func (jobNextCmd) Help() string { return "Example:\n\n    firjob job next 42 -n 3" }

func (c *jobNextCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api, "next")
	if err != nil {
		return err
	}
	answer, err := api.Get(ctx, path, url.Values{"count": {strconv.Itoa(c.Count)}})
	if err != nil {
		return err
	}
	return console.Show(out, answer, func(out *console.Output, coming struct{ Fires []time.Time }) {
		if len(coming.Fires) == 0 {
			out.Line("No further fire of job %s is known.", c.Job)
			return
		}
		out.Page.Head(table.Titled(out.At("FIRES AT"))...)
		for _, at := range coming.Fires {
			out.Row(out.When(&at))
		}
	})
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type jobCmd struct {
	connection
	outputFlag

	Create  jobCreateCmd  `cmd:"" help:"Make a job."`
	Batch   jobBatchCmd   `cmd:"" help:"Make many jobs from a file."`
	List    jobListCmd    `cmd:"" help:"List jobs, and how each ended last."`
	Get     jobGetCmd     `cmd:"" help:"Show a job."`
	Edit    jobEditCmd    `cmd:"" help:"Change a job; what is not said stays."`
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
	zoneFlag
	watchFlag
	Limit limit `default:"100" help:"How many at most; 0 = all."`
}

func (jobListCmd) Help() string {
	return "Examples:\n\n    firjob job list --app billing --paused\n    firjob job list --failing --watch"
}

func (c *jobListCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	columns := []table.Column{{Title: "ID", Right: true}, {Title: "JOB", Cut: true},
		{Title: "RUNS", Cut: true, Drop: true},
		{Title: "SCHEDULE", Cut: true}, {Title: out.at("NEXT FIRE")}, {Title: "LAST END", Note: true}}
	return c.watch(ctx, p, out, func() error {
		answer, err := c.find(ctx, api, int(c.Limit))
		if err != nil {
			return err
		}
		return showTable(out, answer, "There are no such jobs.", columns, func(out *output, j jobView) []string {
			next := out.when(j.NextFireAt)
			if !j.Enabled {
				next = "paused"
			}
			return []string{fmt.Sprint(j.ID), j.App + "/" + j.Name, runsText(j.Job), scheduleText(out, j.Schedule),
				next, j.Last.text()}
		})
	})
}

type jobGetCmd struct {
	jobArg
	zoneFlag
	watchFlag
}

func (jobGetCmd) Help() string {
	return "Examples:\n\n    firjob job get 42\n    firjob job get billing/nightly"
}

func (c *jobGetCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	path, err := c.path(ctx, api)
	if err != nil {
		return err
	}
	return c.watch(ctx, p, out, func() error {
		answer, err := api.get(ctx, path, url.Values{"last": {"true"}})
		if err != nil {
			return err
		}
		return show(out, answer, func(out *output, j jobView) {
			showJob(out, j.Job)
			out.field("Attention", handlerNote(ctx, api, j.Job))
			if j.Last != nil {
				out.field("Last end", j.Last.text())
				out.field("Last execution", j.Last.ID.String())
			}
		})
	})
}

// handlerNote says what is wrong with the handler of a job. That it cannot be found
// out is no reason not to show the job.
func handlerNote(ctx context.Context, api *client, j firjob.Job) string {
	if j.HTTP != nil {
		return ""
	}
	answer, err := api.get(ctx, appPath(appName(j.App))+"/executors", nil)
	if err != nil {
		return ""
	}
	var found rows[executorView]
	if json.Unmarshal(answer, &found) != nil {
		return ""
	}
	if note := missingHandler(j.Handler, found.Items); note != "" {
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

func (c *jobPauseCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	return c.change(ctx, p, api, out, change{verb: "pause", done: "paused",
		each: func(ctx context.Context, at target) ([]byte, error) {
			return api.post(ctx, at.path+"/pause", reasonBody(c.Reason))
		},
		show: func(out *output, answer []byte) error {
			return show(out, answer, func(out *output, j firjob.Job) { out.line("Job %d is paused.", j.ID) })
		},
	})
}

type jobResumeCmd struct {
	jobSelection
	zoneFlag
	Reason string `placeholder:"TEXT" help:"Why."`
}

func (jobResumeCmd) Help() string {
	return "Examples:\n\n    firjob job resume 42\n    firjob job resume --app billing --paused"
}

func (c *jobResumeCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	return c.change(ctx, p, api, out, change{verb: "resume", done: "resumed",
		each: func(ctx context.Context, at target) ([]byte, error) {
			return api.post(ctx, at.path+"/resume", reasonBody(c.Reason))
		},
		show: func(out *output, answer []byte) error { return show(out, answer, showResumed) },
	})
}

func showResumed(out *output, j firjob.Job) {
	if j.NextFireAt == nil {
		out.line("Job %d is on; no fire is to come by itself.", j.ID)
		return
	}
	out.line("Job %d fires again: next at %s.", j.ID, out.when(j.NextFireAt))
}

type jobDeleteCmd struct{ jobSelection }

func (jobDeleteCmd) Help() string {
	return "Examples:\n\n    firjob job delete billing/nightly\n    firjob job delete --app billing --query test- --yes"
}

func (c *jobDeleteCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	return c.change(ctx, p, api, out, change{verb: "delete", done: "deleted", always: true,
		each: func(ctx context.Context, at target) ([]byte, error) {
			return api.change(ctx, call{method: http.MethodDelete, path: at.path})
		},
		show: func(out *output, answer []byte) error { return out.done(answer, "Job %s was deleted.", c.Jobs[0]) },
	})
}

type jobNextCmd struct {
	jobArg
	zoneFlag
	Count int `short:"n" default:"10" help:"How many."`
}

func (jobNextCmd) Help() string { return "Example:\n\n    firjob job next 42 -n 3" }

func (c *jobNextCmd) Run(ctx context.Context, api *client, out *output) error {
	path, err := c.path(ctx, api, "next")
	if err != nil {
		return err
	}
	answer, err := api.get(ctx, path, url.Values{"count": {strconv.Itoa(c.Count)}})
	if err != nil {
		return err
	}
	return show(out, answer, func(out *output, coming struct{ Fires []time.Time }) {
		if len(coming.Fires) == 0 {
			out.line("No fire of job %s is known to come.", c.Job)
			return
		}
		out.page.Head(table.Titled(out.at("FIRES AT"))...)
		for _, at := range coming.Fires {
			out.row(out.when(&at))
		}
	})
}

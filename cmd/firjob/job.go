package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

type jobCmd struct {
	connection
	outputFlag

	Create  jobCreateCmd  `cmd:"" help:"Make a job."`
	Batch   jobBatchCmd   `cmd:"" help:"Make many jobs from a file."`
	List    jobListCmd    `cmd:"" help:"List jobs."`
	Get     jobGetCmd     `cmd:"" help:"Show a job."`
	Edit    jobEditCmd    `cmd:"" help:"Change a job; what is not said stays."`
	Pause   jobPauseCmd   `cmd:"" help:"Stop a job from firing."`
	Resume  jobResumeCmd  `cmd:"" help:"Let a paused job fire again."`
	Delete  jobDeleteCmd  `cmd:"" help:"Delete a job; its history stays."`
	Trigger jobTriggerCmd `cmd:"" help:"Run a job once, now or later."`
	Next    jobNextCmd    `cmd:"" help:"Show the coming fires of a job."`

	Explain  jobExplainCmd  `cmd:"" help:"Say what became of an instant of a job, and why."`
	Backfill jobBackfillCmd `cmd:"" help:"Run the fires of a past range."`
}

// jobArg names a job.
type jobArg struct {
	ID firjob.JobID `arg:"" help:"Number of the job."`
}

// path returns the job's path, or that of what is below it.
func (a jobArg) path(below ...string) string {
	return strings.Join(append([]string{"api/v1/jobs", strconv.FormatUint(uint64(a.ID), 10)}, below...), "/")
}

type jobListCmd struct {
	App      string `placeholder:"NAME" help:"Only jobs of this app."`
	Name     string `placeholder:"NAME" help:"Only jobs of exactly this name; with --app found at once among millions."`
	Query    string `placeholder:"TEXT" help:"Only jobs with this in their name or handler."`
	Enabled  bool   `xor:"enabled" help:"Only jobs that fire."`
	Paused   bool   `xor:"enabled" help:"Only jobs that are paused."`
	Kind     string `placeholder:"cron|every|delay|at|manual" help:"Only jobs whose schedule is of this kind."`
	Route    string `placeholder:"ROUTE" help:"Only jobs with this route."`
	Calendar string `placeholder:"NAME" help:"Only jobs whose schedule names this calendar."`
	Parent   string `placeholder:"ID" help:"Only jobs that this one triggers."`
	Limit    limit  `default:"100" help:"How many at most; 0 = all."`
}

func (jobListCmd) Help() string { return "Example:\n\n    firjob job list --app billing --paused" }

func (c *jobListCmd) Run(ctx context.Context, api *client, out *output) error {
	query := url.Values{}
	putQuery(query, "app", c.App)
	putQuery(query, "name", c.Name)
	putQuery(query, "q", c.Query)
	putQuery(query, "kind", c.Kind)
	putQuery(query, "route", c.Route)
	putQuery(query, "calendar", c.Calendar)
	putQuery(query, "parent", c.Parent)
	if c.Enabled || c.Paused {
		query.Set("enabled", strconv.FormatBool(c.Enabled))
	}
	answer, err := api.list(ctx, "api/v1/jobs", query, int(c.Limit))
	if err != nil {
		return err
	}
	return showList(out, answer, "There are no such jobs.", []string{"ID", "APP", "NAME", "HANDLER", "SCHEDULE", "NEXT FIRE (UTC)"},
		func(out *output, j firjob.Job) []string {
			next := out.when(j.NextFireAt)
			if !j.Enabled {
				next = "paused"
			}
			return []string{fmt.Sprint(j.ID), j.App, j.Name, runsText(j), scheduleText(j.Schedule), next}
		})
}

func putQuery(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

type jobGetCmd struct{ jobArg }

func (jobGetCmd) Help() string { return "Example:\n\n    firjob job get 42" }

func (c *jobGetCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, c.path(), nil)
	if err != nil {
		return err
	}
	return show(out, answer, showJob)
}

type jobPauseCmd struct {
	jobArg
	Reason string `placeholder:"TEXT" help:"Why, for whoever looks at the job."`
}

func (jobPauseCmd) Help() string {
	return "Example:\n\n    firjob job pause 42 --reason \"upstream is down\""
}

func (c *jobPauseCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.post(ctx, c.path("pause"), reasonBody(c.Reason))
	if err != nil {
		return err
	}
	return out.done(answer, "Job %d is paused.", c.ID)
}

type jobResumeCmd struct {
	jobArg
	Reason string `placeholder:"TEXT" help:"Why."`
}

func (jobResumeCmd) Help() string { return "Example:\n\n    firjob job resume 42" }

func (c *jobResumeCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.post(ctx, c.path("resume"), reasonBody(c.Reason))
	if err != nil {
		return err
	}
	return show(out, answer, func(out *output, j firjob.Job) {
		if next := out.when(j.NextFireAt); next != "" {
			out.line("Job %d fires again: next at %s UTC.", j.ID, next)
			return
		}
		out.line("Job %d is on; no fire is to come by itself.", j.ID)
	})
}

func reasonBody(reason string) object {
	o := object{}
	if reason != "" {
		o["reason"] = reason
	}
	return o
}

type jobDeleteCmd struct{ jobArg }

func (jobDeleteCmd) Help() string { return "Example:\n\n    firjob job delete 42" }

func (c *jobDeleteCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.change(ctx, call{method: http.MethodDelete, path: c.path()})
	if err != nil {
		return err
	}
	return out.done(answer, "Job %d was deleted.", c.ID)
}

type jobNextCmd struct {
	jobArg
	Count int `short:"n" default:"10" help:"How many."`
}

func (jobNextCmd) Help() string { return "Example:\n\n    firjob job next 42 -n 3" }

func (c *jobNextCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, c.path("next"), url.Values{"count": {strconv.Itoa(c.Count)}})
	if err != nil {
		return err
	}
	return show(out, answer, func(out *output, coming struct{ Fires []time.Time }) {
		if len(coming.Fires) == 0 {
			out.line("No fire of job %d is known to come.", c.ID)
			return
		}
		out.row("FIRES AT (UTC)")
		for _, at := range coming.Fires {
			out.row(out.when(&at))
		}
	})
}

package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/firjob/firjob"
)

type executionCmd struct {
	connection
	outputFlag

	List   executionListCmd   `cmd:"" help:"List executions, the latest scheduled first."`
	Get    executionGetCmd    `cmd:"" help:"Show an execution and its attempts."`
	Logs   executionLogsCmd   `cmd:"" help:"Show an execution's log, or follow it."`
	Cancel executionCancelCmd `cmd:"" help:"Cancel an execution."`
	Retry  executionRetryCmd  `cmd:"" help:"Run a finished execution again, as a new one."`

	Explain executionExplainCmd `cmd:"" help:"Say what became of an execution, and why."`
}

// executionArg names an execution.
type executionArg struct {
	ID firjob.ExecutionID `arg:"" help:"Id of the execution."`
}

func executionPath(id firjob.ExecutionID) string { return "api/v1/executions/" + id.String() }

type executionListCmd struct {
	Job      firjob.JobID        `placeholder:"ID" help:"Only executions of this job."`
	App      string              `placeholder:"NAME" help:"Only executions of this app."`
	State    []string            `placeholder:"STATE,..." help:"Only executions in one of these states, such as failed,lost."`
	Kind     []string            `placeholder:"KIND,..." help:"Only executions of one of these kinds: schedule, manual, backfill, child."`
	Executor string              `placeholder:"HOST:PORT" help:"Only executions whose latest attempt is this executor's."`
	Root     *firjob.ExecutionID `placeholder:"ID" help:"Only this execution, what it triggered, directly or not, and their shards and retries."`
	Since    *past               `placeholder:"TIME|DURATION" help:"Scheduled at this time or later, or as long ago at most, such as 2h."`
	Until    *past               `placeholder:"TIME|DURATION" help:"Scheduled before this time."`
	Limit    limit               `default:"100" help:"How many at most; 0 = all."`
}

func (executionListCmd) Help() string {
	return "Example:\n\n    firjob execution list --job 42 --state failed,lost --since 24h"
}

func (c *executionListCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	answer, err := api.list(ctx, "api/v1/executions", c.query(p), int(c.Limit))
	if err != nil {
		return err
	}
	heading := []string{"ID", "JOB", "KIND", "SCHEDULED (UTC)", "STATE", "ATTEMPT", "LATENESS", "EXECUTOR"}
	return showList(out, answer, "There are no such executions.", heading,
		func(out *output, e firjob.Execution) []string {
			return []string{e.ID.String(), fmt.Sprintf("%d %s", e.JobID, e.Job), e.Kind.String(), out.when(&e.ScheduledAt),
				string(e.State), countText(int64(e.Attempt)), latenessText(e.LatenessMS), e.Executor}
		})
}

func (c *executionListCmd) query(p *process) url.Values {
	query := url.Values{}
	if c.Job != 0 {
		query.Set("job", fmt.Sprint(c.Job))
	}
	putQuery(query, "app", c.App)
	putQuery(query, "state", strings.Join(c.State, ","))
	putQuery(query, "kind", strings.Join(c.Kind, ","))
	putQuery(query, "executor", c.Executor)
	if c.Root != nil {
		query.Set("root", c.Root.String())
	}
	if c.Since != nil {
		query.Set("since", c.Since.query(p.now()))
	}
	if c.Until != nil {
		query.Set("until", c.Until.query(p.now()))
	}
	return query
}

type executionGetCmd struct{ executionArg }

func (executionGetCmd) Help() string {
	return "Example:\n\n    firjob execution get 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionGetCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, executionPath(c.ID), nil)
	if err != nil {
		return err
	}
	return show(out, answer, showExecution)
}

type executionCancelCmd struct{ executionArg }

func (executionCancelCmd) Help() string {
	return "Example:\n\n    firjob execution cancel 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionCancelCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.post(ctx, executionPath(c.ID)+"/cancel", nil)
	if err != nil {
		return err
	}
	return show(out, answer, func(out *output, e firjob.Execution) {
		if e.State.Final() {
			out.line("Execution %v is %s.", e.ID, e.State)
			return
		}
		out.line("Execution %v is %s; it ends when its handler does.", e.ID, e.State)
	})
}

type executionRetryCmd struct{ executionArg }

func (executionRetryCmd) Help() string {
	return "Example:\n\n    firjob execution retry 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionRetryCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.post(ctx, executionPath(c.ID)+"/retry", nil)
	if err != nil {
		return err
	}
	return show(out, answer, showExecution)
}

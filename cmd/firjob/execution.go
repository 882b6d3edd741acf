package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type executionCmd struct {
	connection
	outputFlag
	zoneFlag

	List   executionListCmd   `cmd:"" help:"List what was executed, the latest scheduled first."`
	Get    executionGetCmd    `cmd:"" help:"Show an execution and its attempts."`
	Tree   executionTreeCmd   `cmd:"" help:"Show an execution and what it led to."`
	Logs   executionLogsCmd   `cmd:"" help:"Show an execution's log, or follow it."`
	Cancel executionCancelCmd `cmd:"" help:"Cancel executions."`
	Retry  executionRetryCmd  `cmd:"" help:"Run finished executions again, as new ones."`

	Explain executionExplainCmd `cmd:"" help:"Say what became of an execution, and why."`
}

// executionFilter are the flags that select executions.
type executionFilter struct {
	Job      jobRef       `placeholder:"JOB" help:"Only executions of this job."`
	App      string       `placeholder:"NAME" help:"Only executions of this app."`
	State    []string     `placeholder:"STATE,..." help:"Only executions in one of these states, such as failed,lost."`
	Kind     []string     `placeholder:"KIND,..." help:"Only executions of one of these kinds: schedule, manual, backfill, child."`
	Executor string       `placeholder:"HOST:PORT" help:"Only executions whose latest attempt is this executor's."`
	Root     executionRef `placeholder:"ID" help:"Only this execution, what it triggered, directly or not, and their shards and retries."`
	Since    *past        `placeholder:"TIME|DURATION" help:"Scheduled at this time or later, or as long ago at most, such as 2h."`
	Until    *past        `placeholder:"TIME|DURATION" help:"Scheduled before this time."`
}

// query returns the filter as the API takes it.
func (f *executionFilter) query(ctx context.Context, api *client) (url.Values, error) {
	query := url.Values{}
	if f.Job != "" {
		id, err := f.Job.find(ctx, api)
		if err != nil {
			return nil, err
		}
		query.Set("job", fmt.Sprint(id))
	}
	if f.Root != "" {
		id, err := f.Root.find(ctx, api)
		if err != nil {
			return nil, err
		}
		query.Set("root", id.String())
	}
	putQuery(query, "app", f.App)
	putQuery(query, "state", strings.Join(f.State, ","))
	putQuery(query, "kind", strings.Join(f.Kind, ","))
	putQuery(query, "executor", f.Executor)
	if f.Since != nil {
		query.Set("since", f.Since.query())
	}
	if f.Until != nil {
		query.Set("until", f.Until.query())
	}
	return query, nil
}

type executionListCmd struct {
	executionFilter
	watchFlag
	Coming bool  `help:"Also those that are to come."`
	Limit  limit `default:"100" help:"How many at most; 0 = all."`
}

func (executionListCmd) Help() string {
	return `Examples:

    firjob execution list --job billing/nightly --state failed,lost --since 24h
    firjob execution list --app billing --coming --watch`
}

func (c *executionListCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	query, err := c.query(ctx, api)
	if err != nil {
		return err
	}
	coming := c.Coming || c.Until != nil || c.Root != "" || slices.Contains(c.State, string(firjob.StatePlanned))
	return c.watch(ctx, p, out, func() error {
		if !coming {
			query.Set("until", moment(p.now()).String())
		}
		query.Del("page_token")
		answer, err := api.list(ctx, "api/v1/executions", query, int(c.Limit))
		if err != nil {
			return err
		}
		return showTable(out, answer, "There are no such executions.", executionColumns(out), executionCells)
	})
}

func executionColumns(out *output) []table.Column {
	return []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: "SHARD", Optional: true},
		{Title: "KIND", Optional: true, Drop: true},
		{Title: out.at("SCHEDULED")}, {Title: "STATE"}, {Title: "ATTEMPT", Optional: true, Right: true, Drop: true},
		{Title: "LATE", Right: true, Optional: true, Drop: true}, {Title: "TOOK", Right: true, Optional: true},
		{Title: "EXECUTOR", Optional: true, Drop: true},
		{Title: "REASON", Optional: true, Note: true}}
}

func executionCells(out *output, e firjob.Execution) []string {
	kind := ""
	if e.Kind != firjob.KindSchedule {
		kind = e.Kind.String()
	}
	return []string{e.ID.String(), e.App + "/" + e.Job, shardText(e), kind, out.time(&e.ScheduledAt), progressText(e),
		countText(int64(e.Attempt)), latenessText(e.LatenessMS), sinceText(out, e), e.Executor, e.Reason}
}

type executionGetCmd struct {
	executionArg
	watchFlag
}

func (executionGetCmd) Help() string {
	return "Examples:\n\n    firjob execution get 019c8e5a-3a00-8000-8000-00000000002a\n" +
		"    firjob execution get 019c8e5a-3a --watch"
}

func (c *executionGetCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	path, err := c.path(ctx, api)
	if err != nil {
		return err
	}
	return c.watch(ctx, p, out, func() error {
		answer, err := api.get(ctx, path, nil)
		if err != nil {
			return err
		}
		return show(out, answer, showExecution)
	})
}

// executionSelection names executions, or selects them.
type executionSelection struct {
	IDs []executionRef `arg:"" optional:"" name:"id" help:"Ids of executions, or enough of their beginnings; or else flags that select them."`
	executionFilter
	severalFlags
}

// targets returns the executions that are meant: of those that flags select the ones
// in these states, unless --state says otherwise.
func (s *executionSelection) targets(ctx context.Context, api *client, states ...firjob.State) ([]target, error) {
	query, err := s.query(ctx, api)
	switch {
	case err != nil:
		return nil, err
	case len(query) > 0 && len(s.IDs) > 0:
		return nil, usagef("give ids or flags that select, not both")
	case len(query) == 0 && len(s.IDs) == 0:
		return nil, usagef("which ones? give ids, or flags that select them")
	}
	var list []target
	for _, ref := range s.IDs {
		id, err := ref.find(ctx, api)
		if err != nil {
			return nil, err
		}
		list = append(list, target{path: executionPath(id), name: id.String()})
	}
	if list != nil {
		return list, nil
	}
	if query.Get("state") == "" {
		for _, state := range states {
			query.Set("state", strings.TrimPrefix(query.Get("state")+","+string(state), ","))
		}
	}
	answer, err := api.list(ctx, "api/v1/executions", query, maxTargets+1)
	if err != nil {
		return nil, err
	}
	var found rows[firjob.Execution]
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, notUnderstood(err)
	}
	for _, e := range found.Items {
		list = append(list, target{path: executionPath(e.ID),
			name: fmt.Sprintf("%s  %s/%s  %s", e.ID, e.App, e.Job, e.State)})
	}
	return list, nil
}

type executionCancelCmd struct{ executionSelection }

func (executionCancelCmd) Help() string {
	return `Examples, of which the second asks for what is planned or runs:

    firjob execution cancel 019c8e5a-3a00-8000-8000-00000000002a
    firjob execution cancel --job billing/nightly --yes`
}

func (c *executionCancelCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	targets, err := c.targets(ctx, api, firjob.StatePlanned, firjob.StateRunning)
	if err != nil {
		return err
	}
	return change{verb: "cancel", done: "cancelled", one: "execution", more: "executions", single: len(c.IDs) == 1,
		each: func(ctx context.Context, at target) ([]byte, error) { return api.post(ctx, at.path+"/cancel", nil) },
		show: func(out *output, answer []byte) error { return show(out, answer, showCancelled) },
	}.run(ctx, p, out, c.Yes, targets)
}

func showCancelled(out *output, e firjob.Execution) {
	if e.State.Final() {
		out.line("Execution %v is %s.", e.ID, e.State)
		return
	}
	out.line("Execution %v is %s; it ends when its handler does.", e.ID, e.State)
}

type executionRetryCmd struct{ executionSelection }

func (executionRetryCmd) Help() string {
	return `Examples, of which the second asks for what failed, timed out or was lost:

    firjob execution retry 019c8e5a-3a00-8000-8000-00000000002a
    firjob execution retry --app billing --since 2h --yes`
}

func (c *executionRetryCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	targets, err := c.targets(ctx, api, firjob.StateFailed, firjob.StateTimedOut, firjob.StateLost)
	if err != nil {
		return err
	}
	return change{verb: "retry", done: "retried", one: "execution", more: "executions", single: len(c.IDs) == 1,
		each: func(ctx context.Context, at target) ([]byte, error) { return api.post(ctx, at.path+"/retry", nil) },
		show: func(out *output, answer []byte) error { return show(out, answer, showExecution) },
	}.run(ctx, p, out, c.Yes, targets)
}

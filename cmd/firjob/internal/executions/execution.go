// Package executions holds the commands for executions, dead letters and statistics.
package executions

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type Cmd struct {
	client.Connection
	console.OutputFlag
	console.ZoneFlag

	List   executionListCmd   `cmd:"" help:"List executions, the latest scheduled first."`
	Get    executionGetCmd    `cmd:"" help:"Show an execution and its attempts."`
	Tree   executionTreeCmd   `cmd:"" help:"Show an execution and what it led to."`
	Logs   executionLogsCmd   `cmd:"" help:"Show an execution's log, or follow it."`
	Cancel executionCancelCmd `cmd:"" help:"Cancel executions."`
	Retry  executionRetryCmd  `cmd:"" help:"Run finished executions again, as new ones."`

	Explain executionExplainCmd `cmd:"" help:"Say what became of an execution, and why."`
}

// executionFilter are the flags that select executions.
type executionFilter struct {
	Job      client.JobRef       `placeholder:"JOB" help:"Only executions of this job."`
	App      string              `placeholder:"NAME" help:"Only executions of this app."`
	State    []string            `placeholder:"STATE" help:"Only executions in one of these states, such as failed,lost."`
	Kind     []string            `placeholder:"KIND" help:"Only executions of one of these kinds: schedule, manual, backfill, child."`
	Executor string              `placeholder:"HOST:PORT" help:"Only executions whose latest attempt was sent to this executor."`
	Root     client.ExecutionRef `placeholder:"ID" help:"Only this execution and what it led to: children, shards and retries."`
	Since    *console.Past       `placeholder:"TIME|DURATION" help:"Scheduled at this time or later. A duration such as 2h counts back from now."`
	Until    *console.Past       `placeholder:"TIME|DURATION" help:"Scheduled before this time."`
}

// query returns the filter as the API takes it.
func (f *executionFilter) query(ctx context.Context, api *client.Client) (url.Values, error) {
	query := url.Values{}
	if f.Job != "" {
		id, err := f.Job.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		query.Set("job", fmt.Sprint(id))
	}
	if f.Root != "" {
		id, err := f.Root.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		query.Set("root", id.String())
	}
	client.PutQuery(query, "app", f.App)
	client.PutQuery(query, "state", strings.Join(f.State, ","))
	client.PutQuery(query, "kind", strings.Join(f.Kind, ","))
	client.PutQuery(query, "executor", f.Executor)
	if f.Since != nil {
		query.Set("since", f.Since.Query())
	}
	if f.Until != nil {
		query.Set("until", f.Until.Query())
	}
	return query, nil
}

type executionListCmd struct {
	executionFilter
	client.WatchFlag
	Coming bool          `help:"List planned executions, too."`
	Limit  console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (executionListCmd) Help() string {
	return `Examples:

    firjob execution list --job billing/nightly --state failed,lost --since 24h
    firjob execution list --app billing --coming --watch`
}

func (c *executionListCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	query, err := c.query(ctx, api)
	if err != nil {
		return err
	}
	coming := c.Coming || c.Until != nil || c.Root != "" || slices.Contains(c.State, string(firjob.StatePlanned))
	return c.Repeat(ctx, p, out, func() error {
		if !coming {
			query.Set("until", console.Moment(p.Now()).String())
		}
		query.Del("page_token")
		answer, err := api.List(ctx, "api/v1/executions", query, int(c.Limit))
		if err != nil {
			return err
		}
		return console.ShowTable(out, answer, "There are no such executions.", executionColumns(out), executionCells)
	})
}

func executionColumns(out *console.Output) []table.Column {
	return []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: "SHARD", Optional: true},
		{Title: "KIND", Optional: true, Drop: true},
		{Title: out.At("SCHEDULED")}, {Title: "STATE"}, {Title: "ATTEMPT", Optional: true, Right: true, Drop: true},
		{Title: "LATE", Right: true, Optional: true, Drop: true}, {Title: "TOOK", Right: true, Optional: true},
		{Title: "EXECUTOR", Optional: true, Drop: true},
		{Title: "REASON", Optional: true, Note: true}}
}

func executionCells(out *console.Output, e firjob.Execution) []string {
	kind := ""
	if e.Kind != firjob.KindSchedule {
		kind = e.Kind.String()
	}
	return []string{e.ID.String(), e.App + "/" + e.Job, view.ShardText(e), kind, out.Time(&e.ScheduledAt),
		view.ProgressText(e), view.CountText(int64(e.Attempt)), view.LatenessText(e.LatenessMS), view.SinceText(out, e),
		e.Executor, e.Reason}
}

type executionGetCmd struct {
	client.ExecutionArg
	client.WatchFlag
}

func (executionGetCmd) Help() string {
	return "Examples:\n\n    firjob execution get 019c8e5a-3a00-8000-8000-00000000002a\n" +
		"    firjob execution get 019c8e5a-3a --watch"
}

func (c *executionGetCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	path, err := c.Path(ctx, api)
	if err != nil {
		return err
	}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := api.Get(ctx, path, nil)
		if err != nil {
			return err
		}
		return console.Show(out, answer, view.Execution)
	})
}

// executionSelection names executions, or selects them.
type executionSelection struct {
	IDs []client.ExecutionRef `arg:"" optional:"" name:"id" help:"Ids of executions, or beginnings of ids; or flags that select executions."`
	executionFilter
	console.SeveralFlags
}

// targets returns the executions that are meant: of those that flags select the ones
// in these states, unless --state says otherwise.
func (s *executionSelection) targets(ctx context.Context, api *client.Client,
	states ...firjob.State) ([]console.Target, error) {
	query, err := s.query(ctx, api)
	switch {
	case err != nil:
		return nil, err
	case len(query) > 0 && len(s.IDs) > 0:
		return nil, console.Usagef("give ids or flags that select, not both")
	case len(query) == 0 && len(s.IDs) == 0:
		return nil, console.Usagef("which ones? give ids, or flags that select them")
	}
	var list []console.Target
	for _, ref := range s.IDs {
		id, err := ref.Find(ctx, api)
		if err != nil {
			return nil, err
		}
		list = append(list, console.Target{Path: client.ExecutionPath(id), Name: id.String()})
	}
	if list != nil {
		return list, nil
	}
	if query.Get("state") == "" {
		for _, state := range states {
			query.Set("state", strings.TrimPrefix(query.Get("state")+","+string(state), ","))
		}
	}
	answer, err := api.List(ctx, "api/v1/executions", query, console.MaxTargets+1)
	if err != nil {
		return nil, err
	}
	var found console.Rows[firjob.Execution]
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, console.NotUnderstood(err)
	}
	for _, e := range found.Items {
		list = append(list, console.Target{Path: client.ExecutionPath(e.ID),
			Name: fmt.Sprintf("%s  %s/%s  %s", e.ID, e.App, e.Job, e.State)})
	}
	return list, nil
}

type executionCancelCmd struct{ executionSelection }

func (executionCancelCmd) Help() string {
	return `Examples, of which the second asks for what is planned or runs:

    firjob execution cancel 019c8e5a-3a00-8000-8000-00000000002a
    firjob execution cancel --job billing/nightly --yes`
}

func (c *executionCancelCmd) Run(ctx context.Context, p *console.Process, api *client.Client,
	out *console.Output) error {
	targets, err := c.targets(ctx, api, firjob.StatePlanned, firjob.StateRunning)
	if err != nil {
		return err
	}
	return console.Change{Verb: "cancel", Done: "cancelled", One: "execution", More: "executions",
		Single: len(c.IDs) == 1,
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Post(ctx, at.Path+"/cancel", nil)
		},
		Show: func(out *console.Output, answer []byte) error { return console.Show(out, answer, showCancelled) },
	}.Run(ctx, p, out, c.Yes, targets)
}

func showCancelled(out *console.Output, e firjob.Execution) {
	if e.State.Final() {
		out.Line("Execution %v is %s.", e.ID, e.State)
		return
	}
	out.Line("Execution %v is still %s. It ends when its handler stops.", e.ID, e.State)
}

type executionRetryCmd struct{ executionSelection }

func (executionRetryCmd) Help() string {
	return `Examples, of which the second asks for what failed, timed out or was lost:

    firjob execution retry 019c8e5a-3a00-8000-8000-00000000002a
    firjob execution retry --app billing --since 2h --yes`
}

func (c *executionRetryCmd) Run(ctx context.Context, p *console.Process, api *client.Client,
	out *console.Output) error {
	targets, err := c.targets(ctx, api, firjob.StateFailed, firjob.StateTimedOut, firjob.StateLost)
	if err != nil {
		return err
	}
	return console.Change{Verb: "retry", Done: "retried", One: "execution", More: "executions", Single: len(c.IDs) == 1,
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Post(ctx, at.Path+"/retry", nil)
		},
		Show: func(out *console.Output, answer []byte) error { return console.Show(out, answer, view.Execution) },
	}.Run(ctx, p, out, c.Yes, targets)
}

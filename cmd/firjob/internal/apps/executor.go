package apps

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type ExecutorCmd struct {
	client.Connection
	console.OutputFlag
	console.ZoneFlag

	Drain    executorDrainCmd    `cmd:"" help:"Send an executor nothing new; it finishes what it has, then leaves."`
	Cordon   executorCordonCmd   `cmd:"" help:"Send an executor nothing new; it finishes what it has, and stays."`
	Uncordon executorUncordonCmd `cmd:"" help:"Send an executor work again."`
}

// executorArg names an executor.
type executorArg struct {
	App     client.AppName `arg:"" help:"Name of the app."`
	Address string         `arg:"" placeholder:"HOST:PORT" help:"Its address, as \"firjob app executors\" shows it."`
	Reason  string         `placeholder:"TEXT" help:"Why, for whoever looks at the executors."`
}

func (a executorArg) set(ctx context.Context, api *client.Client, out *console.Output,
	state firjob.ExecutorState) error {
	body := client.ReasonBody(a.Reason)
	body["state"] = state
	path := fmt.Sprintf("%s/executors/%s/state", client.AppPath(a.App), url.PathEscape(a.Address))
	answer, err := api.Do(ctx, client.Call{Method: http.MethodPut, Path: path, Body: body})
	if err != nil {
		return err
	}
	return out.Done(answer, "Executor %s of %s is %s.", a.Address, a.App, state)
}

type executorDrainCmd struct{ executorArg }

func (executorDrainCmd) Help() string {
	return "Example:\n\n    firjob executor drain billing 10.0.0.7:9999 --reason \"disk is full\""
}

func (c *executorDrainCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	return c.set(ctx, api, out, firjob.ExecutorDraining)
}

type executorCordonCmd struct{ executorArg }

func (executorCordonCmd) Help() string {
	return "Example:\n\n    firjob executor cordon billing 10.0.0.7:9999"
}

func (c *executorCordonCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	return c.set(ctx, api, out, firjob.ExecutorCordoned)
}

type executorUncordonCmd struct{ executorArg }

func (executorUncordonCmd) Help() string {
	return "Example:\n\n    firjob executor uncordon billing 10.0.0.7:9999"
}

func (c *executorUncordonCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	return c.set(ctx, api, out, firjob.ExecutorActive)
}

type appExecutorsCmd struct {
	Name client.AppName `arg:"" help:"Name of the app."`
	client.WatchFlag
}

func (appExecutorsCmd) Help() string { return "Example:\n\n    firjob app executors billing" }

func (c *appExecutorsCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	columns := []table.Column{{Title: "ADDRESS"}, {Title: "STATE"}, {Title: "RUNNING", Right: true},
		{Title: "CAPACITY", Right: true},
		{Title: "VERSION", Cut: true, Drop: true}, {Title: out.At("STARTED"), Drop: true}, {Title: "LAST BEAT"},
		{Title: "HANDLERS", Optional: true, Cut: true}, {Title: "NOTE", Optional: true, Note: true}}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := api.Get(ctx, client.AppPath(c.Name)+"/executors", nil)
		if err != nil {
			return err
		}
		return console.ShowTable(out, answer, "No executor of "+string(c.Name)+" is alive.", columns, executorCells)
	})
}

func executorCells(out *console.Output, e view.Executor) []string {
	state := string(e.State)
	switch {
	case !e.Live:
		state += ", gone"
	case e.Mute:
		state += ", mute"
	}
	return []string{e.Address, state, fmt.Sprint(e.Running), fmt.Sprint(e.Capacity), e.Version, out.Time(&e.StartedAt),
		out.Ago(&e.LastBeat), strings.Join(e.Handlers, ", "), e.Note()}
}

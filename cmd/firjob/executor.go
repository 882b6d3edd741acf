package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type executorCmd struct {
	connection
	outputFlag
	zoneFlag

	Drain    executorDrainCmd    `cmd:"" help:"Give an executor nothing new; it finishes what it has and leaves."`
	Cordon   executorCordonCmd   `cmd:"" help:"Give an executor nothing new; it finishes what it has and stays."`
	Uncordon executorUncordonCmd `cmd:"" help:"Give an executor work again."`
}

// executorArg names an executor.
type executorArg struct {
	App     appName `arg:"" help:"Name of the app."`
	Address string  `arg:"" placeholder:"HOST:PORT" help:"Its address, as \"firjob app executors\" shows it."`
	Reason  string  `placeholder:"TEXT" help:"Why, for whoever looks at the executors."`
}

func (a executorArg) set(ctx context.Context, api *client, out *output, state firjob.ExecutorState) error {
	body := reasonBody(a.Reason)
	body["state"] = state
	path := fmt.Sprintf("%s/executors/%s/state", appPath(a.App), url.PathEscape(a.Address))
	answer, err := api.do(ctx, call{method: http.MethodPut, path: path, body: body})
	if err != nil {
		return err
	}
	return out.done(answer, "Executor %s of %s is %s.", a.Address, a.App, state)
}

type executorDrainCmd struct{ executorArg }

func (executorDrainCmd) Help() string {
	return "Example:\n\n    firjob executor drain billing 10.0.0.7:9999 --reason \"disk is full\""
}

func (c *executorDrainCmd) Run(ctx context.Context, api *client, out *output) error {
	return c.set(ctx, api, out, firjob.ExecutorDraining)
}

type executorCordonCmd struct{ executorArg }

func (executorCordonCmd) Help() string {
	return "Example:\n\n    firjob executor cordon billing 10.0.0.7:9999"
}

func (c *executorCordonCmd) Run(ctx context.Context, api *client, out *output) error {
	return c.set(ctx, api, out, firjob.ExecutorCordoned)
}

type executorUncordonCmd struct{ executorArg }

func (executorUncordonCmd) Help() string {
	return "Example:\n\n    firjob executor uncordon billing 10.0.0.7:9999"
}

func (c *executorUncordonCmd) Run(ctx context.Context, api *client, out *output) error {
	return c.set(ctx, api, out, firjob.ExecutorActive)
}

// executorView is an executor as the API shows it.
type executorView struct {
	firjob.Executor
	Live    bool   `json:"live"`
	Mute    bool   `json:"mute"` // it answers at its port, and its beats do not arrive
	Breaker string `json:"breaker"`
	// LastError is how the latest request that failed ended, however long ago.
	LastError string   `json:"last_error"`
	Handlers  []string `json:"handlers"` // nil from servers that do not tell
	Mark      *struct {
		Reason string `json:"reason"`
	} `json:"mark"`
}

// note says what keeps an executor from getting work.
func (e executorView) note() string {
	var list []string
	if e.Breaker != "closed" && e.Breaker != "" {
		list = append(list, cmp.Or(e.LastError, "its last requests failed"))
	}
	if e.Mark != nil && e.Mark.Reason != "" {
		list = append(list, e.Mark.Reason)
	}
	return strings.Join(list, "; ")
}

type appExecutorsCmd struct {
	Name appName `arg:"" help:"Name of the app."`
	watchFlag
}

func (appExecutorsCmd) Help() string { return "Example:\n\n    firjob app executors billing" }

func (c *appExecutorsCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	columns := []table.Column{{Title: "ADDRESS"}, {Title: "STATE"}, {Title: "RUNNING", Right: true},
		{Title: "CAPACITY", Right: true},
		{Title: "VERSION", Cut: true, Drop: true}, {Title: out.at("STARTED"), Drop: true}, {Title: "LAST BEAT"},
		{Title: "HANDLERS", Optional: true, Cut: true}, {Title: "NOTE", Optional: true, Note: true}}
	return c.watch(ctx, p, out, func() error {
		answer, err := api.get(ctx, appPath(c.Name)+"/executors", nil)
		if err != nil {
			return err
		}
		return showTable(out, answer, "No executor of "+string(c.Name)+" is alive.", columns, executorCells)
	})
}

func executorCells(out *output, e executorView) []string {
	state := string(e.State)
	switch {
	case !e.Live:
		state += ", gone"
	case e.Mute:
		state += ", mute"
	}
	return []string{e.Address, state, fmt.Sprint(e.Running), fmt.Sprint(e.Capacity), e.Version, out.time(&e.StartedAt),
		out.ago(&e.LastBeat), strings.Join(e.Handlers, ", "), e.note()}
}

// missingHandler says that no live executor of an app has a handler; "" if one has,
// or it is not known of all of them.
func missingHandler(handler string, executors []executorView) string {
	live := 0
	for _, e := range executors {
		if e.Live && (e.Handlers == nil || slices.Contains(e.Handlers, handler)) {
			return ""
		}
		if e.Live {
			live++
		}
	}
	if live == 0 {
		return "no executor of the app is alive"
	}
	return "no live executor of the app has it"
}

// Package apps holds the commands for apps and their executors.
package apps

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type Cmd struct {
	client.Connection
	console.OutputFlag
	console.ZoneFlag

	Create    appCreateCmd    `cmd:"" help:"Make an app; shows its secret, once."`
	List      appListCmd      `cmd:"" help:"List apps."`
	Get       appGetCmd       `cmd:"" help:"Show an app and its limits."`
	Edit      appEditCmd      `cmd:"" help:"Change the limits of an app."`
	Delete    appDeleteCmd    `cmd:"" help:"Delete an app without jobs; the history of its jobs stays."`
	Queue     appQueueCmd     `cmd:"" help:"List the executions that wait in an app, and what each waits for."`
	Executors appExecutorsCmd `cmd:"" help:"List the live executors of an app."`
}

type appCreateCmd struct {
	Name       client.AppName `arg:"" help:"Name of the app."`
	SecretFile string         `placeholder:"FILE" help:"Use the secret in this file (- = standard input) in place of a new one."`
}

func (appCreateCmd) Help() string {
	return "Example:\n\n    firjob app create billing"
}

func (c *appCreateCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	body := map[string]string{"name": string(c.Name)}
	if c.SecretFile != "" {
		secret, err := p.ReadFile(c.SecretFile)
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		if body["secret"], err = console.CleanSecret("--secret-file", strings.TrimSpace(string(secret))); err != nil {
			return err
		}
	}
	answer, err := api.Post(ctx, "api/v1/apps", body)
	if err != nil {
		return err
	}
	if c.SecretFile != "" {
		return out.Done(withoutSecret(answer), "App %s was made.", c.Name)
	}
	return console.Show(out, answer, func(out *console.Output, made struct{ Name, Secret string }) {
		out.Line("App %s was made. Its secret is shown only here:", made.Name)
		out.Line("%s", made.Secret)
	})
}

type appDeleteCmd struct {
	console.SeveralFlags
	Name client.AppName `arg:"" help:"Name of the app."`
}

func (appDeleteCmd) Help() string {
	return "Refused while the app has jobs, or executors that are alive. Its secret is void from then on.\n\n" +
		"Example:\n\n    firjob app delete billing"
}

func (c *appDeleteCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	name := string(c.Name)
	deletion := console.Change{Verb: "delete", Done: "deleted", One: "app", More: "apps", Always: true, Single: true,
		Each: func(ctx context.Context, at console.Target) ([]byte, error) {
			return api.Change(ctx, client.Call{Method: http.MethodDelete, Path: at.Path})
		},
		Show: func(out *console.Output, answer []byte) error { return out.Done(answer, "App %s was deleted.", name) },
	}
	return deletion.Run(ctx, p, out, c.Yes, []console.Target{{Path: "api/v1/apps/" + url.PathEscape(name), Name: name}})
}

// withoutSecret takes the secret out of an answer: whoever brought it in a file
// does not want it in a log.
func withoutSecret(answer []byte) []byte {
	var app firjob.App
	if err := json.Unmarshal(answer, &app); err != nil {
		return nil
	}
	var safe bytes.Buffer
	_ = json.NewEncoder(&safe).Encode(app) // an App can be written, and so can the buffer
	return safe.Bytes()
}

type appListCmd struct {
	Query string        `placeholder:"TEXT" help:"Only apps with this in their name."`
	Limit console.Limit `default:"100" help:"How many at most; 0 = all."`
}

func (appListCmd) Help() string { return "Example:\n\n    firjob app list" }

func (c *appListCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	query := url.Values{}
	client.PutQuery(query, "q", c.Query)
	answer, err := api.List(ctx, "api/v1/apps", query, int(c.Limit))
	if err != nil {
		return err
	}
	return console.ShowList(out, answer, "There are no apps: make one with \"firjob app create\".",
		[]string{"APP", out.At("MADE")},
		func(out *console.Output, a firjob.App) []string { return []string{a.Name, out.When(&a.CreatedAt)} })
}

type appGetCmd struct {
	Name client.AppName `arg:"" help:"Name of the app."`
}

func (appGetCmd) Help() string { return "Example:\n\n    firjob app get billing" }

func (c *appGetCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	answer, err := api.Get(ctx, client.AppPath(c.Name), nil)
	if err != nil {
		return err
	}
	return console.Show(out, answer, showApp)
}

func showApp(out *console.Output, a firjob.App) {
	out.Field("App", a.Name)
	running, rate := "no limit", "no limit"
	if a.MaxRunning > 0 {
		running = fmt.Sprint(a.MaxRunning)
	}
	if a.MaxPerSecond > 0 {
		rate = fmt.Sprint(a.MaxPerSecond)
	}
	out.Field("Running at a time", running)
	out.Field("Starts per second", rate)
	out.Field("Version", fmt.Sprint(a.Version))
	out.Field(out.At("Made"), out.When(&a.CreatedAt))
}

type appEditCmd struct {
	Name         client.AppName `arg:"" help:"Name of the app."`
	MaxRunning   *int           `placeholder:"N" help:"Attempts that may run at a time, over all servers; 0 = no limit."`
	MaxPerSecond *float64       `placeholder:"X" help:"Attempts that may start in a second; 0 = no limit."`
}

func (appEditCmd) Help() string {
	return "Example:\n\n    firjob app edit billing --max-running 10 --max-per-second 2.5"
}

func (c *appEditCmd) Run(ctx context.Context, api *client.Client, out *console.Output) error {
	body := client.Object{}
	client.Put(body, "max_running", c.MaxRunning)
	client.Put(body, "max_per_second", c.MaxPerSecond)
	if len(body) == 0 {
		return console.Usagef("say what to change: --max-running or --max-per-second")
	}
	answer, err := api.Change(ctx, client.Call{Method: http.MethodPatch, Path: client.AppPath(c.Name), Body: body})
	if err != nil {
		return err
	}
	return console.Show(out, answer, showApp)
}

type appQueueCmd struct {
	Name  client.AppName `arg:"" help:"Name of the app."`
	Why   string         `placeholder:"overlap|app_running|app_rate|retry|executor|claim" help:"Only executions that wait for this."`
	Limit int            `default:"50" help:"How many at most, up to 500."`
	client.WatchFlag
}

func (appQueueCmd) Help() string { return "Example:\n\n    firjob app queue billing --why overlap" }

func (c *appQueueCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	query := url.Values{"page_size": {fmt.Sprint(c.Limit)}}
	client.PutQuery(query, "why", c.Why)
	columns := []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: out.At("SCHEDULED")},
		{Title: "WAITS", Right: true},
		{Title: "FOR"}, {Title: "REASON", Optional: true, Note: true}}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := api.Get(ctx, client.AppPath(c.Name)+"/queue", query)
		if err != nil {
			return err
		}
		return console.ShowTable(out, answer, "Nothing waits.", columns, waiterCells)
	})
}

func waiterCells(out *console.Output, w waiterView) []string {
	return []string{w.ID.String(), w.App + "/" + w.Job, out.Time(&w.ScheduledAt),
		instant.Span(out.Clock.Now.Sub(w.Since)), w.Why, w.Reason}
}

// waiterView is an execution that waits, as the API shows it.
type waiterView struct {
	firjob.Execution
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

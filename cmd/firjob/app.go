package main

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
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type appCmd struct {
	connection
	outputFlag
	zoneFlag

	Create    appCreateCmd    `cmd:"" help:"Make an app; shows its secret, once."`
	List      appListCmd      `cmd:"" help:"List apps."`
	Get       appGetCmd       `cmd:"" help:"Show an app and its limits."`
	Edit      appEditCmd      `cmd:"" help:"Change the limits of an app."`
	Delete    appDeleteCmd    `cmd:"" help:"Delete an app without jobs; the history of its jobs stays."`
	Queue     appQueueCmd     `cmd:"" help:"List what waits in an app, and for what."`
	Executors appExecutorsCmd `cmd:"" help:"List the live executors of an app."`
}

type appCreateCmd struct {
	Name       appName `arg:"" help:"Name of the app."`
	SecretFile string  `placeholder:"FILE" help:"Use the secret in this file (- = standard input) in place of a new one."`
}

func (appCreateCmd) Help() string {
	return "Example:\n\n    firjob app create billing"
}

func (c *appCreateCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	body := map[string]string{"name": string(c.Name)}
	if c.SecretFile != "" {
		secret, err := p.readFile(c.SecretFile)
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		if body["secret"], err = cleanSecret("--secret-file", strings.TrimSpace(string(secret))); err != nil {
			return err
		}
	}
	answer, err := api.post(ctx, "api/v1/apps", body)
	if err != nil {
		return err
	}
	if c.SecretFile != "" {
		return out.done(withoutSecret(answer), "App %s was made.", c.Name)
	}
	return show(out, answer, func(out *output, made struct{ Name, Secret string }) {
		out.line("App %s was made. Its secret is shown only here:", made.Name)
		out.line("%s", made.Secret)
	})
}

type appDeleteCmd struct {
	severalFlags
	Name appName `arg:"" help:"Name of the app."`
}

func (appDeleteCmd) Help() string {
	return "Refused while the app has jobs, or executors that are alive. Its secret is void from then on.\n\n" +
		"Example:\n\n    firjob app delete billing"
}

func (c *appDeleteCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	name := string(c.Name)
	deletion := change{verb: "delete", done: "deleted", one: "app", more: "apps", always: true, single: true,
		each: func(ctx context.Context, at target) ([]byte, error) {
			return api.change(ctx, call{method: http.MethodDelete, path: at.path})
		},
		show: func(out *output, answer []byte) error { return out.done(answer, "App %s was deleted.", name) },
	}
	return deletion.run(ctx, p, out, c.Yes, []target{{path: "api/v1/apps/" + url.PathEscape(name), name: name}})
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
	Query string `placeholder:"TEXT" help:"Only apps with this in their name."`
	Limit limit  `default:"100" help:"How many at most; 0 = all."`
}

func (appListCmd) Help() string { return "Example:\n\n    firjob app list" }

func (c *appListCmd) Run(ctx context.Context, api *client, out *output) error {
	query := url.Values{}
	putQuery(query, "q", c.Query)
	answer, err := api.list(ctx, "api/v1/apps", query, int(c.Limit))
	if err != nil {
		return err
	}
	return showList(out, answer, "There are no apps: make one with \"firjob app create\".",
		[]string{"APP", out.at("MADE")},
		func(out *output, a firjob.App) []string { return []string{a.Name, out.when(&a.CreatedAt)} })
}

type appGetCmd struct {
	Name appName `arg:"" help:"Name of the app."`
}

func (appGetCmd) Help() string { return "Example:\n\n    firjob app get billing" }

func (c *appGetCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, appPath(c.Name), nil)
	if err != nil {
		return err
	}
	return show(out, answer, showApp)
}

func showApp(out *output, a firjob.App) {
	out.field("App", a.Name)
	running, rate := "no limit", "no limit"
	if a.MaxRunning > 0 {
		running = fmt.Sprint(a.MaxRunning)
	}
	if a.MaxPerSecond > 0 {
		rate = fmt.Sprint(a.MaxPerSecond)
	}
	out.field("Running at a time", running)
	out.field("Starts per second", rate)
	out.field("Version", fmt.Sprint(a.Version))
	out.field(out.at("Made"), out.when(&a.CreatedAt))
}

type appEditCmd struct {
	Name         appName  `arg:"" help:"Name of the app."`
	MaxRunning   *int     `placeholder:"N" help:"Attempts that may run at a time, over all servers; 0 = no limit."`
	MaxPerSecond *float64 `placeholder:"X" help:"Attempts that may start in a second; 0 = no limit."`
}

func (appEditCmd) Help() string {
	return "Example:\n\n    firjob app edit billing --max-running 10 --max-per-second 2.5"
}

func (c *appEditCmd) Run(ctx context.Context, api *client, out *output) error {
	body := object{}
	put(body, "max_running", c.MaxRunning)
	put(body, "max_per_second", c.MaxPerSecond)
	if len(body) == 0 {
		return usagef("say what to change: --max-running or --max-per-second")
	}
	answer, err := api.change(ctx, call{method: http.MethodPatch, path: appPath(c.Name), body: body})
	if err != nil {
		return err
	}
	return show(out, answer, showApp)
}

type appQueueCmd struct {
	Name  appName `arg:"" help:"Name of the app."`
	Why   string  `placeholder:"overlap|app_running|app_rate|retry|executor|claim" help:"Only what waits for this."`
	Limit int     `default:"50" help:"How many at most, up to 500."`
	watchFlag
}

func (appQueueCmd) Help() string { return "Example:\n\n    firjob app queue billing --why overlap" }

func (c *appQueueCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	query := url.Values{"page_size": {fmt.Sprint(c.Limit)}}
	putQuery(query, "why", c.Why)
	columns := []table.Column{{Title: "ID"}, {Title: "JOB", Cut: true}, {Title: out.at("SCHEDULED")},
		{Title: "WAITS", Right: true},
		{Title: "FOR"}, {Title: "REASON", Optional: true, Note: true}}
	return c.watch(ctx, p, out, func() error {
		answer, err := api.get(ctx, appPath(c.Name)+"/queue", query)
		if err != nil {
			return err
		}
		return showTable(out, answer, "Nothing waits.", columns, func(out *output, w waiterView) []string {
			return []string{w.ID.String(), w.App + "/" + w.Job, out.time(&w.ScheduledAt),
				instant.Span(out.clock.Now.Sub(w.Since)), w.Why, w.Reason}
		})
	})
}

// waiterView is an execution that waits, as the API shows it.
type waiterView struct {
	firjob.Execution
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

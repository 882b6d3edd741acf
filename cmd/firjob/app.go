package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/firjob/firjob"
)

type appCmd struct {
	connection
	outputFlag

	Create    appCreateCmd    `cmd:"" help:"Make an app; shows its secret, once."`
	List      appListCmd      `cmd:"" help:"List apps."`
	Executors appExecutorsCmd `cmd:"" help:"List the live executors of an app."`
}

// appName is an argument that names an app. What makes a good name, the server
// says.
type appName string

// Validate is kong's hook.
func (n appName) Validate() error {
	if n == "" {
		return errors.New("want the name of an app")
	}
	return nil
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
	return showList(out, answer, "There are no apps: make one with \"firjob app create\".", []string{"APP", "MADE (UTC)"},
		func(out *output, a firjob.App) []string { return []string{a.Name, out.when(&a.CreatedAt)} })
}

type appExecutorsCmd struct {
	Name appName `arg:"" help:"Name of the app."`
}

func (appExecutorsCmd) Help() string { return "Example:\n\n    firjob app executors billing" }

func (c *appExecutorsCmd) Run(ctx context.Context, api *client, out *output) error {
	answer, err := api.get(ctx, "api/v1/apps/"+url.PathEscape(string(c.Name))+"/executors", nil)
	if err != nil {
		return err
	}
	heading := []string{"ADDRESS", "STATE", "RUNNING", "CAPACITY", "VERSION", "STARTED (UTC)", "LAST BEAT (UTC)", "BREAKER", "LAST ERROR"}
	return showList(out, answer, "No executor of "+string(c.Name)+" is alive.", heading,
		func(out *output, e listedExecutor) []string {
			return []string{e.Address, string(e.State), strconv.Itoa(e.Running), strconv.Itoa(e.Capacity), e.Version,
				out.when(&e.StartedAt), out.when(&e.LastBeat), e.Breaker, e.LastError}
		})
}

// listedExecutor is an executor as a server lists it.
type listedExecutor struct {
	firjob.Executor
	Breaker   string `json:"breaker"`
	LastError string `json:"last_error"`
}

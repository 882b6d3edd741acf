package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// devCmd runs everything on this machine: stores, servers, a worker and demo
// jobs.
type devCmd struct {
	Yes       bool       `short:"y" help:"Fetch Postgres without asking where there is none."`
	Check     bool       `help:"Wait for one success of each kind of demo job, then stop; exit 0 if all came."`
	Ephemeral bool       `help:"Keep nothing."`
	Servers   atLeastOne `name:"replicas" default:"2" help:"Servers behind the balancer. Default: ${default}."`
	Workers   atLeastOne `default:"1" help:"Executors. Default: ${default}."`
	HTTPAddr  string     `name:"http-addr" env:"FIRJOB_HTTP_ADDR" placeholder:"HOST:PORT" help:"Of the balancer. Default: 127.0.0.1:8080, or a free port with --check."`
	Token     string     `name:"admin-token" env:"FIRJOB_ADMIN_TOKEN" placeholder:"SECRET" help:"Of the API; made and printed when not given."`
	storeFlags
}

// atLeastOne is how many processes of a kind are started.
type atLeastOne int

// Validate is kong's hook.
func (n atLeastOne) Validate() error {
	if n < 1 {
		return fmt.Errorf("must be 1 or more, not %d", int(n))
	}
	return nil
}

// Help says what one sees.
func (devCmd) Help() string {
	return "Starts Postgres and Redis from the programs on this machine, servers behind a round robin,\n" +
		"an executor and demo jobs, each of these a process of its own. Kill one of them: it is started\n" +
		"again, and nothing is missed.\n\nExample:\n  firjob dev --yes"
}

// Run runs until ctx ends, or until the check is over.
func (c *devCmd) Run(ctx context.Context, p *process) error {
	out := &printer{w: p.stdout, now: p.now}
	stack, err := c.start(ctx, p, out)
	if err != nil {
		return err
	}
	defer func() {
		out.line("stopping")
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := stack.Stop(ctx); err != nil {
			out.line("%v", err)
		}
	}()
	demo, err := newDemo(ctx, p, stack)
	if err != nil {
		return err
	}
	if c.Check {
		return demo.check(ctx, out)
	}
	c.welcome(out, stack)
	var watch sync.WaitGroup
	watch.Go(func() { stack.Supervise(ctx, 3*time.Second, func(text string) { out.line("%s", text) }) })
	demo.follow(ctx, out)
	watch.Wait()
	return nil
}

func (c *devCmd) start(ctx context.Context, p *process, out *printer) (*cluster.Cluster, error) {
	dir, secret, err := c.state()
	if err != nil {
		return nil, err
	}
	addr := c.HTTPAddr
	switch {
	case addr == "" && c.Check:
		addr = "127.0.0.1:0"
	case addr == "":
		addr = "127.0.0.1:8080"
	}
	options := cluster.Options{
		Stores: cluster.Stores{
			DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, Dir: dir, Fetch: c.Yes, Progress: p.stderr,
		},
		Servers: int(c.Servers), Workers: int(c.Workers), HTTPAddr: addr, AdminToken: c.Token, Secret: secret,
		ServerEnv: quiet(p), WorkerEnv: quiet(p),
		Output: func(process, line string) { out.line("%-9s %s", process, line) },
	}
	if dir != "" {
		options.SpoolDir = filepath.Join(dir, "spool")
	}
	out.line("starting")
	stack, err := cluster.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	for _, note := range stack.Notes {
		out.line("%s", note)
	}
	return stack, nil
}

// quiet keeps the processes' logs down to what needs attention, unless the
// user has asked for more.
func quiet(p *process) []string {
	if p.env("FIRJOB_LOG_LEVEL") != "" {
		return nil
	}
	return []string{"FIRJOB_LOG_LEVEL=warn"}
}

// state returns where data is kept ("": nowhere) and the demo app's secret,
// which lies beside it.
func (c *devCmd) state() (dir, secret string, err error) {
	if c.Ephemeral && c.DatabaseURL == "" {
		return "", cluster.Secret(), nil
	}
	state, err := localstack.StateDir()
	if err != nil {
		return "", "", err
	}
	dir = filepath.Join(state, "dev")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("make the folder for data (--ephemeral needs none): %w", err)
	}
	secret, err = keptSecret(filepath.Join(dir, "demo-secret"))
	return dir, secret, err
}

// keptSecret reads the secret in a file, or makes both.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the demo app's secret: %w", err)
	}
	secret := cluster.Secret()
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the demo app's secret: %w", err)
	}
	return secret, nil
}

func (c *devCmd) welcome(out *printer, stack *cluster.Cluster) {
	if stack.Postgres != nil {
		out.line("%-9s pid %d", "postgres", stack.Postgres.PID())
	}
	if stack.Redis != nil {
		out.line("%-9s pid %d at %s", "redis", stack.Redis.PID(), stack.Redis.Addr())
	}
	for _, process := range slices.Concat(stack.Servers, stack.Workers) {
		out.line("%-9s pid %d at %s", process.Name, process.PID(), process.Addr)
	}
	out.text("\n  API        %s/api/v1      documents at %s/docs\n", stack.URL(), stack.URL())
	if c.Token == "" {
		out.text("  token      %s   (of this run; set FIRJOB_ADMIN_TOKEN to choose it)\n", stack.AdminToken)
	}
	out.text("\n  export FIRJOB_SERVER_URL=%s FIRJOB_TOKEN=%s\n", stack.URL(), tokenWord(c.Token, stack.AdminToken))
	out.text("  curl -H \"Authorization: Bearer $FIRJOB_TOKEN\" $FIRJOB_SERVER_URL/api/v1/jobs\n")
	if u, err := url.Parse(stack.RedisURL); err == nil {
		out.text("  redis-cli -h %s -p %s zrange 'fj:{s0}:due' 0 -1 withscores\n", u.Hostname(), u.Port())
	}
	if stack.Postgres != nil {
		out.text("  psql %q\n", stack.DatabaseURL)
	}
	out.text("\n  Try: kill -9 one of the pids above. Ctrl-C stops everything.\n\n")
}

func tokenWord(given, made string) string {
	if given != "" {
		return "$FIRJOB_ADMIN_TOKEN"
	}
	return made
}

// newDemo returns the demo jobs of a cluster, made through its API.
func newDemo(ctx context.Context, p *process, stack *cluster.Cluster) (*demo, error) {
	base, err := url.Parse(stack.URL())
	if err != nil {
		return nil, err
	}
	api := &client{base: base, token: stack.AdminToken, now: p.now, http: &http.Client{Timeout: requestTimeout}}
	d := &demo{api: api, since: p.now().Add(-time.Second)}
	return d, d.create(ctx, p.now())
}

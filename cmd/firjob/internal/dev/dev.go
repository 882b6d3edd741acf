// Package dev runs everything on one machine: stores, servers, an executor, a job.
package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/settings"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// Cmd runs everything on this machine: stores, servers, an executor and a
// first job.
type Cmd struct {
	Yes       bool       `short:"y" help:"Where there is no Postgres, fetch a private copy without asking."`
	Check     bool       `help:"Wait for one success of each kind of demo job, then stop; exit 0 if all came. Keeps nothing, unless --dir is given."`
	Dir       string     `type:"path" placeholder:"DIR" help:"Folder that keeps data, token and Redis port between runs. Default: a folder of the user's, which is printed at the start."`
	Reset     bool       `help:"First delete what earlier runs kept in the folder."`
	Ephemeral bool       `help:"Keep nothing between runs."`
	Servers   atLeastOne `name:"replicas" default:"2" help:"Servers to start behind the balancer. Default: ${default}."`
	Workers   atLeastOne `default:"1" help:"Executors to start. Default: ${default}."`
	HTTPAddr  string     `name:"http-addr" env:"FIRJOB_HTTP_ADDR" placeholder:"HOST:PORT" help:"Address of the balancer. Default: 127.0.0.1:8080, or a free port with --check."`
	Token     string     `name:"admin-token" env:"FIRJOB_ADMIN_TOKEN" placeholder:"SECRET" help:"Admin token of the API. By default one is made, kept and printed."`
	settings.Stores
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

// Help says what dev starts.
func (Cmd) Help() string {
	return "Starts Postgres and Redis from the programs on this machine, servers behind a balancer, an executor,\n" +
		"and a job named greeting. Each is a process of its own. If you kill one, it starts again, and no\n" +
		"fire is missed. The next run uses the same data, token and Redis port.\n\n" +
		"Examples:\n  firjob dev --yes\n  firjob dev --dir ./firjob-data --reset"
}

// Run runs until ctx ends, or until the check is over.
func (c *Cmd) Run(ctx context.Context, p *console.Process) error {
	zone := p.Clock().Zone
	out := &devPrinter{printer: printer{w: p.Stdout, now: func() time.Time { return p.Now().In(zone) }}}
	state, err := c.openState()
	if err != nil {
		return err
	}
	defer state.close()
	stack, err := c.start(ctx, p, out, state)
	if err != nil {
		return err
	}
	defer c.stop(ctx, out, stack, state)
	demo, err := newDemo(ctx, p, stack, c.Check)
	if err != nil {
		return err
	}
	if c.Check {
		return demo.check(ctx, &out.printer)
	}
	c.welcome(out, stack, state)
	var watch sync.WaitGroup
	watch.Go(func() { stack.Supervise(ctx, 3*time.Second, func(text string) { out.line("%s", text) }) })
	demo.follow(ctx, &out.printer)
	watch.Wait()
	return nil
}

func (c *Cmd) start(ctx context.Context, p *console.Process, out *devPrinter,
	state *devState) (*cluster.Cluster, error) {
	addr := c.HTTPAddr
	switch {
	case addr == "" && c.Check:
		addr = "127.0.0.1:0"
	case addr == "":
		addr = "127.0.0.1:8080"
	}
	options := cluster.Options{
		Stores: cluster.Stores{
			DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, Dir: state.dir, Fetch: c.Yes, Progress: p.Stderr,
		},
		Servers: int(c.Servers), Workers: int(c.Workers), HTTPAddr: addr, AdminToken: state.token, Secret: state.secret,
		ServerEnv: quiet(p), WorkerEnv: quiet(p), SpoolDir: state.path("spool"),
		Output: out.process,
	}
	out.line("%s", state.greeting(c.DatabaseURL == ""))
	stack, err := cluster.Start(ctx, options)
	switch {
	case errors.As(err, new(*net.AddrError)):
		return nil, console.Usagef("--http-addr %q is not an address such as 127.0.0.1:8080", addr)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, console.Usagef("another program listens at %s; choose another address, such as "+
			"--http-addr 127.0.0.1:8081, or --http-addr 127.0.0.1:0 for any free port", addr)
	case errors.Is(err, localstack.ErrNoPostgres) && !c.Yes:
		return nil, fmt.Errorf("%w\nOr start again with --yes: it fetches a private copy (24 MB) with npm", err)
	case err != nil:
		return nil, err
	}
	for _, note := range stack.Notes {
		out.line("%s", note)
	}
	return stack, nil
}

// stop takes everything down and says what is left.
func (c *Cmd) stop(ctx context.Context, out *devPrinter, stack *cluster.Cluster, state *devState) {
	out.line("stopping")
	out.hold()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := stack.Stop(ctx); err != nil {
		out.release()
		out.line("%v", err)
		return
	}
	out.line("stopped; %s", state.kept())
}

// quiet keeps the processes' logs down to what needs attention, unless the
// user has asked for more.
func quiet(p *console.Process) []string {
	if p.Env("FIRJOB_LOG_LEVEL") != "" {
		return nil
	}
	return []string{"FIRJOB_LOG_LEVEL=warn"}
}

func (c *Cmd) welcome(out *devPrinter, stack *cluster.Cluster, state *devState) {
	for _, process := range slices.Concat(stack.Servers, stack.Workers) {
		out.line("%-9s pid %d at %s", process.Name, process.PID(), process.Addr)
	}
	out.text("\n  API        %s/api/v1, described at %s/docs\n", stack.URL(), stack.URL())
	if state.dir != "" {
		out.text("  data       %s (--reset deletes them, --dir names another folder)\n", state.dir)
	}
	out.text("\n  For another terminal:\n\n")
	out.text("  export FIRJOB_SERVER_URL=%s FIRJOB_TOKEN=%s\n", stack.URL(), tokenWord(c.Token, stack.AdminToken))
	out.text("  curl -H \"Authorization: Bearer $FIRJOB_TOKEN\" $FIRJOB_SERVER_URL/api/v1/jobs\n")
	if u, err := url.Parse(stack.RedisURL); err == nil && c.RedisURL == "" {
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

// newDemo makes the first job through the cluster's API, or those of the check.
func newDemo(ctx context.Context, p *console.Process, stack *cluster.Cluster, check bool) (*demo, error) {
	base, err := url.Parse(stack.URL())
	if err != nil {
		return nil, err
	}
	api := &client.Client{Base: base, Token: stack.AdminToken, Now: p.Now,
		HTTP: &http.Client{Timeout: client.RequestTimeout}}
	d := &demo{api: api, since: p.Now().Add(-time.Second)}
	jobs := greetingJob()
	if check {
		jobs = checkJobs(p.Now())
	}
	return d, d.create(ctx, jobs)
}

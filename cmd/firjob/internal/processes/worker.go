package processes

import (
	"context"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/settings"
	"github.com/firjob/firjob/internal/app"
	"github.com/firjob/firjob/internal/samples"
	"github.com/firjob/firjob/worker"
)

// WorkerCmd runs an executor with a few handlers to try things out with. Real
// executors are programs of the user's own, made with package worker.
type WorkerCmd struct {
	Server      string            `env:"FIRJOB_SERVER_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of a server, or of the balancer in front of several. Default: ${default}."`
	App         string            `env:"FIRJOB_APP" required:"" placeholder:"NAME" help:"App that this executor belongs to."`
	Secret      string            `name:"app-secret" env:"FIRJOB_APP_SECRET" placeholder:"SECRET" help:"The app's secret."`
	SecretFile  string            `name:"app-secret-file" env:"FIRJOB_APP_SECRET_FILE" type:"path" placeholder:"FILE" help:"File that holds the app's secret."`
	Listen      string            `name:"listen-addr" env:"FIRJOB_LISTEN_ADDR" default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where to listen for triggers. Default: any free port of this machine."`
	Advertise   string            `name:"advertise-addr" env:"FIRJOB_ADVERTISE_ADDR" placeholder:"HOST:PORT" help:"Address at which the servers reach this executor."`
	Concurrency int               `env:"FIRJOB_CONCURRENCY" help:"Handlers that run at a time."`
	Queue       int               `env:"FIRJOB_QUEUE" help:"Executions that may wait for a handler."`
	Labels      map[string]string `name:"label" env:"FIRJOB_LABELS" mapsep:"," placeholder:"NAME=VALUE" help:"Label of this machine, for the selectors of jobs. May be repeated."`
	SpoolDir    string            `name:"spool-dir" env:"FIRJOB_SPOOL_DIR" type:"path" placeholder:"DIR" help:"Folder that keeps results until a server has acknowledged them."`
	Drain       time.Duration     `name:"drain-timeout" env:"FIRJOB_DRAIN_TIMEOUT" default:"30s" help:"How long handlers may take to finish when the executor stops. Default: ${default}."`
	settings.Logs
}

// Help names the handlers.
func (WorkerCmd) Help() string {
	return "Handlers: echo (returns its params), sleep ({\"for\":\"2s\"}), steps (tells its progress, " +
		"{\"steps\":10,\"every\":\"200ms\"}),\n" +
		"flaky (fails its first attempts, {\"times\":1}; may add \"permanent\":true or \"retry_after\":\"5s\"),\n" +
		"fail, noop, lateness (returns how late it started, in microseconds).\n\n" +
		"Example:\n  FIRJOB_APP_SECRET_FILE=secret firjob worker --app demo --server http://127.0.0.1:8080 --label " +
		"zone=eu-1 --label gpu=a100"
}

// Run works until ctx ends and the drain is over.
func (c *WorkerCmd) Run(ctx context.Context, p *console.Process) error {
	log, err := app.NewLog(p.Stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	secret, err := console.SecretOf("app-secret", c.Secret, c.SecretFile)
	if err != nil {
		return err
	}
	app.CollectSeldom(ctx, p.Env)
	w, err := worker.New(worker.Options{
		Server: c.Server, App: c.App, Secret: secret, Listen: c.Listen, Advertise: c.Advertise,
		Concurrency: c.Concurrency, Queue: c.Queue, SpoolDir: c.SpoolDir, DrainTimeout: c.Drain,
		Labels: c.Labels, Version: build.Version(), Log: log,
	})
	if err != nil {
		return err
	}
	for name, h := range samples.Handlers() {
		w.Handle(name, h)
	}
	return w.Run(ctx)
}

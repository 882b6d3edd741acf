package main

import (
	"context"
	"os"
	"time"

	"github.com/firjob/firjob/internal/app"
	"github.com/firjob/firjob/internal/clockfault"
	"github.com/firjob/firjob/internal/samples"
	"github.com/firjob/firjob/worker"
)

// storeFlags say where the stores are.
type storeFlags struct {
	DatabaseURL string `name:"database-url" env:"FIRJOB_DATABASE_URL" placeholder:"URL" help:"Postgres, as in postgres://user@host/firjob."`
	RedisURL    string `name:"redis-url" env:"FIRJOB_REDIS_URL" placeholder:"URL" help:"Redis or Valkey: redis://, rediss://, redis+sentinel:// or redis+cluster://."`
}

// processFlags are those of servers and executors alike. The clocks are faults.
type processFlags struct {
	ClockOffset time.Duration `env:"FIRJOB_CLOCK_OFFSET" help:"Shifts the local clock."`
	ClockDrift  int           `env:"FIRJOB_CLOCK_DRIFT" help:"Lets the local clock run fast, in parts per million."`
	LogLevel    string        `env:"FIRJOB_LOG_LEVEL" default:"info"`
	LogFormat   string        `env:"FIRJOB_LOG_FORMAT" default:"text"`
}

// serverCmd runs a server with the variables and the defaults of "firjob server".
type serverCmd struct {
	storeFlags
	processFlags
	HTTPAddr        string        `env:"FIRJOB_HTTP_ADDR" default:"127.0.0.1:8080"`
	PublicURL       string        `env:"FIRJOB_PUBLIC_URL"`
	AdminToken      string        `env:"FIRJOB_ADMIN_TOKEN"`
	Shards          int           `env:"FIRJOB_SHARDS" default:"8"`
	ScanInterval    time.Duration `env:"FIRJOB_SCAN_INTERVAL" default:"10s"`
	Horizon         time.Duration `env:"FIRJOB_HORIZON" default:"60s"`
	LeaseTTL        time.Duration `env:"FIRJOB_LEASE_TTL" default:"10s"`
	Retention       time.Duration `env:"FIRJOB_RETENTION" default:"720h"`
	DBConns         int           `env:"FIRJOB_DATABASE_CONNS" default:"16"`
	LogLimit        int           `env:"FIRJOB_LOG_LIMIT" default:"1048576"`
	EgressAllow     []string      `env:"FIRJOB_EGRESS_ALLOW"`
	BootstrapApp    string        `env:"FIRJOB_BOOTSTRAP_APP"`
	BootstrapSecret string        `env:"FIRJOB_BOOTSTRAP_APP_SECRET"`
	AllowStandIn    bool          `env:"FIRJOB_ALLOW_STAND_IN"`
}

// Run serves until ctx ends.
func (c *serverCmd) Run(ctx context.Context, p *process) error {
	log, err := app.NewLog(p.stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	app.CollectSeldom(ctx, os.Getenv)
	server, err := app.NewServer(ctx, app.Options{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL,
		HTTPAddr: c.HTTPAddr, PublicURL: c.PublicURL, AdminToken: c.AdminToken,
		Shards: c.Shards, ScanInterval: c.ScanInterval, Horizon: c.Horizon, LeaseTTL: c.LeaseTTL,
		Retention: c.Retention, MaxConns: c.DBConns, LogLimit: c.LogLimit, EgressAllow: c.EgressAllow,
		BootstrapApp: c.BootstrapApp, BootstrapSecret: c.BootstrapSecret,
		AllowStandIn: c.AllowStandIn, ClockOffset: c.ClockOffset, ClockDrift: c.ClockDrift,
		Version: programVersion(), Log: log,
	})
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

// workerCmd runs an executor with the sample handlers and those of chaos runs, with
// the variables and the defaults of "firjob worker".
type workerCmd struct {
	processFlags
	Server      string            `env:"FIRJOB_SERVER_URL" default:"http://127.0.0.1:8080"`
	App         string            `env:"FIRJOB_APP"`
	Secret      string            `env:"FIRJOB_APP_SECRET"`
	Listen      string            `env:"FIRJOB_LISTEN_ADDR" default:"127.0.0.1:0"`
	Advertise   string            `env:"FIRJOB_ADVERTISE_ADDR"`
	Concurrency int               `env:"FIRJOB_CONCURRENCY"`
	Queue       int               `env:"FIRJOB_QUEUE"`
	Labels      map[string]string `env:"FIRJOB_LABELS" mapsep:","`
	SpoolDir    string            `env:"FIRJOB_SPOOL_DIR" type:"path"`
	Drain       time.Duration     `env:"FIRJOB_DRAIN_TIMEOUT" default:"30s"`
	History     string            `env:"FIRJOB_HISTORY" type:"path" help:"Appends a line for each handler that starts or ends."`
	Ledger      string            `env:"FIRJOB_LEDGER" help:"Where the handler ledger writes."`
}

// Run works until ctx ends and the drain is over.
func (c *workerCmd) Run(ctx context.Context, p *process) error {
	log, err := app.NewLog(p.stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	app.CollectSeldom(ctx, os.Getenv)
	w, err := worker.New(worker.Options{
		Server: c.Server, App: c.App, Secret: c.Secret, Listen: c.Listen, Advertise: c.Advertise,
		Concurrency: c.Concurrency, Queue: c.Queue, SpoolDir: c.SpoolDir, DrainTimeout: c.Drain,
		Labels: c.Labels, Version: programVersion(), Log: log,
	})
	if err != nil {
		return err
	}
	handlers := samples.Handlers()
	if c.Ledger != "" {
		handlers["ledger"] = ledger(c.Ledger)
	}
	if c.History != "" {
		history, err := openHistory(c.History)
		if err != nil {
			return err
		}
		defer history.close()
		for name, h := range handlers {
			handlers[name] = history.wrap(h)
		}
	}
	for name, h := range handlers {
		w.Handle(name, h)
	}
	return w.Run(clockfault.With(ctx, clockfault.Fault{Offset: c.ClockOffset, Drift: c.ClockDrift}))
}

// Package processes holds the commands that run a server, an executor, the migrations
// or the laboratory.
package processes

import (
	"context"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/settings"
	"github.com/firjob/firjob/internal/app"
)

// ServerCmd runs one server.
type ServerCmd struct {
	settings.Stores
	HTTPAddr       string        `name:"http-addr" env:"FIRJOB_HTTP_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen. An address that other machines reach needs an admin token. Default: ${default}."`
	PublicURL      string        `name:"public-url" env:"FIRJOB_PUBLIC_URL" placeholder:"URL" help:"The cluster's address as callers see it."`
	AdminToken     string        `name:"admin-token" env:"FIRJOB_ADMIN_TOKEN" placeholder:"SECRET" help:"Bearer token of the API, 32 characters or more. Other users of the machine can see a command line, so prefer the variable or a file."`
	AdminTokenFile string        `name:"admin-token-file" env:"FIRJOB_ADMIN_TOKEN_FILE" type:"path" placeholder:"FILE" help:"File that holds the admin token."`
	Shards         int           `env:"FIRJOB_SHARDS" default:"8" help:"Parts of the delay queue. Only the first server of a new database uses this value. Default: ${default}."`
	ScanInterval   time.Duration `name:"scan-interval" env:"FIRJOB_SCAN_INTERVAL" default:"10s" help:"Time between two scans for jobs that are due soon. Default: ${default}."`
	Horizon        time.Duration `env:"FIRJOB_HORIZON" default:"60s" help:"How far ahead fires are recorded. Default: ${default}."`
	LeaseTTL       time.Duration `name:"lease-ttl" env:"FIRJOB_LEASE_TTL" default:"10s" help:"How long the lease of an attempt lasts without a beat of its executor. Default: ${default}."`
	Retention      time.Duration `env:"FIRJOB_RETENTION" default:"720h" help:"How long executions are kept, in whole days. Default: ${default}."`
	DBConns        int           `name:"database-conns" env:"FIRJOB_DATABASE_CONNS" default:"16" help:"Connections to Postgres. Default: ${default}."`

	LogLimit    int      `name:"log-limit" env:"FIRJOB_LOG_LIMIT" default:"1048576" placeholder:"BYTES" help:"How much of one execution's log is kept, in bytes. Default: ${default}."`
	EgressAllow []string `name:"egress-allow" env:"FIRJOB_EGRESS_ALLOW" placeholder:"CIDR|HOST" help:"Addresses that HTTP jobs may reach although they are not public."`

	BootstrapApp    string `name:"bootstrap-app" env:"FIRJOB_BOOTSTRAP_APP" placeholder:"NAME" help:"App to make at the start unless it exists."`
	BootstrapSecret string `name:"bootstrap-app-secret" env:"FIRJOB_BOOTSTRAP_APP_SECRET" placeholder:"SECRET" help:"Secret of that app, 32 characters or more."`

	AllowStandIn bool `name:"allow-stand-in" env:"FIRJOB_ALLOW_STAND_IN" hidden:""`
	settings.Logs
}

// Help shows how to start one.
func (ServerCmd) Help() string {
	return "Example:\n  FIRJOB_DATABASE_URL=postgres://firjob@db/firjob FIRJOB_REDIS_URL=redis://cache:6379 " +
		"firjob server"
}

// Run serves until ctx ends.
func (c *ServerCmd) Run(ctx context.Context, p *console.Process) error {
	log, err := app.NewLog(p.Stderr, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	token, err := console.SecretOf("admin-token", c.AdminToken, c.AdminTokenFile)
	if err != nil {
		return err
	}
	app.CollectSeldom(ctx, p.Env)
	server, err := app.NewServer(ctx, app.Options{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL,
		HTTPAddr: c.HTTPAddr, PublicURL: c.PublicURL, AdminToken: token,
		Shards: c.Shards, ScanInterval: c.ScanInterval, Horizon: c.Horizon, LeaseTTL: c.LeaseTTL,
		Retention: c.Retention, MaxConns: c.DBConns, LogLimit: c.LogLimit, EgressAllow: c.EgressAllow,
		BootstrapApp: c.BootstrapApp, BootstrapSecret: c.BootstrapSecret,
		AllowStandIn: c.AllowStandIn,
		Version:      build.Version(), Log: log,
	})
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

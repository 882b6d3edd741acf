// Package doctor looks for what keeps an installation from working well.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/settings"
	"github.com/firjob/firjob/internal/app"
)

// Cmd looks for what keeps an installation from working well.
type Cmd struct {
	client.Connection
	settings.Stores
	DBConns   int           `name:"database-conns" env:"FIRJOB_DATABASE_CONNS" default:"16" group:"As the servers have it:" help:"Connections to Postgres. Default: ${default}."`
	Horizon   time.Duration `env:"FIRJOB_HORIZON" default:"60s" group:"As the servers have it:" help:"How far ahead fires are recorded. Default: ${default}."`
	LeaseTTL  time.Duration `name:"lease-ttl" env:"FIRJOB_LEASE_TTL" default:"10s" group:"As the servers have it:" help:"How long the lease of an attempt lasts without a beat of its executor. Default: ${default}."`
	Retention time.Duration `env:"FIRJOB_RETENTION" default:"720h" group:"As the servers have it:" help:"How long executions are kept. Default: ${default}."`
	console.OutputFlag
}

// Help says what is looked at.
func (Cmd) Help() string {
	return "Looks at Postgres, its settings, schema and partitions, at Redis and its keys, at the clocks and at\n" +
		"executions that are stuck, as seen from this machine, and asks a server which servers and executors\n" +
		"live. Give it the servers' own settings. It changes nothing, and exits 1 if something must be put\n" +
		"right. docs/operations.md lists the checks.\n\n" +
		"Example:\n\n    firjob doctor --database-url postgres://firjob@db/firjob --redis-url redis://cache:6379"
}

// Run prints what is found.
func (c *Cmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	progress := func(check string) { fmt.Fprintf(p.Stderr, "looking at: %s\n", check) }
	findings := app.Examine(ctx, app.Examination{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, MaxConns: c.DBConns, Retention: c.Retention,
		Horizon: c.Horizon, LeaseTTL: c.LeaseTTL, Local: p.Now, Progress: progress,
	})
	servers := &serverExam{api: api, now: p.Now, own: build.Version()}
	findings = append(findings, servers.examine(ctx)...)
	answer, err := json.Marshal(console.Rows[app.Finding]{Items: findings})
	if err != nil {
		return fmt.Errorf("write the findings: %w", err)
	}
	if err := console.Show(out, answer, showFindings); err != nil {
		return err
	}
	broken := 0
	for _, f := range findings {
		if f.Verdict == app.Broken {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d checks failed", broken, len(findings))
	}
	return nil
}

func showFindings(out *console.Output, findings console.Rows[app.Finding]) {
	for _, f := range findings.Items {
		out.Line("%-4s  %s: %s", f.Verdict, f.Check, f.Found)
		if f.Remedy != "" {
			out.Line("      to do: %s", f.Remedy)
		}
	}
}

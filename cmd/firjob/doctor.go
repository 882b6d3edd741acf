package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/firjob/firjob/internal/app"
)

// doctorCmd looks for what keeps an installation from working well.
type doctorCmd struct {
	connection
	storeFlags
	DBConns   int           `name:"database-conns" env:"FIRJOB_DATABASE_CONNS" default:"16" group:"As the servers have it:" help:"Connections to Postgres. Default: ${default}."`
	Horizon   time.Duration `env:"FIRJOB_HORIZON" default:"60s" group:"As the servers have it:" help:"How far ahead fires are recorded. Default: ${default}."`
	LeaseTTL  time.Duration `name:"lease-ttl" env:"FIRJOB_LEASE_TTL" default:"10s" group:"As the servers have it:" help:"How long an attempt is held without a beat. Default: ${default}."`
	Retention time.Duration `env:"FIRJOB_RETENTION" default:"720h" group:"As the servers have it:" help:"How long executions are kept. Default: ${default}."`
	outputFlag
}

// Help says what is looked at.
func (doctorCmd) Help() string {
	return "Looks at Postgres, its settings, schema and partitions, at Redis and its keys, at the clocks and at\n" +
		"executions that are stuck, as seen from this machine, and asks a server which servers and executors\n" +
		"live. Give it the servers' own settings. It changes nothing, and exits 1 if something must be put\n" +
		"right. docs/operations.md lists the checks.\n\n" +
		"Example:\n\n    firjob doctor --database-url postgres://firjob@db/firjob --redis-url redis://cache:6379"
}

// Run prints what is found.
func (c *doctorCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	progress := func(check string) { fmt.Fprintf(p.stderr, "looking at: %s\n", check) }
	findings := app.Examine(ctx, app.Examination{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, MaxConns: c.DBConns, Retention: c.Retention,
		Horizon: c.Horizon, LeaseTTL: c.LeaseTTL, Local: p.now, Progress: progress,
	})
	servers := &serverExam{api: api, now: p.now, own: programVersion()}
	findings = append(findings, servers.examine(ctx)...)
	answer, err := json.Marshal(rows[app.Finding]{Items: findings})
	if err != nil {
		return fmt.Errorf("write the findings: %w", err)
	}
	if err := show(out, answer, showFindings); err != nil {
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

func showFindings(out *output, findings rows[app.Finding]) {
	for _, f := range findings.Items {
		out.line("%-4s  %s: %s", f.Verdict, f.Check, f.Found)
		if f.Remedy != "" {
			out.line("      to do: %s", f.Remedy)
		}
	}
}

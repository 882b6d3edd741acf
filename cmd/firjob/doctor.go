package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/app"
)

// doctorCmd looks for what keeps an installation from working well.
type doctorCmd struct {
	connection
	storeFlags
	outputFlag
}

// Help says what is looked at.
func (doctorCmd) Help() string {
	return "Looks at Postgres, its schema, Redis and the clocks, as seen from this machine, and asks a server\n" +
		"which servers and executors live. Give it the servers' own settings. It changes nothing, and exits 1\n" +
		"if something must be put right.\n\nExample:\n\n    firjob doctor --database-url postgres://firjob@db/firjob --redis-url redis://cache:6379"
}

// Run prints what is found.
func (c *doctorCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	findings := append(app.Examine(ctx, c.DatabaseURL, c.RedisURL, p.now), examineServers(ctx, api)...)
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

// examineServers asks a server how the cluster is.
func examineServers(ctx context.Context, api *client) []app.Finding {
	var stats struct {
		Replicas []string
		Degraded bool
	}
	if err := api.read(ctx, "api/v1/stats", &stats); err != nil {
		return []app.Finding{{Verdict: app.Broken, Check: "servers", Found: err.Error(), Remedy: "start a server, or correct FIRJOB_SERVER_URL and FIRJOB_TOKEN"}}
	}
	findings := []app.Finding{{Verdict: app.Fine, Check: "servers", Found: fmt.Sprintf("%d live: %s", len(stats.Replicas), strings.Join(stats.Replicas, ", "))}}
	if stats.Degraded {
		findings = append(findings, app.Finding{Verdict: app.Doubtful, Check: "servers", Found: "Redis is out of their reach: fires come from Postgres, up to a second late",
			Remedy: "see that the servers' FIRJOB_REDIS_URL leads to a Redis that runs"})
	}
	return append(findings, examineApps(ctx, api)...)
}

// examineApps looks for apps whose executions nobody would run.
func examineApps(ctx context.Context, api *client) []app.Finding {
	var apps rows[firjob.App]
	if err := api.read(ctx, "api/v1/apps", &apps); err != nil {
		return []app.Finding{{Verdict: app.Broken, Check: "apps", Found: err.Error(), Remedy: "see the server's log"}}
	}
	var findings []app.Finding
	for _, a := range apps.Items {
		finding := app.Finding{Verdict: app.Fine, Check: "app " + a.Name}
		var executors rows[firjob.Executor]
		err := api.read(ctx, "api/v1/apps/"+url.PathEscape(a.Name)+"/executors", &executors)
		switch {
		case err != nil:
			finding.Verdict, finding.Found, finding.Remedy = app.Broken, err.Error(), "see the server's log"
		case len(executors.Items) == 0:
			finding.Verdict, finding.Found, finding.Remedy = app.Doubtful, "no executor is alive", "start one; its executions wait"
		default:
			finding.Found = fmt.Sprintf("live executors: %d", len(executors.Items))
		}
		findings = append(findings, finding)
	}
	return findings
}

// read gets an answer of the API into v.
func (c *client) read(ctx context.Context, path string, v any) error {
	answer, err := c.get(ctx, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return notUnderstood(err)
	}
	return nil
}

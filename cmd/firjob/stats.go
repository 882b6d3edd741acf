package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type statsCmd struct {
	connection
	outputFlag
	zoneFlag
	watchFlag
	Since *past `placeholder:"TIME|DURATION" help:"Count what was scheduled at this time or later; the last hour by default."`
}

func (statsCmd) Help() string { return "Example:\n\n    firjob stats --since 24h" }

func (c *statsCmd) Run(ctx context.Context, p *process, api *client, out *output) error {
	query := url.Values{}
	if c.Since != nil {
		query.Set("since", c.Since.query())
	}
	return c.watch(ctx, p, out, func() error {
		answer, err := api.get(ctx, "api/v1/stats", query)
		if err != nil {
			return err
		}
		return show(out, answer, showStats)
	})
}

// statsView is what GET /stats answers.
type statsView struct {
	Since      time.Time              `json:"since"`
	Executions map[firjob.State]int64 `json:"executions"`
	LatenessMS map[string]float64     `json:"lateness_ms"`
	Queue      struct{ Due, Leased int64 }
	Replica    string   `json:"replica"`
	Replicas   []string `json:"replicas"`
	Degraded   bool     `json:"degraded"`
	Draining   bool     `json:"draining"`
}

func showStats(out *output, s statsView) {
	out.field(out.at("Since"), out.when(&s.Since))
	out.field("Queue", fmt.Sprintf("%d due, %d claimed and not ended", s.Queue.Due, s.Queue.Leased))
	out.field("Lateness", latenessOf(s.LatenessMS))
	out.field("Servers", strings.Join(s.Replicas, ", "))
	out.field("Answered by", s.Replica)
	if s.Degraded {
		out.field("Redis", "out of reach: claims come straight from Postgres")
	}
	if len(s.Executions) == 0 {
		return
	}
	out.line("")
	out.page.Head(table.Column{Title: "STATE"}, table.Column{Title: "EXECUTIONS", Right: true})
	for _, state := range slices.Sorted(maps.Keys(s.Executions)) {
		out.row(string(state), fmt.Sprint(s.Executions[state]))
	}
}

// latenessOf shows the quantiles, the lowest first.
func latenessOf(ms map[string]float64) string {
	var list []string
	for _, name := range []string{"p50", "p99", "max"} {
		if value, ok := ms[name]; ok {
			list = append(list, name+" "+instant.Span(time.Duration(value*float64(time.Millisecond))))
		}
	}
	return strings.Join(list, ", ")
}

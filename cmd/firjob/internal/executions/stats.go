package executions

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/instant"
	"github.com/firjob/firjob/cmd/firjob/internal/table"
)

type StatsCmd struct {
	client.Connection
	console.OutputFlag
	console.ZoneFlag
	client.WatchFlag
	Since *console.Past `placeholder:"TIME|DURATION" help:"Count what was scheduled at this time or later; the last hour by default."`
}

func (StatsCmd) Help() string { return "Example:\n\n    firjob stats --since 24h" }

func (c *StatsCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	query := url.Values{}
	if c.Since != nil {
		query.Set("since", c.Since.Query())
	}
	return c.Repeat(ctx, p, out, func() error {
		answer, err := api.Get(ctx, "api/v1/stats", query)
		if err != nil {
			return err
		}
		return console.Show(out, answer, showStats)
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

func showStats(out *console.Output, s statsView) {
	out.Field(out.At("Since"), out.When(&s.Since))
	out.Field("Queue", fmt.Sprintf("%d wait for their time, %d are claimed and have not ended", s.Queue.Due,
		s.Queue.Leased))
	out.Field("Lateness", latenessOf(s.LatenessMS))
	out.Field("Servers", strings.Join(s.Replicas, ", "))
	out.Field("Answered by", s.Replica)
	if s.Degraded {
		out.Field("Redis", "out of reach: claims come straight from Postgres")
	}
	if len(s.Executions) == 0 {
		return
	}
	out.Line("")
	out.Page.Head(table.Column{Title: "STATE"}, table.Column{Title: "EXECUTIONS", Right: true})
	for _, state := range slices.Sorted(maps.Keys(s.Executions)) {
		out.Row(string(state), fmt.Sprint(s.Executions[state]))
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

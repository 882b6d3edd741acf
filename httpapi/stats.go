package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
)

// statsWindow is how far GET /stats looks back unless it is told.
const statsWindow = time.Hour

func (s *server) routeStats() {
	register(s, operation{id: "get-stats", method: http.MethodGet, path: "/stats", tag: "Stats",
		summary: "Count executions by state; lateness, queue depth and replicas"}, s.getStats)
}

type statsBody struct {
	Since      instant                `json:"since" doc:"Executions scheduled since then are counted"`
	Executions map[firjob.State]int64 `json:"executions" doc:"By state; states without any are absent"`
	LatenessMS map[string]float64     `json:"lateness_ms" doc:"p50, p99 and max; absent before the first start"`
	Queue      queueBody              `json:"queue"`
	Replica    string                 `json:"replica" doc:"The one that answers"`
	Replicas   []string               `json:"replicas" nullable:"false" doc:"Those that live"`
	Degraded   bool                   `json:"degraded" doc:"Redis is out of reach: claims come straight from Postgres"`
	Draining   bool                   `json:"draining" doc:"The answering replica is shutting down"`
}

type queueBody struct {
	Due    int64 `json:"due" doc:"Executions that wait in the delay queue"`
	Leased int64 `json:"leased" doc:"Executions that were claimed and have not ended"`
}

type statsQuery struct {
	Since time.Time `query:"since" doc:"Count executions scheduled since this time; the last hour if absent"`
}

func (s *server) getStats(ctx context.Context, in *statsQuery) (*answer[statsBody], error) {
	since := inRange(in.Since)
	if since.IsZero() {
		since = time.Now().Add(-statsWindow)
	}
	stats, err := s.Store.Stats(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("count executions: %w", err)
	}
	status, err := s.Scheduler.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's status: %w", err)
	}
	return &answer[statsBody]{statsBody{
		Since: instant(since), Executions: orEmpty(stats.ByState), LatenessMS: orEmpty(stats.LatenessMS),
		Queue:   queueBody{Due: status.Due, Leased: status.Leased},
		Replica: status.Replica, Replicas: append([]string{}, status.Replicas...),
		Degraded: status.Degraded, Draining: status.Draining,
	}}, nil
}

// orEmpty keeps null out of answers.
func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

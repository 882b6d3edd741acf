package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/firjob/firjob/internal/ports"
)

func (s *server) routeQueue() {
	register(s, operation{id: "list-queue", method: http.MethodGet, path: "/apps/{app}/queue", tag: "Apps",
		summary: "List what waits, and for what",
		description: "Executions that are past their scheduled time and neither run nor have ended, the first to " +
			"go first: " +
			"by scheduled time, each step of priority being worth ten seconds. Of each sort of reason 10,000 are " +
			"looked at."}, s.listQueue)
}

type queueQuery struct {
	App      string `path:"app" doc:"The app's name" example:"billing"`
	Why      string `query:"why" enum:"overlap,app_running,app_rate,retry,executor,claim" doc:"Executions that wait for this"`
	PageSize int    `query:"page_size" minimum:"1" maximum:"500" default:"50"`
}

type waitersBody struct {
	Items  []waiterBody      `json:"items" nullable:"false"`
	Counts map[ports.Why]int `json:"counts" doc:"How many wait, by reason; reasons of nobody are absent"`
}

// waiterBody is an execution and what it waits for.
type waiterBody struct {
	executionBody
	Since instant   `json:"since" doc:"Since when: its scheduled time, or the end of the attempt before"`
	Why   ports.Why `json:"why" enum:"overlap,app_running,app_rate,retry,executor,claim" doc:"overlap: other executions of its job; app_running, app_rate: the app's max_running, max_per_second; retry: the pause after a failed attempt; executor: one that takes it; claim: a server that claims it"`
}

func (s *server) listQueue(ctx context.Context, in *queueQuery) (*answer[waitersBody], error) {
	list, counts, err := s.Store.Queue(ctx,
		ports.QueueFilter{App: in.App, Why: ports.Why(in.Why), PageSize: in.PageSize})
	if err != nil {
		return nil, fmt.Errorf("list what waits for app %q: %w", in.App, err)
	}
	out := &answer[waitersBody]{waitersBody{Items: []waiterBody{}, Counts: orEmpty(counts)}}
	for _, w := range list {
		out.Body.Items = append(out.Body.Items,
			waiterBody{executionBody: bodyOfExecution(w.Execution), Since: instant(w.Since), Why: w.Why})
	}
	return out, nil
}

package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
)

func (s *server) routeExecutions() {
	register(s, operation{id: "list-executions", method: http.MethodGet, path: "/executions", tag: "Executions",
		summary: "List executions, the latest scheduled first"}, s.listExecutions)
	register(s, operation{id: "get-execution", method: http.MethodGet, path: "/executions/{id}", tag: "Executions",
		summary: "Show an execution and its attempts"}, s.getExecution)
	register(s, operation{id: "cancel-execution", method: http.MethodPost, path: "/executions/{id}/cancel", tag: "Executions",
		summary:     "Cancel an execution",
		description: "One that is planned ends at once. Of one that runs the executor is told; it ends when the handler does."}, s.cancelExecution)
	register(s, operation{id: "retry-execution", method: http.MethodPost, path: "/executions/{id}/retry", tag: "Executions",
		summary: "Run a finished execution again", description: "Makes a new execution, which names this one.",
		created: true}, s.retryExecution)
}

type executionPath struct {
	ID firjob.ExecutionID `path:"id" format:"uuid" doc:"The execution's id" example:"019c8e5a-3a00-8000-8000-00000000002a"`
}

func locationOfExecution(id firjob.ExecutionID) string { return "/api/v1/executions/" + id.String() }

type executionQuery struct {
	Job       jobNumber `query:"job" doc:"Executions of this job"`
	App       string    `query:"app" doc:"Executions of this app"`
	State     []string  `query:"state,explode" doc:"Executions in one of these states; may be repeated or separated by commas" example:"failed,lost"`
	Since     time.Time `query:"since" doc:"Scheduled at or after this time"`
	Until     time.Time `query:"until" doc:"Scheduled before this time"`
	PageSize  int       `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string    `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listExecutions(ctx context.Context, in *executionQuery) (*answer[list[executionBody]], error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	found, next, err := s.Store.Executions(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list executions: %w", err)
	}
	out := &answer[list[executionBody]]{list[executionBody]{Items: []executionBody{}, NextPageToken: tokenOfExecution(next)}}
	for _, e := range found {
		out.Body.Items = append(out.Body.Items, bodyOfExecution(e))
	}
	return out, nil
}

func (q *executionQuery) filter() (firjob.ExecutionFilter, error) {
	filter := firjob.ExecutionFilter{Job: firjob.JobID(q.Job), App: q.App, Since: q.Since, Until: q.Until, PageSize: q.PageSize}
	var err error
	if filter.Before, err = executionOfToken(q.PageToken); err != nil {
		return filter, err
	}
	for _, name := range q.State {
		for word := range strings.SplitSeq(name, ",") {
			state, err := firjob.ParseState(word)
			if err != nil {
				return filter, faulty("query.state", word, err.Error())
			}
			if !slices.Contains(filter.States, state) {
				filter.States = append(filter.States, state)
			}
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return filter, faulty("query.until", q.Until.Format(time.RFC3339Nano), "must be later than since")
	}
	filter.Since, filter.Until = inRange(filter.Since), inRange(filter.Until)
	return filter, nil
}

// inRange returns the nearest instant to t at which anything can be scheduled;
// the zero time, which selects nothing, stays.
func inRange(t time.Time) time.Time {
	switch first := time.UnixMilli(0).UTC(); {
	case t.IsZero():
		return t
	case t.Before(first):
		return first
	case t.After(firjob.LatestAt()):
		return firjob.LatestAt()
	}
	return t
}

func (s *server) getExecution(ctx context.Context, in *executionPath) (*answer[executionBody], error) {
	e, err := s.Store.Execution(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read execution %v: %w", in.ID, err)
	}
	return &answer[executionBody]{bodyOfExecution(e)}, nil
}

func (s *server) cancelExecution(ctx context.Context, in *executionPath) (*answer[executionBody], error) {
	e, followed, err := s.Store.CancelExecution(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("cancel execution %v: %w", in.ID, err)
	}
	s.follow(ctx, followed)
	if e.State == firjob.StateRunning {
		s.Scheduler.Cancel(ctx, e.App, firjob.AttemptRef{ID: e.ID, Token: e.Token})
	}
	return &answer[executionBody]{bodyOfExecution(e)}, nil
}

// follow tells the scheduler what a change has led to.
func (s *server) follow(ctx context.Context, f firjob.Followed) {
	if len(f.Announce) > 0 {
		s.Scheduler.Announce(ctx, f.Announce...)
	}
	for _, id := range f.Plan {
		s.Scheduler.JobChanged(ctx, id)
	}
}

func (s *server) retryExecution(ctx context.Context, in *executionPath) (*created[executionBody], error) {
	e, err := s.Store.RetryExecution(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("retry execution %v: %w", in.ID, err)
	}
	s.Scheduler.Announce(ctx, firjob.Due{ID: e.ID, At: e.DueAt})
	return &created[executionBody]{Location: locationOfExecution(e.ID), Body: bodyOfExecution(e)}, nil
}

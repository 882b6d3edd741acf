package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func (s *server) routeExecutions() {
	register(s, operation{id: "list-executions", method: http.MethodGet, path: "/executions", tag: "Executions",
		summary: "List executions, the latest scheduled first"}, s.listExecutions)
	register(s, operation{id: "get-execution", method: http.MethodGet, path: "/executions/{id}", tag: "Executions",
		summary: "Show an execution, its attempts and its shards"}, s.getExecution)
	register(s, operation{id: "get-execution-tree", method: http.MethodGet, path: "/executions/{id}/tree",
		tag:     "Executions",
		summary: "Show an execution and what it led to",
		description: "With the jobs that it triggered, and why others of its children did not run. Shards are " +
			"left out."}, s.getTree)
	register(s, operation{id: "cancel-execution", method: http.MethodPost, path: "/executions/{id}/cancel",
		tag:     "Executions",
		summary: "Cancel an execution",
		description: "One that is planned ends at once. Of one that runs the executor is told; it ends when the " +
			"handler does. " +
			"With a broadcast its shards are cancelled."}, s.cancelExecution)
	register(s, operation{id: "retry-execution", method: http.MethodPost, path: "/executions/{id}/retry",
		tag:     "Executions",
		summary: "Run a finished execution again",
		description: "Makes a new execution, which names this one and belongs to the same run: what waits for " +
			"this one's " +
			"success is triggered by the new one's. A shard is run again by itself.",
		created: true, body: reflect.TypeFor[againInput](), bodyOptional: true}, s.retryExecution)
}

type executionPath struct {
	ID firjob.ExecutionID `path:"id" format:"uuid" doc:"The execution's id" example:"019c8e5a-3a00-8000-8000-00000000002a"`
}

func locationOfExecution(id firjob.ExecutionID) string { return "/api/v1/executions/" + id.String() }

type executionQuery struct {
	Job       jobNumber `query:"job" doc:"Executions of this job"`
	App       string    `query:"app" doc:"Executions of this app"`
	Root      string    `query:"root" format:"uuid" doc:"This execution, what it triggered, directly or not, and their shards and retries"`
	IDPrefix  string    `query:"id_prefix" doc:"Executions whose id begins so; dashes may be left out" example:"019c8e5a-3a00"`
	Executor  string    `query:"executor" doc:"Executions whose latest attempt is this executor's" example:"10.0.0.7:9999"`
	Kind      []string  `query:"kind,explode" doc:"Executions of one of these kinds; may be repeated or separated by commas" example:"child"`
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
	out := &answer[list[executionBody]]{
		list[executionBody]{Items: []executionBody{}, NextPageToken: tokenOfExecution(next)}}
	for _, e := range found {
		out.Body.Items = append(out.Body.Items, bodyOfExecution(e))
	}
	return out, nil
}

func (q *executionQuery) filter() (ports.ExecutionFilter, error) {
	filter := ports.ExecutionFilter{Job: firjob.JobID(q.Job), App: q.App, Executor: q.Executor, PageSize: q.PageSize}
	var err error
	if filter.Before, err = executionOfToken(q.PageToken); err != nil {
		return filter, err
	}
	if filter.States, err = wordsOf("state", q.State, firjob.ParseState); err != nil {
		return filter, err
	}
	if filter.Kinds, err = wordsOf("kind", q.Kind, firjob.ParseKind); err != nil {
		return filter, err
	}
	if q.Root != "" {
		if filter.Root, err = firjob.ParseExecutionID(q.Root); err != nil {
			return filter, faulty("query.root", q.Root, err.Error())
		}
	}
	if err := filterPrefix(&filter, q.IDPrefix); err != nil {
		return filter, err
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return filter, faulty("query.until", q.Until.Format(time.RFC3339Nano), "must be later than since")
	}
	filter.Since, filter.Until = inRange(q.Since), inRange(q.Until)
	return filter, nil
}

// wordsOf reads the words of a parameter that may be repeated or hold several,
// separated by commas, each once.
func wordsOf[T comparable](name string, values []string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	for _, value := range values {
		for word := range strings.SplitSeq(value, ",") {
			v, err := parse(word)
			if err != nil {
				return nil, faulty("query."+name, word, err.Error())
			}
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list, nil
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
func (s *server) follow(ctx context.Context, f ports.Followed) {
	if len(f.Announce) > 0 {
		s.Scheduler.Announce(ctx, f.Announce...)
	}
	for app, attempts := range f.CancelByApp() {
		s.Scheduler.Cancel(ctx, app, attempts...)
	}
	s.Scheduler.JobChanged(ctx, f.Plan...)
}

// againInput says what of an execution is run again.
type againInput struct {
	OnlyFailed bool `json:"only_failed,omitempty" doc:"Of a broadcast: only the shards that did not succeed"`
}

type againRequest struct {
	ID      firjob.ExecutionID `path:"id" format:"uuid" doc:"The execution's id" example:"019c8e5a-3a00-8000-8000-00000000002a"`
	RawBody []byte
}

func (s *server) retryExecution(ctx context.Context, in *againRequest) (*created[executionBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	input := decode[againInput](s, body, f)
	if err := f.err(); err != nil {
		return nil, err
	}
	retry := s.Store.RetryExecution
	if input.OnlyFailed {
		retry = s.Store.RetryShards
	}
	e, err := retry(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("retry execution %v: %w", in.ID, err)
	}
	s.Scheduler.Announce(ctx, firjob.Due{ID: e.ID, At: e.DueAt})
	return &created[executionBody]{Location: locationOfExecution(e.ID), Body: bodyOfExecution(e)}, nil
}

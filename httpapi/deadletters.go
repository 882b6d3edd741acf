package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func (s *server) routeDeadLetters() {
	register(s, operation{id: "list-dead-letters", method: http.MethodGet, path: "/dead-letters", tag: "Executions",
		summary: "List executions that failed for good, the latest scheduled first",
		description: "They ended as failed, timed_out or lost, with no attempt left, and nothing was done about " +
			"it since."}, s.listDeadLetters)
	input := reflect.TypeFor[deadLetterInput]()
	register(s, operation{id: "redrive-dead-letters", method: http.MethodPost, path: "/dead-letters:redrive",
		tag:     "Executions",
		summary: "Run dead letters again",
		description: "Of each a new execution with the same params, which names it. Each is run again once: what was " +
			"handled before " +
			"is a conflict, and the others are run all the same.",
		body: input, batch: true}, s.redrive)
	register(s, operation{id: "dismiss-dead-letters", method: http.MethodPost, path: "/dead-letters:dismiss",
		tag:     "Executions",
		summary: "Take dead letters off the list", description: "The executions stay in the history.",
		body: input, batch: true}, s.dismiss)
}

type deadLetterQuery struct {
	App       string    `query:"app" doc:"Those of this app"`
	Job       jobNumber `query:"job" doc:"Those of this job"`
	State     []string  `query:"state,explode" doc:"Those in one of these states: failed, timed_out, lost; may be repeated or separated by commas" example:"failed,lost"`
	Since     time.Time `query:"since" doc:"Ended at or after this time"`
	Until     time.Time `query:"until" doc:"Ended before this time"`
	Handled   bool      `query:"handled" default:"false" doc:"Also those that were redriven or dismissed"`
	PageSize  int       `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string    `query:"page_token" doc:"next_page_token of the page before"`
}

// deadLetterBody is an execution and what was done about its failure.
type deadLetterBody struct {
	executionBody
	FailedAt    instant             `json:"failed_at"`
	RedrivenAs  *firjob.ExecutionID `json:"redriven_as" format:"uuid" nullable:"true" doc:"The execution that runs it again"`
	DismissedAt *instant            `json:"dismissed_at" nullable:"true"`
}

func (s *server) listDeadLetters(ctx context.Context, in *deadLetterQuery) (*answer[list[deadLetterBody]], error) {
	filter := ports.DeadLetterFilter{App: in.App, Job: firjob.JobID(in.Job), Since: in.Since, Until: in.Until,
		Handled: in.Handled, PageSize: in.PageSize}
	var err error
	if filter.States, err = wordsOf("state", in.State, parseDead); err != nil {
		return nil, err
	}
	if filter.Before, err = executionOfToken(in.PageToken); err != nil {
		return nil, err
	}
	found, next, err := s.Store.DeadLetters(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	out := &answer[list[deadLetterBody]]{
		list[deadLetterBody]{Items: []deadLetterBody{}, NextPageToken: tokenOfExecution(next)}}
	for _, d := range found {
		out.Body.Items = append(out.Body.Items,
			deadLetterBody{bodyOfExecution(d.Execution), instant(d.FailedAt), d.RedrivenAs, instantOf(d.DismissedAt)})
	}
	return out, nil
}

// parseDead reads a state that makes a dead letter.
func parseDead(name string) (firjob.State, error) {
	switch state := firjob.State(name); state {
	case firjob.StateFailed, firjob.StateTimedOut, firjob.StateLost:
		return state, nil
	}
	return "", fmt.Errorf("%q is no state of a dead letter; want failed, timed_out or lost", name)
}

// deadLetterInput names dead letters, in one of two ways.
type deadLetterInput struct {
	IDs    []string               `json:"ids,omitempty" nullable:"false" maxItems:"10000" doc:"Executions"`
	Filter *deadLetterFilterInput `json:"filter,omitempty" doc:"In place of ids; {} = all"`
	Limit  *int                   `json:"limit,omitempty" minimum:"1" maximum:"10000" default:"1000" doc:"How many of what filter selects, the earliest first"`
}

type deadLetterFilterInput struct {
	App   *string  `json:"app,omitempty"`
	Job   *int64   `json:"job,omitempty"`
	State []string `json:"state,omitempty" nullable:"false" doc:"failed, timed_out, lost"`
	Since *string  `json:"since,omitempty" format:"date-time" doc:"Ended at or after this time"`
	Until *string  `json:"until,omitempty" format:"date-time" doc:"Ended before this time"`
}

// deadLettersBody says what became of each.
type deadLettersBody struct {
	Done    int              `json:"done"`
	Refused int              `json:"refused"`
	Items   []deadLetterItem `json:"items" nullable:"false" doc:"In the order of ids, or of the scheduled time"`
}

type deadLetterItem struct {
	ID         firjob.ExecutionID  `json:"id" format:"uuid"`
	RedrivenAs *firjob.ExecutionID `json:"redriven_as,omitempty" format:"uuid" doc:"The execution that runs it again"`
	Error      *batchError         `json:"error,omitempty" doc:"Why nothing was done"`
}

type deadLetterRequest struct{ RawBody []byte }

func (s *server) redrive(ctx context.Context, in *deadLetterRequest) (*answer[deadLettersBody], error) {
	return s.handleDeadLetters(ctx, in, s.Store.Redrive)
}

func (s *server) dismiss(ctx context.Context, in *deadLetterRequest) (*answer[deadLettersBody], error) {
	return s.handleDeadLetters(ctx, in, s.Store.Dismiss)
}

func (s *server) handleDeadLetters(ctx context.Context, in *deadLetterRequest,
	do func(context.Context, ports.DeadLetterBatch) ([]ports.DeadLetterDone, error)) (*answer[deadLettersBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	batch := decode[deadLetterInput](s, body, f).batch(f)
	if err := f.err(); err != nil {
		return nil, err
	}
	done, err := do(ctx, batch)
	if err != nil {
		return nil, fmt.Errorf("handle dead letters: %w", err)
	}
	out := &answer[deadLettersBody]{deadLettersBody{Items: []deadLetterItem{}}}
	var due []firjob.Due
	for _, d := range done {
		item := deadLetterItem{ID: d.ID}
		if d.Err != nil {
			out.Body.Refused++
			item.Error = s.batchError(ctx, d.Err)
		} else {
			out.Body.Done++
		}
		if d.RedrivenAs != nil {
			item.RedrivenAs, due = &d.RedrivenAs.ID, append(due, *d.RedrivenAs)
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	s.Scheduler.Announce(ctx, due...)
	return out, nil
}

// batchError is what a client is told of the error of one item.
func (s *server) batchError(ctx context.Context, err error) *batchError {
	p := s.problem(ctx, err)
	return &batchError{Code: p.Code, Detail: p.Detail}
}

// batch returns what in names and notes its faults in f.
func (in deadLetterInput) batch(f *faults) ports.DeadLetterBatch {
	b := ports.DeadLetterBatch{Limit: 1000}
	switch {
	case len(in.IDs) > 0 && in.Filter != nil:
		f.add("filter", nil, "contradicts ids: give one of the two")
	case len(in.IDs) > ports.MaxDeadLetterBatch:
		f.add("ids", nil, fmt.Sprintf("has %d items; want at most %d", len(in.IDs), ports.MaxDeadLetterBatch))
	case len(in.IDs) == 0 && in.Filter == nil:
		f.add("ids", nil, `is missing: name dead letters, or give a filter, of which {} selects all`)
	case len(in.IDs) > 0 && in.Limit != nil:
		f.add("limit", *in.Limit, "goes with a filter only")
	case in.Limit != nil:
		b.Limit = *in.Limit
	}
	if b.Limit < 1 || b.Limit > ports.MaxDeadLetterBatch {
		f.add("limit", b.Limit, fmt.Sprintf("must be 1 to %d", ports.MaxDeadLetterBatch))
	}
	for i, text := range in.IDs {
		id, err := firjob.ParseExecutionID(text)
		if err != nil {
			f.add(fmt.Sprintf("ids[%d]", i), text, err.Error())
		}
		b.IDs = append(b.IDs, id)
	}
	if in.Filter != nil {
		b.Filter = in.Filter.filter(f)
	}
	return b
}

func (in deadLetterFilterInput) filter(f *faults) ports.DeadLetterFilter {
	var filter ports.DeadLetterFilter
	set(&filter.App, in.App)
	if in.Job != nil {
		filter.Job = firjob.JobID(*in.Job)
		if int64(int32(*in.Job)) != *in.Job || *in.Job < 1 {
			f.add("filter.job", *in.Job, "is not a job's number")
		}
	}
	for i, name := range in.State {
		state, err := parseDead(name)
		if err != nil {
			f.add(fmt.Sprintf("filter.state[%d]", i), name, err.Error())
		}
		filter.States = append(filter.States, state)
	}
	if at := timeOf(in.Since, "filter.since", f); at != nil {
		filter.Since = *at
	}
	if at := timeOf(in.Until, "filter.until", f); at != nil {
		filter.Until = *at
	}
	return filter
}

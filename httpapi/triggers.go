package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/firjob/firjob"
)

// pastSlack is how far the "at" of a trigger may lie in the past: it forgives a
// client's clock, not a client's mistake.
const pastSlack = time.Minute

func (s *server) routeTriggers() {
	register(s, operation{id: "trigger-job", method: http.MethodPost, path: "/jobs/{id}/trigger", tag: "Jobs",
		summary: "Run a job once, now or at a later time",
		description: "Also a paused job runs. The same Idempotency-Key with the same request answers with " +
			"the execution of the first call.",
		created: true, body: reflect.TypeFor[triggerInput](), bodyOptional: true}, s.triggerJob)
}

// triggerInput says how a run differs from the job.
type triggerInput struct {
	Params json.RawMessage `json:"params,omitempty" doc:"In place of the job's; any JSON up to 64 KiB"`
	At     *string         `json:"at,omitempty" format:"date-time" doc:"When; now if absent" example:"2027-01-01T00:00:00Z"`
}

type triggerRequest struct {
	ID      jobNumber `path:"id"`
	Key     string    `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repeat of this call harmless"`
	RawBody []byte
}

func (s *server) triggerJob(ctx context.Context, in *triggerRequest) (*created[executionBody], error) {
	request, err := s.triggerOf(in)
	if err != nil {
		return nil, err
	}
	e, due, err := s.Store.Trigger(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("trigger job %d: %w", in.ID, err)
	}
	if due {
		s.Scheduler.Announce(ctx, firjob.Due{ID: e.ID, At: e.DueAt})
	}
	return &created[executionBody]{Location: locationOfExecution(e.ID), Body: bodyOfExecution(e)}, nil
}

func (s *server) triggerOf(in *triggerRequest) (firjob.TriggerRequest, error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return firjob.TriggerRequest{}, err
	}
	f := &faults{}
	input := decode[triggerInput](s, body, f)
	t := firjob.TriggerRequest{Job: firjob.JobID(in.ID), Key: in.Key, Horizon: s.Scheduler.Horizon()}
	if string(input.Params) != "null" {
		t.Params = input.Params
	}
	f.also(firjob.ValidateParams(t.Params))
	if at := timeOf(input.At, "at", f); at != nil {
		t.At = *at
		switch {
		case at.Before(time.Now().Add(-pastSlack)):
			f.add("at", *input.At, "lies in the past; leave it out to run now")
		case at.After(firjob.LatestAt()):
			f.add("at", *input.At, "must not be later than "+firjob.LatestAt().Format(time.RFC3339))
		}
	}
	if err := f.err(); err != nil {
		return t, err
	}
	t.Params, err = compact(t.Params)
	return t, err
}

// compact takes the spaces out of valid params: a repeated request is the same
// request however it is laid out.
func compact(params json.RawMessage) (json.RawMessage, error) {
	if params == nil {
		return nil, nil
	}
	var text bytes.Buffer
	if err := json.Compact(&text, params); err != nil {
		return nil, fmt.Errorf("compact the params: %w", err)
	}
	return text.Bytes(), nil
}

package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

// pastSlack is how far the "at" of a trigger may lie in the past: it forgives a
// client's clock, not a client's mistake.
const pastSlack = time.Minute

func (s *server) routeTriggers() {
	register(s, operation{id: "trigger-job", method: http.MethodPost, path: "/jobs/{id}/trigger", tag: "Jobs",
		summary: "Run a job once, now or at a later time",
		description: "Also a paused job runs. The same Idempotency-Key with the same request answers with " +
			"the execution of the first call. Until it begins it can be cancelled like any execution.",
		created: true, body: reflect.TypeFor[triggerInput](), bodyOptional: true, ownKeys: true}, s.triggerJob)
}

// triggerInput says how a run differs from the job.
type triggerInput struct {
	Params json.RawMessage `json:"params,omitempty" doc:"In place of the job's; any JSON up to 64 KiB"`
	At     *string         `json:"at,omitempty" format:"date-time" doc:"When; now if absent" example:"2027-01-01T00:00:00Z"`
	Delay  *string         `json:"delay,omitempty" format:"duration" doc:"How long from now, by the store's clock; in place of at" example:"15m"`
}

type triggerRequest struct {
	ID      jobNumber `path:"id"`
	Key     string    `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repeat of this call harmless"`
	RawBody []byte
}

func (s *server) triggerJob(ctx context.Context, in *triggerRequest) (*created[executionBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	t := s.triggerOf(firjob.JobID(in.ID), decode[triggerInput](s, body, f), f)
	if err := f.err(); err != nil {
		return nil, err
	}
	t.Key = in.Key
	e, due, err := s.Store.Trigger(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("trigger job %d: %w", in.ID, err)
	}
	if due {
		s.Scheduler.Announce(ctx, firjob.Due{ID: e.ID, At: e.DueAt})
	}
	return &created[executionBody]{Location: locationOfExecution(e.ID), Body: bodyOfExecution(e)}, nil
}

// triggerOf returns what the store is asked for; faults of the input are in f.
func (s *server) triggerOf(job firjob.JobID, input triggerInput, f *faults) ports.TriggerRequest {
	t := ports.TriggerRequest{Job: job, Horizon: s.Scheduler.Horizon()}
	if string(input.Params) != "null" {
		t.Params = input.Params
	}
	f.also(validate.Params(t.Params))
	if input.At != nil && input.Delay != nil {
		f.add("delay", *input.Delay, "contradicts \"at\": give one of the two")
	}
	if at := timeOf(input.At, "at", f); at != nil {
		t.At = *at
		switch {
		case at.Before(time.Now().Add(-pastSlack)):
			f.add("at", *input.At, "lies in the past; leave it out to run now")
		case at.After(firjob.LatestAt()):
			f.add("at", *input.At, "must not be later than "+firjob.LatestAt().Format(time.RFC3339))
		}
	}
	t.Delay = f.delay(input.Delay)
	if len(f.list) == 0 {
		t.Params = jsontext.Shortest(t.Params) // a repeat is the same request however it is spelled
	}
	return t
}

func (f *faults) delay(text *string) time.Duration {
	var d firjob.Duration
	setDuration(&d, text, "delay", f)
	if d < 0 || d.Std() > firjob.MaxBacklog {
		f.add("delay", *text, fmt.Sprintf("must be 0s to %v", firjob.Duration(firjob.MaxBacklog)))
	}
	return d.Std()
}

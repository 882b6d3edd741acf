package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

func (s *server) routeExplain() {
	register(s, operation{id: "explain-job", method: http.MethodGet, path: "/jobs/{id}/explain", tag: "Jobs",
		summary: "Say what became of an instant of a job, and which rule decided that",
		description: "For a past instant or one to come. A time to the second means every fire within that second. " +
			"Also of a job that was deleted."}, s.explainJob)
	register(s, operation{id: "explain-execution", method: http.MethodGet, path: "/executions/{id}/explain",
		tag:     "Executions",
		summary: "Say what became of an execution, and which rule decided that"}, s.explainExecution)
}

type explainQuery struct {
	ID jobNumber `path:"id"`
	At string    `query:"at" required:"true" format:"date-time" doc:"The instant" example:"2026-11-22T02:00:00+08:00"`
}

type explanationBody struct {
	At        instant        `json:"at"`
	Verdict   string         `json:"verdict" doc:"One sentence" example:"It is no fire: calendar holidays (version 3) excludes 2027-01-01."`
	Steps     []stepBody     `json:"steps" nullable:"false" doc:"How it came to that"`
	Execution *executionBody `json:"execution,omitempty" doc:"The record that decided"`
	Before    *instant       `json:"before" nullable:"true" doc:"The fire before the instant"`
	After     *instant       `json:"after" nullable:"true" doc:"The fire after the instant"`
}

type stepBody struct {
	At   *instant `json:"at" nullable:"true"`
	Rule string   `json:"rule" example:"misfire"`
	Text string   `json:"text"`
}

func (s *server) explainJob(ctx context.Context, in *explainQuery) (*answer[explanationBody], error) {
	r := ports.ExplainRequest{Job: firjob.JobID(in.ID), Precision: time.Second,
		Horizon: s.Scheduler.Horizon(), Retention: s.Scheduler.Retention()}
	at, err := time.Parse(time.RFC3339, in.At)
	if err != nil {
		return nil, faulty("query.at", in.At, notTime(in.At))
	}
	if r.At = inRange(at.UTC().Truncate(time.Millisecond)); r.At.IsZero() {
		return nil, faulty("query.at", in.At, "lies before anything can be scheduled")
	}
	if strings.Contains(in.At, ".") {
		r.Precision = time.Millisecond
	}
	x, err := s.Store.Explain(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("explain job %d: %w", in.ID, err)
	}
	return &answer[explanationBody]{bodyOfExplanation(x)}, nil
}

func (s *server) explainExecution(ctx context.Context, in *executionPath) (*answer[explanationBody], error) {
	x, err := s.Store.ExplainExecution(ctx, in.ID, s.Scheduler.Horizon())
	if err != nil {
		return nil, fmt.Errorf("explain execution %v: %w", in.ID, err)
	}
	return &answer[explanationBody]{bodyOfExplanation(x)}, nil
}

func bodyOfExplanation(x ports.Explanation) explanationBody {
	b := explanationBody{At: instant(x.At), Verdict: x.Verdict, Steps: []stepBody{}, Before: instantOf(x.Before),
		After: instantOf(x.After)}
	for _, step := range x.Steps {
		b.Steps = append(b.Steps, stepBody{instantOf(step.At), step.Rule, step.Text})
	}
	if x.Execution != nil {
		b.Execution = new(bodyOfExecution(*x.Execution))
	}
	return b
}

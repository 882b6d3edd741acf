package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

func (s *server) routeBackfills() {
	register(s, operation{id: "backfill-job", method: http.MethodPost, path: "/jobs/{id}/backfill", tag: "Jobs",
		summary: "Run the fires of a past range",
		description: "For jobs of kind cron, every and at. Which fires there are follows from the job's schedule, " +
			"calendars and window as " +
			"they are now; what was run when it was due is run again. Also a paused job's run.",
		created: true, body: reflect.TypeFor[backfillInput]()}, s.backfillJob)
	register(s, operation{id: "list-backfills", method: http.MethodGet, path: "/jobs/{id}/backfills", tag: "Jobs",
		summary: "List a job's backfills, the latest first"}, s.listBackfills)
	register(s, operation{id: "get-backfill", method: http.MethodGet, path: "/backfills/{id}", tag: "Jobs",
		summary: "Show how far a backfill has come"}, s.getBackfill)
	register(s, operation{id: "cancel-backfill", method: http.MethodPost, path: "/backfills/{id}/cancel", tag: "Jobs",
		summary: "Cancel a backfill",
		description: "No more of its fires are recorded, those that are planned end as cancelled, those that run are " +
			"asked to end."}, s.cancelBackfill)
}

type backfillInput struct {
	From       *string         `json:"from,omitempty" required:"true" format:"date-time" doc:"The first instant of the range" example:"2026-11-20T00:00:00Z"`
	Until      *string         `json:"until,omitempty" required:"true" format:"date-time" doc:"Its end, which is not in it; not in the future" example:"2026-11-21T00:00:00Z"`
	Order      *string         `json:"order,omitempty" enum:"oldest_first,newest_first" default:"oldest_first"`
	MaxRunning *int            `json:"max_running,omitempty" minimum:"1" maximum:"1000" default:"1" doc:"Executions of the backfill at a time"`
	Params     json.RawMessage `json:"params,omitempty" doc:"In place of the job's; any JSON up to 64 KiB"`
}

// The orders of a backfill.
const (
	oldestFirst = "oldest_first"
	newestFirst = "newest_first"
)

type backfillBody struct {
	ID         ports.BackfillID `json:"id" example:"7"`
	JobID      firjob.JobID     `json:"job_id" example:"42"`
	From       instant          `json:"from"`
	Until      instant          `json:"until"`
	Order      string           `json:"order" enum:"oldest_first,newest_first"`
	MaxRunning int              `json:"max_running"`
	Params     json.RawMessage  `json:"params" doc:"null = the job's"`
	State      string           `json:"state" enum:"running,finished,cancelled"`
	Fires      int              `json:"fires" doc:"In the range"`
	First      instant          `json:"first" doc:"The earliest of them"`
	Last       instant          `json:"last" doc:"The latest of them"`
	Recorded   int              `json:"recorded" doc:"Executions so far"`
	Open       *int             `json:"open,omitempty" doc:"Of these: not ended; lists leave it out"`
	Succeeded  *int             `json:"succeeded,omitempty" doc:"Of these; lists leave it out"`
	Failed     *int             `json:"failed,omitempty" doc:"Of these: ended in any other way; lists leave it out"`
	CreatedAt  instant          `json:"created_at"`
	FinishedAt *instant         `json:"finished_at" nullable:"true"`
}

// bodyOfBackfill returns b without the counts of its executions.
func bodyOfBackfill(b ports.Backfill) backfillBody {
	body := backfillBody{ID: b.ID, JobID: b.Job, From: instant(b.From), Until: instant(b.Until), Order: oldestFirst,
		MaxRunning: b.MaxRunning,
		Params:     b.Params, State: "running", Fires: b.Fires, First: instant(b.First), Last: instant(b.Last),
		Recorded:  b.Recorded,
		CreatedAt: instant(b.CreatedAt), FinishedAt: instantOf(b.FinishedAt)}
	if b.Newest {
		body.Order = newestFirst
	}
	switch {
	case b.Cancelled:
		body.State = "cancelled"
	case b.FinishedAt != nil:
		body.State = "finished"
	}
	return body
}

func countedBackfill(b ports.Backfill) backfillBody {
	body := bodyOfBackfill(b)
	body.Open, body.Succeeded, body.Failed = &b.Open, &b.Succeeded, &b.Failed
	return body
}

func (s *server) backfillJob(ctx context.Context, in *jobRequest) (*created[backfillBody], error) {
	body, err := parseBody(in.RawBody)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	r := decode[backfillInput](s, body, f).request(firjob.JobID(in.ID), f)
	retention := s.Scheduler.Retention()
	if len(f.list) > 0 {
		f.also(validate.Backfill(r, time.Now(), retention)) // else the store does, by its clock
		return nil, f.err()
	}
	r.Params = jsontext.Shortest(r.Params)
	b, followed, err := s.Store.CreateBackfill(ctx, r, retention)
	if err != nil {
		return nil, fmt.Errorf("backfill job %d: %w", in.ID, err)
	}
	s.follow(ctx, followed)
	return &created[backfillBody]{Location: fmt.Sprintf("/api/v1/backfills/%d", b.ID), Body: countedBackfill(b)}, nil
}

func (in backfillInput) request(job firjob.JobID, f *faults) ports.BackfillRequest {
	r := ports.BackfillRequest{Job: job, MaxRunning: 1}
	if at := timeOf(in.From, "from", f); at != nil {
		r.From = *at
	}
	if at := timeOf(in.Until, "until", f); at != nil {
		r.Until = *at
	}
	if in.Order != nil {
		r.Newest = *in.Order == newestFirst
		if !r.Newest && *in.Order != oldestFirst {
			f.add("order", *in.Order, "must be oldest_first or newest_first")
		}
	}
	if in.MaxRunning != nil {
		r.MaxRunning = *in.MaxRunning
	}
	if string(in.Params) != "null" {
		r.Params = in.Params
	}
	f.also(validate.Params(r.Params))
	return r
}

// backfillNumber is a backfill's number as a parameter.
type backfillNumber int64

// TransformSchema adds the bounds, which are those of Postgres's integer.
func (backfillNumber) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Minimum, s.Maximum = new(1.0), new(float64(math.MaxInt32))
	s.Description, s.Examples = "A backfill's number", []any{7}
	return s
}

type backfillPath struct {
	ID backfillNumber `path:"id"`
}

type backfillsQuery struct {
	ID        jobNumber `path:"id"`
	PageSize  int       `query:"page_size" minimum:"1" maximum:"500" default:"50"`
	PageToken string    `query:"page_token" doc:"next_page_token of the page before"`
}

func (s *server) listBackfills(ctx context.Context, in *backfillsQuery) (*answer[list[backfillBody]], error) {
	before, err := numberOfToken(in.PageToken)
	if err != nil {
		return nil, err
	}
	found, next, err := s.Store.Backfills(ctx, firjob.JobID(in.ID), ports.BackfillID(before), in.PageSize)
	if err != nil {
		return nil, fmt.Errorf("list backfills of job %d: %w", in.ID, err)
	}
	out := &answer[list[backfillBody]]{
		list[backfillBody]{Items: []backfillBody{}, NextPageToken: tokenOfNumber(uint32(next))}}
	for _, b := range found {
		out.Body.Items = append(out.Body.Items, bodyOfBackfill(b))
	}
	return out, nil
}

func (s *server) getBackfill(ctx context.Context, in *backfillPath) (*answer[backfillBody], error) {
	b, err := s.Store.Backfill(ctx, ports.BackfillID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("read backfill %d: %w", in.ID, err)
	}
	return &answer[backfillBody]{countedBackfill(b)}, nil
}

func (s *server) cancelBackfill(ctx context.Context, in *backfillPath) (*answer[backfillBody], error) {
	b, followed, err := s.Store.CancelBackfill(ctx, ports.BackfillID(in.ID))
	if err != nil {
		return nil, fmt.Errorf("cancel backfill %d: %w", in.ID, err)
	}
	s.follow(ctx, followed)
	return &answer[backfillBody]{countedBackfill(b)}, nil
}

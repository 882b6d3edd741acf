package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/validate"
)

// maxItems bounds a batch.
const maxItems = 10_000

// maxBatchFaults bounds how many faults the answer to a batch lists in all; an
// item beyond it says only that it has some.
const maxBatchFaults = 1000

func (s *server) routeBatches() {
	register(s, operation{id: "create-jobs", method: http.MethodPost, path: "/jobs" + batchSuffix, tag: "Jobs",
		summary: "Make many jobs",
		description: "Up to 10,000, in one transaction. Good ones are stored though others are faulty; with atomic, " +
			"all or none. " +
			"A parent within the batch cannot be named: it has no number yet.",
		body: reflect.TypeFor[jobBatchInput](), batch: true}, s.createJobs)
	register(s, operation{id: "trigger-job-many", method: http.MethodPost, path: "/jobs/{id}/trigger" + batchSuffix,
		tag:         "Jobs",
		summary:     "Run a job many times",
		description: "Up to 10,000 runs, recorded in one transaction. Good ones are recorded though others are faulty.",
		body:        reflect.TypeFor[triggerBatchInput](), batch: true}, s.triggerMany)
}

type jobBatchInput struct {
	Jobs   []jobInput `json:"jobs,omitempty" required:"true" nullable:"false" minItems:"1" maxItems:"10000"`
	Atomic *bool      `json:"atomic,omitempty" default:"false" doc:"Store all or none; what is faulty is then an error of the request"`
}

type triggerBatchInput struct {
	Items []triggerItemInput `json:"items,omitempty" required:"true" nullable:"false" minItems:"1" maxItems:"10000"`
}

// triggerItemInput is a triggerInput with a key.
type triggerItemInput struct {
	Params json.RawMessage `json:"params,omitempty" doc:"In place of the job's; any JSON up to 64 KiB"`
	At     *string         `json:"at,omitempty" format:"date-time" doc:"When; now if absent" example:"2027-01-01T00:00:00Z"`
	Delay  *string         `json:"delay,omitempty" format:"duration" doc:"How long from now; in place of at" example:"15m"`
	Key    *string         `json:"idempotency_key,omitempty" minLength:"1" maxLength:"255" doc:"Makes a repeat of this item harmless, as the header does for a single trigger of the job" example:"order-4711"`
}

// batchBody says what became of each item of a batch.
type batchBody struct {
	Stored int         `json:"stored" doc:"Those that earlier requests with the same keys have stored included"`
	Failed int         `json:"failed"`
	Items  []batchItem `json:"items" nullable:"false" doc:"In the order of the request"`
}

type batchItem struct {
	Index       int                 `json:"index" doc:"Its place in the request, from 0"`
	Status      int                 `json:"status" doc:"What the answer to it alone would have been" example:"201"`
	Job         *jobBody            `json:"job,omitempty"`
	JobID       firjob.JobID        `json:"job_id,omitempty" doc:"In place of job, with Prefer: return=minimal" example:"42"`
	Execution   *executionBody      `json:"execution,omitempty"`
	ExecutionID *firjob.ExecutionID `json:"execution_id,omitempty" format:"uuid" doc:"In place of execution, with Prefer: return=minimal"`
	Error       *batchError         `json:"error,omitempty"`
}

// batchAnswer is the answer to a batch.
type batchAnswer struct {
	Applied string `header:"Preference-Applied" doc:"return=minimal, if that was asked for" example:"return=minimal"`
	Body    batchBody
}

// batchError is a problem of one item.
type batchError struct {
	Code   firjob.Code `json:"code" example:"invalid"`
	Detail string      `json:"detail"`
	Errors []fault     `json:"errors,omitempty" nullable:"false" doc:"Every faulty field, as far as the answer has room: it lists 1000 in all"`
}

func (s *server) createJobs(ctx context.Context, in *struct {
	Prefer  string `header:"Prefer" doc:"With return=minimal the answer has the ids of what was stored in place of the things" example:"return=minimal"`
	RawBody []byte
}) (*batchAnswer, error) {
	fields, items, err := s.batchOf(in.RawBody, reflect.TypeFor[jobBatchInput](), "jobs")
	if err != nil {
		return nil, err
	}
	atomic := string(fields["atomic"]) == "true"
	b := newBatch(s, ctx, "jobs", len(items), wantsMinimal(in.Prefer))
	jobs, places := make([]firjob.Job, 0, len(items)), make([]int, 0, len(items))
	for i, raw := range items {
		f := &faults{}
		job := decode[jobInput](s, raw, f).job(f)
		f.also(validate.Job(job, time.Now()))
		if err := f.err(); err != nil {
			b.fail(i, err)
			continue
		}
		jobs, places = append(jobs, job), append(places, i)
	}
	if atomic && b.failed > 0 {
		return nil, b.refusal()
	}
	stored, err := s.Store.CreateJobs(ctx, jobs, atomic)
	if err != nil {
		return nil, fmt.Errorf("create jobs: %w", err)
	}
	for i, made := range stored {
		if made.Err != nil {
			b.fail(places[i], made.Err)
		}
	}
	if atomic && b.failed > 0 {
		return nil, b.refusal()
	}
	s.tellOfJobs(ctx, b, stored, places)
	return b.answer(), nil
}

// tellOfJobs tells the client and the scheduler of what was stored.
func (s *server) tellOfJobs(ctx context.Context, b *batch, stored []ports.StoredJob, places []int) {
	var soon []firjob.JobID
	now := time.Now()
	warner := s.warner(now)
	for i, item := range stored {
		if item.Err == nil {
			if b.minimal {
				b.items[places[i]].JobID = item.Job.ID
			} else {
				body := bodyOfNewJob(item.Job, now)
				body.Warnings = warner.of(ctx, item.Job)
				b.items[places[i]].Job = &body
			}
			if s.soon(item.Job) {
				soon = append(soon, item.Job.ID)
			}
		}
	}
	s.Scheduler.JobChanged(ctx, soon...)
}

func (s *server) triggerMany(ctx context.Context, in *struct {
	ID      jobNumber `path:"id"`
	Prefer  string    `header:"Prefer" doc:"With return=minimal the answer has the ids of what was stored in place of the things" example:"return=minimal"`
	RawBody []byte
}) (*batchAnswer, error) {
	_, items, err := s.batchOf(in.RawBody, reflect.TypeFor[triggerBatchInput](), "items")
	if err != nil {
		return nil, err
	}
	b := newBatch(s, ctx, "items", len(items), wantsMinimal(in.Prefer))
	list, places := make([]ports.TriggerRequest, 0, len(items)), make([]int, 0, len(items))
	for i, raw := range items {
		f := &faults{}
		item := decode[triggerItemInput](s, raw, f)
		t := s.triggerOf(firjob.JobID(in.ID), triggerInput{item.Params, item.At, item.Delay}, f)
		if item.Key != nil {
			t.Key = *item.Key
			f.key(t.Key)
		}
		if err := f.err(); err != nil {
			b.fail(i, err)
			continue
		}
		list, places = append(list, t), append(places, i)
	}
	made, err := s.Store.TriggerMany(ctx, firjob.JobID(in.ID), list)
	if err != nil {
		return nil, fmt.Errorf("trigger job %d: %w", in.ID, err)
	}
	s.tellOfTriggers(ctx, b, made, places)
	return b.answer(), nil
}

// tellOfTriggers tells the client and the scheduler of what was recorded.
func (s *server) tellOfTriggers(ctx context.Context, b *batch, made []ports.Triggered, places []int) {
	var due []firjob.Due
	for i, t := range made {
		if t.Err != nil {
			b.fail(places[i], t.Err)
			continue
		}
		if b.minimal {
			b.items[places[i]].ExecutionID = new(t.Execution.ID)
		} else {
			b.items[places[i]].Execution = new(bodyOfExecution(t.Execution))
		}
		if t.Due {
			due = append(due, firjob.Due{ID: t.Execution.ID, At: t.Execution.DueAt})
		}
	}
	s.Scheduler.Announce(ctx, due...)
}

// key judges the idempotency key of an item.
func (f *faults) key(key string) {
	if key == "" || len(key) > maxKey || !printable(key) {
		f.add("idempotency_key", key, fmt.Sprintf("must have 1 to %d bytes, all printable", maxKey))
	}
}

// batchOf reads the body of a batch: its shape but for its items, which are
// judged one by one, and their number. It returns its fields, and the items as
// they came.
func (s *server) batchOf(raw []byte, described reflect.Type,
	field string) (fields map[string]json.RawMessage, items []json.RawMessage, err error) {
	body, err := parseBody(raw)
	if err != nil {
		return nil, nil, err
	}
	f := &faults{}
	registry, schema := s.api.OpenAPI().Components.Schemas, *s.schemaOf(described)
	for schema.Ref != "" {
		schema = *registry.SchemaFromRef(schema.Ref)
	}
	schema.Properties = withAnyItems(schema.Properties, field)
	f.shape(registry, &schema, nil, body)
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	fields = maps.Collect(members(body))
	n := 0
	if list, ok := fields[field]; ok && typeOf(list) != typeNull {
		for _, v := range elements(list) {
			if n++; n <= maxItems {
				items = append(items, v)
			}
		}
	}
	if n < 1 || n > maxItems {
		return nil, nil, faulty("body."+field, nil, fmt.Sprintf("has %d items; want 1 to %d", n, maxItems))
	}
	return fields, items, nil
}

// withAnyItems returns properties of which one is a list of anything, null included.
func withAnyItems(properties map[string]*huma.Schema, field string) map[string]*huma.Schema {
	loose := make(map[string]*huma.Schema, len(properties))
	for name, schema := range properties {
		loose[name] = schema
	}
	loose[field] = &huma.Schema{Type: huma.TypeArray}
	return loose
}

// batch gathers what becomes of the items of a request.
type batch struct {
	server  *server
	ctx     context.Context // of the request, for what the log is told
	field   string          // of the body, that the items stand in
	minimal bool            // the client wants ids alone
	items   []batchItem
	failed  int
	listed  int // faults, in all
}

func newBatch(s *server, ctx context.Context, field string, n int, minimal bool) *batch {
	b := &batch{server: s, ctx: ctx, field: field, minimal: minimal, items: make([]batchItem, n)}
	for i := range b.items {
		b.items[i] = batchItem{Index: i, Status: http.StatusCreated}
	}
	return b
}

func (b *batch) answer() *batchAnswer {
	a := &batchAnswer{Body: batchBody{Stored: len(b.items) - b.failed, Failed: b.failed, Items: b.items}}
	if b.minimal {
		a.Applied = returnMinimal
	}
	return a
}

// fail notes what is wrong with an item.
func (b *batch) fail(i int, err error) {
	p := b.server.problem(b.ctx, err)
	e := &batchError{Code: p.Code, Detail: p.Detail}
	for _, f := range p.Errors {
		if b.listed == maxBatchFaults {
			break
		}
		b.listed++
		f.Location = b.at(i) + strings.TrimPrefix(f.Location, "body")
		e.Errors = append(e.Errors, f)
	}
	b.failed++
	b.items[i].Status, b.items[i].Error = p.Status, e
}

// at is the path of an item.
func (b *batch) at(i int) string { return fmt.Sprintf("body.%s[%d]", b.field, i) }

// refusal makes one error of what is wrong with the items.
func (b *batch) refusal() error {
	var list []firjob.FieldError
	for i, item := range b.items {
		if item.Error == nil {
			continue
		}
		if len(item.Error.Errors) == 0 {
			list = append(list, firjob.FieldError{Field: b.at(i), Message: item.Error.Detail})
		}
		for _, f := range item.Error.Errors {
			list = append(list, firjob.FieldError{Field: f.Location, Value: f.Value, Message: f.Message})
		}
		if len(list) > maxFaults {
			break
		}
	}
	return &firjob.Error{Code: firjob.CodeInvalid, Fields: list,
		Message: fmt.Sprintf("%d of %d items cannot be stored, and none was", b.failed, len(b.items))}
}

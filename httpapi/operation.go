package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/firjob/firjob"
)

// operation describes a route of the API.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	created          bool         // answers 201 with a Location
	body             reflect.Type // of the request; nil = none
	bodyOptional     bool
	batch            bool // takes a large body, and its time
	ownKeys          bool // keeps its idempotency keys itself
	secret           bool // its answer holds one, and is never kept
}

// Bounds of the body of a request under /api/v1, in bytes.
const (
	maxBody      = 1 << 20
	maxBatchBody = 64 << 20
)

func (op operation) bodyLimit() int64 {
	if op.batch {
		return maxBatchBody
	}
	return maxBody
}

// register adds a route whose errors become problems. Bodies reach the handler
// as they came, in RawBody: see body.go for why.
func register[I, O any](s *server, op operation, serve func(context.Context, *I) (*O, error)) {
	described := huma.Operation{
		OperationID: op.id, Method: op.method, Path: "/api/v1" + op.path,
		Tags: []string{op.tag}, Summary: op.summary, Description: op.description,
		Responses:        map[string]*huma.Response{"default": s.problemResponse()},
		Security:         []map[string][]string{{securityAdmin: {}}},
		MaxBodyBytes:     op.bodyLimit(),
		SkipValidateBody: true,
		Parameters:       op.commonParameters(),
	}
	described.BodyReadTimeout, _, _ = timeouts(described.Path)
	s.operations[op.method+" "+described.Path] = op
	if op.created {
		described.DefaultStatus = http.StatusCreated
	}
	body := &huma.RequestBody{}
	if op.body != nil {
		described.RequestBody = body
	}
	huma.Register(s.api, described, func(ctx context.Context, in *I) (*O, error) {
		out, err := serve(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
	if op.body != nil {
		body.Required = !op.bodyOptional
		body.Content = map[string]*huma.MediaType{jsonType: {Schema: s.schemaOf(op.body)}}
		if op.method == http.MethodPatch {
			body.Content["application/merge-patch+json"] = body.Content[jsonType]
		}
	}
}

// commonParameters are those that middleware reads.
func (op operation) commonParameters() []*huma.Param {
	var list []*huma.Param
	if writes(op.method) {
		list = append(list, &huma.Param{Name: queryDryRun, In: "query",
			Schema:      &huma.Schema{Type: huma.TypeBoolean, Default: false},
			Description: "Do everything but store it: the answer is what it would be"})
	}
	if op.method == http.MethodPost && !op.ownKeys {
		list = append(list, &huma.Param{Name: headerKey, In: "header",
			Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: new(maxKey)},
			Description: "Makes a repeat of this call within 24 hours harmless: it gets the answer of the first"})
	}
	return list
}

// repeated says what is wrong with a parameter that takes one value.
const repeated = "is given more than once; it takes one value"

// onceEach refuses a request that repeats a parameter which takes one value: huma
// would take the first and leave the others out without a word.
func (s *server) onceEach(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	query := r.URL.Query()
	var list []firjob.FieldError
	for _, p := range ctx.Operation().Parameters {
		if values := query[p.Name]; p.In == "query" && p.Schema.Type != huma.TypeArray && len(values) > 1 {
			list = append(list, firjob.FieldError{Field: "query." + p.Name, Value: values, Message: repeated})
		}
	}
	if err := firjob.Invalid(list); err != nil {
		s.problem(ctx.Context(), err).write(w)
		return
	}
	next(ctx)
}

const jsonType = "application/json"

// schemaOf returns the schema of a type, which huma looks for by a name that it
// makes anew each time.
func (s *server) schemaOf(t reflect.Type) *huma.Schema {
	if known, ok := s.schemas.Load(t); ok {
		return known.(*huma.Schema)
	}
	made := s.api.OpenAPI().Components.Schemas.Schema(t, true, "")
	s.schemas.Store(t, made)
	return made
}

func (s *server) problemResponse() *huma.Response {
	return &huma.Response{
		Description: "An error",
		Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: s.schemaOf(reflect.TypeFor[problem]())},
		},
	}
}

// answer is a body alone.
type answer[T any] struct {
	Body T
}

// tagged is a body and the version that it shows.
type tagged[T any] struct {
	ETag string `header:"ETag" doc:"The version, for If-Match"`
	Body T
}

// created is a body and where to find it again.
type created[T any] struct {
	Location string `header:"Location" doc:"The path of what was made"`
	Body     T
}

// createdTagged is both.
type createdTagged[T any] struct {
	Location string `header:"Location" doc:"The path of what was made"`
	ETag     string `header:"ETag" doc:"The version, for If-Match"`
	Body     T
}

// list is one page.
type list[T any] struct {
	Items         []T    `json:"items" nullable:"false"`
	NextPageToken string `json:"next_page_token" doc:"page_token of the next page; empty on the last. A page before it may hold fewer items than asked for, or none"`
}

// schemaName names a Go type in the OpenAPI document: jobBody is a Job there,
// list[jobBody] a JobList.
func schemaName(t reflect.Type, hint string) string {
	name := strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Body")
	if item, ok := strings.CutPrefix(name, "List"); ok {
		return item + "List"
	}
	return name
}

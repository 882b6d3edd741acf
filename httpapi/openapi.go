package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/jsontext"
)

// Names of the security schemes in the OpenAPI document.
const (
	securityAdmin    = "admin"
	securityExecutor = "executor"
)

// apiVersion is the version of the API, which is not that of the program: it
// changes when the document does in a way that clients must know of.
const apiVersion = "1.0"

func (s *server) humaConfig() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "fir-job", Version: apiVersion,
				Description: "A distributed scheduler of tasks. Times are RFC 3339 in UTC with milliseconds, " +
					"durations are Go's text, as in 1m30s. Every error is application/problem+json."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					securityAdmin:    {Type: "http", Scheme: "bearer", Description: "The admin token"},
					securityExecutor: {Type: "http", Scheme: "basic", Description: "An app's name and secret"},
				},
			},
			Tags: []*huma.Tag{{Name: "Jobs"}, {Name: "Schedules"}, {Name: "Calendars"}, {Name: "Executions"},
				{Name: "Apps"}, {Name: "Stats"},
				{Name: "Executor", Description: "What executors call"}, {Name: "Health"}},
		},
		// "json" is of problem+json
		Formats:                      map[string]huma.Format{jsonType: jsonFormat, "json": jsonFormat},
		DefaultFormat:                jsonType,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.transform},
	}
}

// jsonFormat is huma's, but for clients that went away while their answer was
// written: that is no error of ours, and huma would panic over it.
var jsonFormat = huma.Format{
	Marshal:   func(w io.Writer, v any) error { return huma.DefaultJSONFormat.Marshal(heedless{w}, v) },
	Unmarshal: huma.DefaultJSONFormat.Unmarshal,
}

// heedless is a writer that hides its errors.
type heedless struct{ io.Writer }

// Write passes p on.
func (w heedless) Write(p []byte) (int, error) {
	_, _ = w.Writer.Write(p)
	return len(p), nil
}

// finishOpenAPI adds the routes that bypass huma to the document.
func (s *server) finishOpenAPI() {
	doc := s.api.OpenAPI()
	s.describeLogs(doc)
	s.describeExecutors(doc)
	s.describeHealth(doc)
	// huma registers its own error model with each operation; ours took its place.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
}

func renderOpenAPI(doc *huma.OpenAPI) []byte {
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("httpapi: the OpenAPI document cannot be written: %v", err)) // of types known at build time
	}
	return append(text, '\n')
}

func (s *server) describeExecutors(doc *huma.OpenAPI) {
	beat, reply := reflect.TypeFor[firjob.Beat](), reflect.TypeFor[firjob.BeatReply]()
	s.describe(doc, wireOperation{id: "register-executor", path: firjob.PathRegister, summary: "Register an executor",
		request: beat, reply: reply})
	s.describe(doc, wireOperation{id: "executor-heartbeat", path: firjob.PathHeartbeat,
		summary: "Say that an executor lives and what it holds", request: beat, reply: reply})
	s.describe(doc, wireOperation{id: "executor-callback", path: firjob.PathCallback, summary: "Report results",
		description: fmt.Sprintf(
			"Answers after the commit. Up to %d results, each nested %d levels at most; a faulty one refuses "+
				"the batch. "+
				"409, with the same body, if a result was stale or unknown: the others are recorded all the same.",
			firjob.MaxBatch, jsontext.MaxDepth),
		request: reflect.TypeFor[firjob.Callback](), reply: reflect.TypeFor[firjob.CallbackReply](),
		also: []int{http.StatusConflict}, compact: true})
	s.describe(doc, wireOperation{id: "executor-start", path: firjob.PathStart,
		summary: "Ask which attempts of exclusive jobs may begin",
		description: fmt.Sprintf("Answers after the commit, in the order of the attempts, %d at most.",
			firjob.MaxBatch),
		request: reflect.TypeFor[firjob.Start](), reply: reflect.TypeFor[firjob.StartReply]()})
	s.describe(doc, wireOperation{id: "executor-report", path: firjob.PathReport,
		summary: "Send lines of log and progress",
		description: fmt.Sprintf(
			"Up to %d chunks and %d bytes; a faulty one refuses the whole. A repeat of a chunk is stored once.",
			firjob.MaxBatch, firjob.MaxReportBody),
		request: reflect.TypeFor[firjob.Report](), reply: reflect.TypeFor[firjob.ReportReply]()})
	s.describe(doc, wireOperation{id: "executor-leave", path: firjob.PathLeave, summary: "Take an executor out",
		request: beat})
}

// wireOperation describes a route of the executor surface.
type wireOperation struct {
	id, path, summary, description string
	request, reply                 reflect.Type // reply nil: 204
	also                           []int        // statuses, next to 200, that carry the reply
	compact                        bool         // both are taken and given in CBOR, too
}

func (s *server) describe(doc *huma.OpenAPI, op wireOperation) {
	content := func(t reflect.Type) map[string]*huma.MediaType {
		media := map[string]*huma.MediaType{jsonType: {Schema: s.schemaOf(t)}}
		if op.compact {
			media[string(codec.CBOR)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary",
				Description: "The same with numbers for names: see the executor protocol"}}
		}
		return media
	}
	responses := map[string]*huma.Response{"default": s.problemResponse()}
	if op.reply == nil {
		responses["204"] = &huma.Response{Description: http.StatusText(http.StatusNoContent)}
	} else {
		for _, status := range slices.Concat([]int{http.StatusOK}, op.also) {
			responses[fmt.Sprint(status)] = &huma.Response{Description: http.StatusText(status),
				Content: content(op.reply)}
		}
	}
	doc.AddOperation(&huma.Operation{
		OperationID: op.id, Method: http.MethodPost, Path: op.path, Tags: []string{"Executor"},
		Summary: op.summary, Description: op.description,
		Security:    []map[string][]string{{securityExecutor: {}}},
		RequestBody: &huma.RequestBody{Required: true, Content: content(op.request)},
		Responses:   responses,
	})
}

func (s *server) describeHealth(doc *huma.OpenAPI) {
	add := func(id, path, summary, contentType string, body reflect.Type) {
		op := &huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"Health"},
			Summary: summary,
			Responses: map[string]*huma.Response{
				"200": {Description: http.StatusText(http.StatusOK),
					Content: map[string]*huma.MediaType{contentType: {}}},
				"default": s.problemResponse(),
			}}
		if body != nil {
			op.Responses["200"].Content[contentType].Schema = s.schemaOf(body)
		}
		doc.AddOperation(op)
	}
	health := reflect.TypeFor[healthBody]()
	add("live", "/livez", "Whether the process answers", jsonType, health)
	add("ready", "/readyz", "Whether requests may come here; ?verbose tells more", jsonType, health)
	add("version", "/version", "The build", jsonType, reflect.TypeFor[VersionInfo]())
	add("metrics", "/metrics", "Metrics for Prometheus", "text/plain", nil)
}

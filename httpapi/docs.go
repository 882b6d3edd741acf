package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/firjob/firjob"
)

//go:embed docs.gohtml
var docsTemplate string

//go:embed docs.css
var docsStyle string

// page is a rendered HTML page and the policy under which browsers show it.
type page struct {
	html   []byte
	policy string
}

// routeDocs serves the OpenAPI document as it is and as a page that needs no
// script and no other host. Both are drawn once, when first asked for.
func (s *server) routeDocs() {
	openAPI := sync.OnceValue(func() []byte { return renderOpenAPI(s.api.OpenAPI()) })
	s.router.Get("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_, _ = w.Write(openAPI()) // an error of the connection has nobody to go to
	})
	docs := sync.OnceValue(func() page { return renderDocs(s.api.OpenAPI()) })
	s.router.Get("/docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", docs().policy)
		_, _ = w.Write(docs().html) // an error of the connection has nobody to go to
	})
}

func renderDocs(doc *huma.OpenAPI) page {
	view := docsView{Title: doc.Info.Title, Version: doc.Info.Version, Text: doc.Info.Description,
		Style: template.CSS(docsStyle), Codes: docsCodes()}
	for _, tag := range doc.Tags {
		view.Groups = append(view.Groups,
			docsGroup{Name: tag.Name, Text: tag.Description, Operations: operationsOf(doc, tag.Name)})
	}
	for _, name := range sortedKeys(doc.Components.Schemas.Map()) {
		view.Schemas = append(view.Schemas, schemaViewOf(name, doc.Components.Schemas.Map()[name]))
	}
	var out bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsTemplate)).Execute(&out, view); err != nil {
		panic(fmt.Sprintf("httpapi: the docs page cannot be drawn: %v", err)) // of a document known at build time
	}
	hash := sha256.Sum256([]byte(docsStyle))
	return page{html: out.Bytes(), policy: "default-src 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
}

type docsView struct {
	Title, Version, Text string
	Style                template.CSS
	Codes                []docsCode
	Groups               []docsGroup
	Schemas              []schemaView
}

type docsCode struct {
	Code   firjob.Code
	Text   string
	Others []int // statuses that it comes with besides statusOf
}

// Statuses lists the statuses that the code comes with.
func (c docsCode) Statuses() string {
	var list []string
	for _, status := range append(c.Others, statusOf(c.Code)) {
		list = append(list, strconv.Itoa(status))
	}
	return strings.Join(list, ", ")
}

// docsCodes lists the codes: the "type" of an error links here.
func docsCodes() []docsCode {
	return []docsCode{
		{Code: firjob.CodeInvalid, Text: "The request has faulty fields; each is listed under errors. " +
			"400: its body cannot be read. 405: the path does not take this method. 415: the type of its body is not " +
			"known here.",
			Others: []int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType}},
		{Code: firjob.CodeNotFound, Text: "There is no such thing."},
		{Code: firjob.CodeConflict, Text: "The thing exists, or its state forbids this."},
		{Code: firjob.CodeKeyReused, Text: "The idempotency key was used with another request."},
		{Code: firjob.CodeStale, Text: "A newer attempt exists."},
		{Code: firjob.CodePreconditionRequired,
			Text: "The header If-Match is missing: a change names the version that it was made for."},
		{Code: firjob.CodePreconditionFailed,
			Text: "The thing is not at the version that If-Match names: read it again."},
		{Code: firjob.CodeUnauthorized, Text: "There are no credentials, or wrong ones."},
		{Code: firjob.CodeForbidden, Text: "The credentials do not reach this."},
		{Code: firjob.CodeTooLarge, Text: "The body exceeds its limit."},
		{Code: firjob.CodeUnavailable, Text: "A store cannot be reached; try again after Retry-After."},
		{Code: firjob.CodeInternal, Text: "A fault of the server; its log has it under the request id."},
	}
}

type docsGroup struct {
	Name, Text string
	Operations []operationView
}

type operationView struct {
	ID, Method, Path, Summary, Text string
	Parameters                      []*huma.Param
	Request                         docsLink
	Responses                       []responseView
}

type responseView struct {
	Status, Text string
	Body         docsLink
}

// docsLink names a type; Ref is its place on the page, empty for a plain one.
type docsLink struct{ Text, Ref string }

func operationsOf(doc *huma.OpenAPI, tag string) []operationView {
	var list []operationView
	for _, path := range sortedKeys(doc.Paths) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil && slices.Contains(op.Tags, tag) {
				list = append(list, operationViewOf(op))
			}
		}
	}
	return list
}

func operationViewOf(op *huma.Operation) operationView {
	v := operationView{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary,
		Text: op.Description, Parameters: op.Parameters}
	if op.RequestBody != nil {
		v.Request = linkOfContent(op.RequestBody.Content)
	}
	for _, status := range sortedKeys(op.Responses) {
		r := op.Responses[status]
		v.Responses = append(v.Responses,
			responseView{Status: status, Text: r.Description, Body: linkOfContent(r.Content)})
	}
	return v
}

func linkOfContent(content map[string]*huma.MediaType) docsLink {
	for _, media := range content {
		if media.Schema != nil {
			return linkOf(media.Schema)
		}
	}
	return docsLink{}
}

func linkOf(s *huma.Schema) docsLink {
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return docsLink{Text: name, Ref: "schema-" + name}
	case s.Type == huma.TypeArray && s.Items != nil:
		item := linkOf(s.Items)
		return docsLink{Text: "list of " + item.Text, Ref: item.Ref}
	case s.Type == "":
		return docsLink{Text: "any JSON"}
	case s.Format != "":
		return docsLink{Text: s.Type + " (" + s.Format + ")"}
	}
	return docsLink{Text: s.Type}
}

type schemaView struct {
	Name   string
	Fields []fieldView
}

type fieldView struct {
	Name, Text string
	Type       docsLink
	Required   bool
	Default    any
	Enum       []any
}

func schemaViewOf(name string, s *huma.Schema) schemaView {
	v := schemaView{Name: name}
	for _, field := range sortedKeys(s.Properties) {
		p := s.Properties[field]
		v.Fields = append(v.Fields, fieldView{Name: field, Text: p.Description, Type: linkOf(p),
			Required: slices.Contains(s.Required, field), Default: p.Default, Enum: p.Enum})
	}
	return v
}

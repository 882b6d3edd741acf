package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/firjob/firjob"
)

// problem is the body of every error (RFC 9457), and the error itself where
// huma passes it on.
type problem struct {
	Type      string      `json:"type" doc:"Where this class of error is described" example:"/docs#invalid"`
	Title     string      `json:"title" doc:"The status in words" example:"Unprocessable Entity"`
	Status    int         `json:"status" example:"422"`
	Detail    string      `json:"detail" doc:"What went wrong, for a person" example:"the request has faulty fields"`
	Code      firjob.Code `json:"code" doc:"What went wrong, for a program; stable" enum:"invalid,not_found,conflict,idempotency_reused,stale_token,precondition_required,precondition_failed,unauthorized,forbidden,too_large,unavailable,internal"`
	RequestID string      `json:"request_id" doc:"Names the request in the server's log" example:"5f1c7a90d3e84b26"`
	Errors    []fault     `json:"errors,omitempty" nullable:"false" doc:"Every faulty field"`

	header http.Header
	cut    bool // there were more faults than Errors lists
}

// fault is one fault in one place of a request.
type fault struct {
	Location string `json:"location" doc:"Where it is" example:"body.schedule.expr"`
	Message  string `json:"message" doc:"What is wrong and what would be right"`
	Value    any    `json:"value,omitempty" doc:"What stood there, unless it is long or secret"`
}

// statusOf is the one map from codes to statuses.
func statusOf(code firjob.Code) int {
	switch code {
	case firjob.CodeInvalid, firjob.CodeKeyReused:
		return http.StatusUnprocessableEntity
	case firjob.CodeNotFound:
		return http.StatusNotFound
	case firjob.CodeConflict, firjob.CodeStale:
		return http.StatusConflict
	case firjob.CodePreconditionRequired:
		return http.StatusPreconditionRequired
	case firjob.CodePreconditionFailed:
		return http.StatusPreconditionFailed
	case firjob.CodeUnauthorized:
		return http.StatusUnauthorized
	case firjob.CodeForbidden:
		return http.StatusForbidden
	case firjob.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case firjob.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// httpError is an error that HTTP itself names more exactly than a code does.
type httpError struct {
	status int
	header http.Header
	known  *firjob.Error
}

// Error returns the message.
func (e *httpError) Error() string { return e.known.Error() }

// Unwrap returns the error of the domain, for its code.
func (e *httpError) Unwrap() error { return e.known }

// problem turns any error into what the client is told. An internal error is
// logged here, once, and the client learns only where to find it.
func (s *server) problem(ctx context.Context, err error) *problem {
	p := &problem{RequestID: requestIDOf(ctx), header: http.Header{}}
	var known *firjob.Error
	var exact *httpError
	switch {
	case errors.As(err, &exact):
		p.Status, p.header, known = exact.status, exact.header, exact.known
	case errors.As(err, &known):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		known = firjob.Errorf(firjob.CodeUnavailable, "the request took too long")
	default:
		s.log.ErrorContext(ctx, "request failed", "request_id", p.RequestID, "error", err)
		known = firjob.Errorf(firjob.CodeInternal, "an internal error; the server's log has it under this request id")
	}
	p.Code, p.Detail = known.Code, known.Message
	for _, f := range known.Fields {
		p.addFault(location(f.Field), f.Message, f.Value)
	}
	s.complete(p)
	return p
}

// maxFaults bounds how many faults an answer lists.
const maxFaults = 50

// addFault lists a fault, or says once that there are more than are listed.
func (p *problem) addFault(location, message string, value any) {
	switch n := len(p.Errors); {
	case n < maxFaults:
		p.Errors = append(p.Errors, faultAt(location, message, value))
	case n == maxFaults && !p.cut:
		p.cut = true
		p.Detail += fmt.Sprintf(", more than the %d that are listed", maxFaults)
	}
}

// complete fills in what follows from the code.
func (s *server) complete(p *problem) {
	if p.Status == 0 {
		p.Status = statusOf(p.Code)
	}
	if p.header == nil {
		p.header = http.Header{}
	}
	if p.Code == firjob.CodeUnavailable {
		p.header.Set("Retry-After", "1")
	}
	p.Title = http.StatusText(p.Status)
	p.Detail = brief(p.Detail, maxMessage)
	p.Type = s.PublicURL + "/docs#" + string(p.Code)
}

// location places a field of the domain, which knows only bodies, in the request.
func location(field string) string {
	switch part, _, _ := strings.Cut(field, "."); part {
	case "body", "path", "query", "header":
		return field
	case "":
		return "body"
	}
	return "body." + field
}

// Bounds of what of a faulty request is sent back, in bytes: of a value, and of
// a message, which may quote one.
const (
	maxEcho    = 200
	maxMessage = 400
)

func faultAt(location, message string, value any) fault {
	f := fault{Location: brief(location, maxEcho), Message: brief(message, maxMessage)}
	if !secretive(location) {
		f.Value = echo(value)
	}
	return f
}

// secretive reports whether a field's value is never to be shown. The token of a
// page is no secret.
func secretive(field string) bool {
	if field == "query.page_token" {
		return false
	}
	field = strings.ToLower(field)
	return strings.Contains(field, "secret") || strings.Contains(field, "token") ||
		strings.Contains(field, "password") ||
		strings.Contains(field, "headers.")
}

// brief cuts text to size bytes.
func brief(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:size-len("…")], "") + "…"
}

// echo returns v as it may be shown: not if it is long, and never a whole
// object, which may hold what is secret. Times become text, for JSON has none
// for some of them.
func echo(v any) any {
	switch v := v.(type) {
	case nil, map[string]any, []any, json.RawMessage, []byte:
		return nil
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case *time.Time:
		return v.Format(time.RFC3339Nano)
	case string:
		if len(v) > maxEcho {
			return nil
		}
	}
	if len(fmt.Sprint(v)) > maxEcho {
		return nil
	}
	return v
}

// transform is huma's hook before an answer is written. The errors that huma
// finds by itself, in parameters and limits, become problems here.
func (s *server) transform(ctx huma.Context, _ string, v any) (any, error) {
	found, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &problem{Status: found.Status, Detail: found.Detail, Code: firjob.CodeInvalid,
		RequestID: requestIDOf(ctx.Context())}
	switch {
	case found.Status == http.StatusRequestEntityTooLarge:
		p.Code, p.Detail = firjob.CodeTooLarge, fmt.Sprintf(bodyTooLarge, bodyLimitOf(ctx.Operation()))
	case found.Status == http.StatusUnprocessableEntity:
		p.Detail = "the request has faulty fields"
	case found.Status >= http.StatusInternalServerError:
		s.log.ErrorContext(ctx.Context(), "request failed", "request_id", p.RequestID, "error", found)
		p.Code = firjob.CodeInternal
	}
	for _, e := range found.Errors {
		if e.Message == unknownParameter {
			p.addUnknownParameter(ctx, e.Location)
			continue
		}
		p.addFault(e.Location, plain(e.Message, e.Value), e.Value)
	}
	s.complete(p)
	return p, nil
}

// bodyTooLarge tells the limit of a request from the limits of what it holds, which
// do not count spelling.
const bodyTooLarge = "the body is larger than %d bytes, the limit of a whole request, with its spaces and escapes"

// unknownParameter is what huma says of a parameter that an operation lacks.
const unknownParameter = "unknown query parameter"

// addUnknownParameter lists a parameter that the operation lacks, with what was
// given for it and the parameters that there are. huma tells its name alone.
func (p *problem) addUnknownParameter(ctx huma.Context, location string) {
	var known []string
	for _, param := range ctx.Operation().Parameters {
		if param.In == "query" {
			known = append(known, param.Name)
		}
	}
	slices.Sort(known)
	text := "is not a known parameter; there are " + strings.Join(known, ", ")
	if len(known) == 0 {
		text = "is not a known parameter; there are none"
	}
	url := ctx.URL()
	var value any = url.Query()[strings.TrimPrefix(location, "query.")]
	if list := value.([]string); len(list) == 1 {
		value = list[0]
	}
	p.addFault(location, text, value)
}

func bodyLimitOf(op *huma.Operation) int64 {
	if op == nil || op.MaxBodyBytes == 0 {
		return maxBody
	}
	return op.MaxBodyBytes
}

// plain puts what huma says of a parameter in the words of this API.
func plain(message string, value any) string {
	text := fmt.Sprint(value)
	switch {
	case strings.HasPrefix(message, "invalid date/time"), message == validation.MsgExpectedRFC3339DateTime:
		return notTime(text)
	case strings.HasPrefix(message, "expected string to be RFC 4122 uuid"):
		if _, err := firjob.ParseExecutionID(text); err != nil { // there are no other UUIDs
			return err.Error()
		}
	case message == "invalid integer" && json.Valid([]byte(text)) && typeOf([]byte(text)) == huma.TypeNumber:
		return mistyped([]byte(text), huma.TypeInteger)
	case message == "invalid integer":
		return "must be a whole number such as 5"
	case message == "invalid boolean":
		return "must be true or false"
	case strings.HasPrefix(message, "required "):
		return "is missing"
	}
	for prefix, words := range map[string]string{
		"expected number >= ":          "must be at least %s",
		"expected number <= ":          "must be at most %s",
		"expected length <= ":          "must have at most %s characters",
		"expected value to be one of ": "must be one of %s",
	} {
		if want, ok := strings.CutPrefix(message, prefix); ok {
			return fmt.Sprintf(words, digits(strings.Trim(want, `"`)))
		}
	}
	return strings.TrimPrefix(message, "invalid value: ")
}

// digits writes a number without an exponent, and leaves other text as it is.
func digits(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	writeJSON(w, p.ContentType(""), p.Status, p)
}

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus, GetHeaders and ContentType tell huma how to answer.
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.header }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// writeJSON answers with v. An error of the connection has nobody to go to.
func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

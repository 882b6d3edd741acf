package scheduler

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/scheduler/outbound"
)

// callResult is the result of an HTTP call.
type callResult struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"` // those of keptHeaders
	Body    any               `json:"body,omitempty"`    // JSON as JSON, anything else as text
	Cut     bool              `json:"cut,omitempty"`     // the body was longer
}

// setOutcome makes the result of an answer. Whether a status is a success is the
// job's to say; no status makes a failure permanent, since a 404 may be a
// deployment that is under way.
func setOutcome(result *firjob.Result, call firjob.HTTPCall, r outbound.Response, now time.Time) {
	result.Result = resultOf(r)
	if expected(call, r.Status) {
		result.Outcome = firjob.OutcomeSucceeded
		return
	}
	result.Outcome = firjob.OutcomeFailed
	result.Error = strings.TrimSpace(
		fmt.Sprintf("%s %s answered %d %s", call.Method, hostOf(call), r.Status, http.StatusText(r.Status)))
	if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable {
		result.RetryAfter = firjob.Duration(retryAfter(r.Header.Get("Retry-After"), now))
	}
}

func expected(call firjob.HTTPCall, status int) bool {
	if len(call.Expect) > 0 {
		return slices.Contains(call.Expect, status)
	}
	return status >= 200 && status <= 299
}

// maxRetryAfter bounds what another server can put a retry off by.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); 0 for anything else.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// keptHeaders are the headers of an answer that a result shows.
func keptHeaders() []string {
	return []string{"Content-Type", "Etag", "Last-Modified", "Location", "Retry-After", "X-Request-Id"}
}

const maxKeptHeader = 1 << 10 // bytes

// resultOf writes an answer as a result. A body that would make it no result is
// written as text.
func resultOf(r outbound.Response) json.RawMessage {
	out := callResult{Status: r.Status, Cut: r.Cut, Headers: map[string]string{}}
	for _, name := range keptHeaders() {
		if value := r.Header.Get(name); value != "" {
			out.Headers[name] = value[:min(len(value), maxKeptHeader)]
		}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if json.Valid(r.Body) && (kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		out.Body = json.RawMessage(r.Body)
		if text, err := json.Marshal(out); err == nil && jsontext.Check(text, firjob.MaxResult) == nil {
			return text
		}
	}
	if out.Body = nil; len(r.Body) > 0 {
		out.Body = strings.ToValidUTF8(string(r.Body), "\ufffd")
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // plain fields: it cannot fail
	}
	return text
}

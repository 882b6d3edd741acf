package httpapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
)

const (
	admin  = "admin-token-that-is-long-enough-0123456789"
	secret = "secret-of-billing-long-enough-0123456789"
)

var someday = time.Date(2027, 1, 1, 2, 3, 4, 567_000_000, time.UTC)

// surface is an API over fakes.
type surface struct {
	t         *testing.T
	handler   http.Handler
	store     *memory
	scheduler *calls
	log       *strings.Builder
}

func newSurface(t *testing.T, adjust ...func(*httpapi.Options)) *surface {
	t.Helper()
	s := &surface{t: t, store: newMemory(), scheduler: &calls{}, log: &strings.Builder{}}
	o := httpapi.Options{Store: s.store, Scheduler: s.scheduler, AdminToken: admin,
		Version: httpapi.VersionInfo{Version: "v1.2.3"},
		Log:     slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range adjust {
		f(&o)
	}
	s.handler = httpapi.New(o)
	return s
}

// reply is an answer that was read to its end.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request; headers are pairs of name and value.
func (s *surface) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{s.t, w.Code, w.Header(), w.Body.String()}
}

// call sends a request as the administrator, for whatever version there is
// unless the headers name one.
func (s *surface) call(method, path, body string, headers ...string) reply {
	s.t.Helper()
	if (method == http.MethodPatch || method == http.MethodDelete) && !slices.Contains(headers, "If-Match") {
		headers = append(headers, "If-Match", "*")
	}
	return s.do(method, path, body, append([]string{"Authorization", "Bearer " + admin}, headers...)...)
}

// wire sends a message as an executor of billing.
func (s *surface) wire(path, body string) reply {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.SetBasicAuth("billing", secret)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{s.t, w.Code, w.Header(), w.Body.String()}
}

// want checks the status.
func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("got status %d, want %d; body: %s", r.status, status, r.body)
	}
	return r
}

// into decodes the body.
func (r reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		r.t.Fatalf("decode %s: %v", r.body, err)
	}
}

// problem is an error as a client reads it.
type problem struct {
	Type      string
	Title     string
	Status    int
	Detail    string
	Code      firjob.Code
	RequestID string `json:"request_id"`
	Errors    []struct {
		Location, Message string
		Value             any
	}
}

// problem checks that the answer is a whole problem and returns it.
func (r reply) problem() problem {
	r.t.Helper()
	var p problem
	r.into(&p)
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Errorf("content type %q, want application/problem+json", got)
	}
	if p.Status != r.status || p.Title != http.StatusText(r.status) || p.Detail == "" || p.RequestID == "" ||
		p.Type != "/docs#"+string(p.Code) || p.RequestID != r.header.Get("X-Request-Id") {
		r.t.Errorf("status %d: incomplete problem: %s", r.status, r.body)
	}
	return p
}

func (p problem) locations() []string {
	var list []string
	for _, e := range p.Errors {
		list = append(list, e.Location)
	}
	slices.Sort(list)
	return list
}

const goodJob = `{"app":"billing","name":"nightly-report","handler":"report","params":{"region":"eu"},
	"schedule":{"kind":"cron","expr":"0 0 2 * * *","timezone":"Asia/Shanghai"}}`

// soonJob fires within the scheduler's horizon.
var soonJob = strings.Replace(goodJob, `{"kind":"cron","expr":"0 0 2 * * *","timezone":"Asia/Shanghai"}`, `{"kind":"every","interval":"1s"}`, 1)

// job makes a job and returns its path.
func (s *surface) job(body string) string {
	s.t.Helper()
	return s.call("POST", "/api/v1/jobs", body).want(http.StatusCreated).header.Get("Location")
}

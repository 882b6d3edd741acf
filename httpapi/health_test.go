package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/httpapi"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/internal/tzdata"
)

func TestReady(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		postgres error
		status   ports.Status
		want     int
		text     string
	}{
		"ready":         {nil, ports.Status{}, 200, `"ready"`},
		"without Redis": {nil, ports.Status{Degraded: true}, 200, "degraded"},
		"no Postgres":   {errors.New("password=hunter2"), ports.Status{}, 503, "postgres"},
		"draining":      {nil, ports.Status{Draining: true}, 503, "draining"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSurface(t)
			s.store.fail(tt.postgres)
			s.scheduler.status = tt.status
			r := s.do("GET", "/readyz?verbose", "").want(tt.want)
			if !strings.Contains(r.body, tt.text) || strings.Contains(r.body, "hunter2") {
				t.Errorf("got %s, want %q in it", r.body, tt.text)
			}
			if tt.want == http.StatusServiceUnavailable {
				r.problem()
			}
			if brief := s.do("GET", "/readyz", "").want(tt.want); strings.Contains(brief.body, "checks") {
				t.Errorf("without verbose: %s", brief.body)
			}
		})
	}
}

func TestVersionAndStats(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var version httpapi.VersionInfo
	s.do("GET", "/version", "").want(http.StatusOK).into(&version)
	if version.Version != "v1.2.3" || version.Go != runtime.Version() || version.TZData != tzdata.Version {
		t.Errorf("got %+v, want v1.2.3 and what the toolchain says: %s; time zones %s", version, runtime.Version(), tzdata.Version)
	}
	s.scheduler.status = ports.Status{Replica: "r1", Replicas: []string{"r1", "r2"}, Due: 3, Leased: 1}
	golden(t, "testdata/stats.json", s.call("GET", "/api/v1/stats?since=2027-01-01T00:00:00Z", "").want(http.StatusOK).indented())
}

// Deadlines are those of a connection; they must not end one that is kept.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	var dials atomic.Int64
	server := httptest.NewUnstartedServer(s.handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dials.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	for range 3 {
		r, err := server.Client().Post(server.URL+"/api/v1/jobs", "application/json", strings.NewReader(goodJob))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusUnauthorized {
			t.Fatalf("got status %d, %v", r.StatusCode, err)
		}
	}
	if got := dials.Load(); got != 1 {
		t.Errorf("three requests took %d connections, want 1", got)
	}
}

// The document in docs/ is the one that is served; a change of the API shows in
// review as a change of that file.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	r := newSurface(t).do("GET", "/openapi.json", "").want(http.StatusOK)
	golden(t, "../docs/openapi.json", r.body)
	var doc struct {
		Paths map[string]map[string]any
	}
	r.into(&doc)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if text, _ := json.Marshal(op); !strings.Contains(string(text), "#/components/schemas/Problem") {
				t.Errorf("%s %s does not describe its errors", method, path)
			}
		}
	}
	if strings.Contains(r.body, "ErrorModel") {
		t.Error("the document still names huma's own error model")
	}
}

// The page must show every operation, and need nothing but itself.
func TestDocs(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	r := s.do("GET", "/docs", "").want(http.StatusOK)
	for _, forbidden := range []string{"<script", "http://", "https://", "ZgotmplZ", "javascript:"} {
		if strings.Contains(r.body, forbidden) {
			t.Errorf("the page holds %q", forbidden)
		}
	}
	if csp := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	s.do("GET", "/openapi.json", "").into(&doc)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if !strings.Contains(r.body, `id="`+op.OperationID+`"`) {
				t.Errorf("the page does not show %s %s", method, path)
			}
		}
	}
}

// The "type" of an error links to its row on the page. The row of a code that HTTP
// names in several ways lists all of its statuses.
func TestDocsOfCodes(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	page := s.do("GET", "/docs", "").want(http.StatusOK).body
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct{ Code struct{ Enum []string } }
				}
			}
		}
	}
	s.do("GET", "/openapi.json", "").into(&doc)
	codes := codesOf(t, "../errors.go")
	for _, code := range codes {
		if !strings.Contains(page, `<tr id="`+code+`"><td><code>`+code+`</code></td><td>`) {
			t.Errorf("the page has no row for the code %s", code)
		}
	}
	slices.Sort(codes)
	named := slices.Sorted(slices.Values(doc.Components.Schemas.Problem.Properties.Code.Enum))
	if diff := cmp.Diff(codes, named); diff != "" {
		t.Errorf("the codes that the document names (-want +got):\n%s", diff)
	}
	for code, statuses := range map[string]string{"invalid": "400, 405, 415, 422", "precondition_failed": "412", "precondition_required": "428"} {
		if !strings.Contains(page, `<code>`+code+`</code></td><td>`+statuses+`</td>`) {
			t.Errorf("the row of %s does not say %s", code, statuses)
		}
	}
}

// codesOf returns the values of the constants of type Code in a file.
func codesOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && fmt.Sprint(spec.Type) == "Code" {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	if len(codes) < 12 {
		t.Fatalf("%s has the codes %v, want 12 or more", file, codes)
	}
	return codes
}

type bench struct {
	handler   http.Handler
	scheduler *calls
}

func benchSurface(b *testing.B) *bench {
	b.Helper()
	s := &bench{scheduler: &calls{}}
	s.handler = httpapi.New(httpapi.Options{Store: newMemory(), Scheduler: s.scheduler})
	return s
}

func (s *bench) post(path, body string) int {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.SetBasicAuth("billing", secret)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code
}

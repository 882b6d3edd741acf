package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testNow is when the commands of the tests run.
var testNow = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// asked is a request that the API got.
type asked struct {
	Method, URI, Body, Key, Auth, Match string
}

// fakeAPI answers like the server, from a list: each request gets the next
// answer, the last one again and again.
type fakeAPI struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	asked   []asked
}

type answer struct {
	status int
	body   string
}

func ok(body string) answer { return answer{http.StatusOK, body} }

func newFakeAPI(t *testing.T, answers ...answer) *fakeAPI {
	t.Helper()
	f := &fakeAPI{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, asked{r.Method, r.URL.RequestURI(), strings.TrimSpace(string(body)),
		r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), r.Header.Get("If-Match")})
	w.Header().Set("ETag", `"3"`)
	now := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	switch {
	case now.status >= http.StatusBadRequest:
		w.Header().Set("Content-Type", "application/problem+json")
	case strings.HasPrefix(now.body, "{"), strings.HasPrefix(now.body, "["):
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(now.status)
	_, _ = io.WriteString(w, now.body)
}

// requests returns what was asked so far.
func (f *fakeAPI) requests() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]asked{}, f.asked...)
}

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

// ran runs a command line as if it were testNow.
func ran(ctx context.Context, env map[string]string, stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	p := &console.Process{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		Env: func(name string) string { return env[name] },
		Now: func() time.Time { return testNow }, Zone: time.UTC}
	code := run(ctx, p, args)
	return outcome{code, stdout.String(), stderr.String()}
}

// ran runs a command line against the API, with more variables if need be.
func (f *fakeAPI) ran(t *testing.T, more map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	env := map[string]string{"FIRJOB_SERVER_URL": f.URL}
	maps.Copy(env, more)
	return ran(t.Context(), env, stdin, args...)
}

// golden compares a text with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("output differs from %s (-want +got):\n%s", path, diff)
	}
}

// answerFile returns an answer that is kept in testdata.
func answerFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "answers", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func indented(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(strings.TrimSpace(text)), "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// tempFile returns the name of a file that holds text.
func tempFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const logItem = `{"at":"2026-11-22T05:59:00.123Z","level":"WARN","text":"no paper\nin \u001b[31mtray\u001b[0m 2","attrs":{"tray":2},"attempt":1,"line":1}`

func TestExecutionLogs(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[`+logItem+`],"cut":7,"next_page_token":"7-1"}`),
		ok(`{"items":[{"at":"2026-11-22T05:59:01.5Z","level":"INFO","text":"done","attempt":2,"line":1}],"cut":7,"next_page_token":""}`))
	got := api.ran(t, nil, "", "execution", "logs", anExecution, "--attempt", "1", "--level", "WARN")
	want := `… 7 earlier lines are no longer kept
2026-11-22 05:59:00.123  1  WARN   no paper
    in  [31mtray [0m 2  {"tray":2}
2026-11-22 05:59:01.500  2  INFO   done
`
	if diff := cmp.Diff(outcome{stdout: want}, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("the outcome (-want +got):\n%s", diff)
	}
	base := "/api/v1/executions/" + anExecution + "/logs?attempt=1&level=WARN"
	wantAsked := []asked{{Method: "GET", URI: base}, {Method: "GET", URI: base + "&page_token=7-1"}}
	if diff := cmp.Diff(wantAsked, api.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestExecutionLogsInAZone(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[`+logItem+`],"cut":0,"next_page_token":""}`))
	got := api.ran(t, nil, "", "execution", "logs", anExecution, "--timezone", "Asia/Shanghai")
	if want := "2026-11-22 13:59:00.123  1  WARN "; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("got %+v, want the time in Shanghai: %s", got, want)
	}
}

func TestExecutionLogsAsJSON(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[`+logItem+`],"cut":0,"next_page_token":""}`))
	got := api.ran(t, nil, "", "execution", "-o", "json", "logs", anExecution)
	if want := indented(t, `{"items":[`+logItem+`],"cut":0,"next_page_token":""}`); got.stdout != want {
		t.Errorf("got %s, want %s", got.stdout, want)
	}
}

func TestExecutionWithoutALog(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, ok(`{"items":[],"cut":0,"next_page_token":""}`))
	if got := api.ran(t, nil, "", "execution", "logs", anExecution); got != (outcome{stdout: "The log has no such lines.\n"}) {
		t.Errorf("got %+v, want a sentence that says so", got)
	}
}

// streams answers each request with the next of its streams, and notes from where
// the client wants to go on.
type streams struct {
	mu   sync.Mutex
	of   []string
	from []string
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = append(s.from, r.URL.RawQuery+" "+r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write([]byte(s.of[0]))
	s.of = s.of[1:]
}

// A stream that breaks off is taken up where it was.
func TestExecutionLogsFollow(t *testing.T) {
	t.Parallel()
	s := &streams{of: []string{
		"retry: 1000\n\nevent: cut\ndata: {\"lines\":3}\n\nid: 7-4\nevent: line\ndata: " + logItem + "\n\n: this server is stopping\n\n",
		"retry: 1000\n\nevent: progress\ndata: {\"percent\":40,\"note\":\"half-way\"}\n\n" +
			"event: end\ndata: {\"state\":\"failed\",\"reason\":\"no paper\"}\n\n",
	}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	got := ran(t.Context(), map[string]string{"FIRJOB_SERVER_URL": server.URL}, "", "execution", "logs", "-f", anExecution)
	if got.code != exitOK || !strings.HasPrefix(got.stdout, "2026-11-22 05:59:00.123  1  WARN   no paper\n") {
		t.Errorf("exit code %d, output %q", got.code, got.stdout)
	}
	if want := "… 3 earlier lines are no longer kept\n40 %  half-way\nfailed  no paper\n"; got.stderr != want {
		t.Errorf("notes %q, want %q", got.stderr, want)
	}
	if diff := cmp.Diff([]string{"follow=true ", "follow=true 7-4"}, s.from); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestExecutionLogsOfNobody(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, answer{http.StatusNotFound, `{"title":"Not Found","detail":"there is no such execution"}`})
	for _, args := range [][]string{{"execution", "logs", anExecution}, {"execution", "logs", "-f", anExecution}} {
		if got := api.ran(t, nil, "", args...); got.code != exitFailure || !strings.Contains(got.stderr, "there is no such execution") {
			t.Errorf("%v: exit code %d, %q", args, got.code, got.stderr)
		}
	}
}

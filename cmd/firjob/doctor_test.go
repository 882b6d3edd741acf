package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/build"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// newFakeCluster answers like servers of the versions behind a balancer, by path.
// Each version has a time zone database of its own.
// What it has no answer for, it does not know.
func newFakeCluster(t *testing.T, answers map[string]answer, versions ...string) *fakeAPI {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", testNow.UTC().Format(http.TimeFormat))
		a, known := answers[r.URL.Path]
		switch {
		case r.URL.Path == "/version":
			v := versions[int(asked.Add(1))%len(versions)]
			a = ok(fmt.Sprintf(`{"version":%q,"tzdata":"zones of %s"}`, v, v))
		case !known:
			a = answer{http.StatusNotFound, `{"title":"Not Found","detail":"there is no such path"}`}
		}
		w.Header().Set("Content-Type", "application/json")
		if a.status >= http.StatusBadRequest {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(server.Close)
	return &fakeAPI{Server: server}
}

// listensAs starts something that answers every request with the status, and
// returns its address.
func listensAs(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != firjob.PathPing || r.Header.Get(firjob.HeaderWebhookID) != "" {
			w.WriteHeader(http.StatusTeapot) // neither any other path nor anything signed is asked for
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// nobodyListens returns an address that refuses connections until the test ends:
// its port is the client's end of a connection, so that no other test gets it.
func nobodyListens(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}

// executorsAt answers with live executors at the addresses, and with the mark
// of one that is gone.
func executorsAt(addresses ...string) answer {
	list := console.Rows[map[string]any]{Items: []map[string]any{{"app": "billing", "address": "10.0.0.1:1", "incarnation": "", "live": false}}}
	for i, address := range addresses {
		list.Items = append(list.Items, map[string]any{"app": "billing", "address": address, "incarnation": "a", "version": fmt.Sprintf("v1.%d", i), "live": true})
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic(err) // plain fields
	}
	return ok(string(body))
}

const soundMetrics = `# HELP firjob_early_starts_total Must stay 0.
# TYPE firjob_early_starts_total counter
firjob_early_starts_total 0
firjob_overdue_executions 0
firjob_orphaned_executions 0
firjob_stuck_running 0
firjob_index_drift{kind="missing"} 0
firjob_health_age_seconds{check="index"} 19.5
firjob_sweep_age_seconds 1.5
firjob_dispatch_total{answer="accepted",app="billing"} 1000
`

// The stores are examined by internal/app, whose tests show that; here none is
// named.
func TestDoctor(t *testing.T) {
	t.Parallel()
	own := build.Version()
	type parts = map[string]answer
	sound := func(change parts) parts {
		all := parts{
			"/api/v1/stats":                  ok(`{"replicas":["a-1","b-2"],"degraded":false}`),
			"/api/v1/apps":                   ok(`{"items":[{"name":"billing"}]}`),
			"/api/v1/apps/billing/executors": executorsAt(listensAs(t, http.StatusUnauthorized), listensAs(t, http.StatusOK)),
			"/metrics":                       ok(soundMetrics),
		}
		for path, a := range change {
			all[path] = a
		}
		return all
	}
	nobody, stranger := nobodyListens(t), listensAs(t, http.StatusNotFound)
	tests := []struct {
		name     string
		answers  parts
		versions []string
		code     int
		stderr   string
	}{
		{"well", sound(nil), []string{own}, exitOK, ""},
		{"doubtful", sound(parts{"/api/v1/stats": ok(`{"replicas":["a-1"],"degraded":true}`), "/api/v1/apps/billing/executors": executorsAt(), "/metrics": {http.StatusNotFound, ""}}),
			[]string{own}, exitOK, ""},
		{"upgrade", sound(nil), []string{own, "v0.0.9"}, exitOK, ""},
		{"older", sound(nil), []string{"v0.0.9"}, exitOK, ""},
		{"unreached", sound(parts{"/api/v1/apps/billing/executors": executorsAt(nobody, stranger)}), []string{own}, exitOK, ""},
		{"notzero", sound(parts{"/metrics": ok(strings.NewReplacer("starts_total 0", "starts_total 2", "_executions 0", "_executions 3",
			"running 0", "running 1", `"missing"} 0`, `"missing"} 4`, "19.5", "121", " 1.5", " 31", "accepted", "unknown_handler").Replace(soundMetrics))}),
			[]string{own}, exitFailure, "firjob: 5 of 16 checks failed\n"},
		{"others", sound(parts{"/metrics": ok("go_goroutines 8\n")}), []string{own}, exitOK, ""},
		{"refused", parts{"/api/v1/stats": {http.StatusUnauthorized, `{"title":"Unauthorized","detail":"want a token"}`}}, []string{own}, exitFailure, "firjob: 1 of 3 checks failed\n"},
		{"half", sound(parts{"/api/v1/apps": {http.StatusInternalServerError, `{"title":"Internal"}`}}), []string{own}, exitFailure, "firjob: 1 of 8 checks failed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newFakeCluster(t, tt.answers, tt.versions...).ran(t, nil, "", "doctor")
			if got.code != tt.code || got.stderr != tt.stderr {
				t.Errorf("exit code %d, stderr %q; want %d, %q", got.code, got.stderr, tt.code, tt.stderr)
			}
			golden(t, "doctor-"+tt.name, strings.NewReplacer(own, "OWN", nobody, "NOBODY", stranger, "STRANGER").Replace(got.stdout))
		})
	}
	got := newFakeCluster(t, sound(nil), own).ran(t, nil, "", "doctor", "-o", "json")
	if want := `"verdict": "warn",
      "check": "redis",
      "found": "not examined",
      "remedy": "set FIRJOB_REDIS_URL as the servers have it"`; got.code != exitOK || !strings.Contains(got.stdout, want) {
		t.Errorf("exit code %d, stdout %s; want 0 and %s", got.code, got.stdout, want)
	}
}

// A clock of a server that is off is told, whatever else is well.
func TestDoctorServerClock(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t, ok(`{"replicas":["a-1"]}`)) // whose clock is the present, not testNow
	if got := f.ran(t, nil, "", "doctor"); !strings.Contains(got.stdout, "warn  server clock: ") {
		t.Errorf("stdout %s; want a warning about the server's clock", got.stdout)
	}
}

// What answers at an executor's address may be anything: it fills no screen, and
// ends.
func TestDoctorHostileExecutor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, strings.Repeat("x", 1<<20)+"\r\n\r\n")
			_ = conn.Close()
		}
	}()
	got := newFakeCluster(t, map[string]answer{
		"/api/v1/stats":                  ok(`{"replicas":["a-1"]}`),
		"/api/v1/apps":                   ok(`{"items":[{"name":"billing"}]}`),
		"/api/v1/apps/billing/executors": executorsAt(l.Addr().String()),
		"/metrics":                       ok(soundMetrics),
	}, build.Version()).ran(t, nil, "", "doctor")
	if !strings.Contains(got.stdout, "does not answer from this machine") || len(got.stdout) > 4000 {
		t.Errorf("%d bytes are written, want few that tell of it: %.300s", len(got.stdout), got.stdout)
	}
}

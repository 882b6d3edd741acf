package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
	"github.com/firjob/firjob/internal/ports"
)

// journal is the one log that memory keeps.
type journal struct {
	mu    sync.Mutex
	pages map[firjob.ExecutionID]ports.LogPage
	asked ports.LogFilter
}

// write adds n lines of the first attempt, whose token is 7, and sets the state.
func (j *journal) write(id firjob.ExecutionID, n int, state firjob.State) {
	j.mu.Lock()
	defer j.mu.Unlock()
	page := j.pages[id]
	for range n {
		at := ports.LogCursor{Token: 7, Line: int64(len(page.Lines) + 1)}
		page.Lines = append(page.Lines, ports.LogEntry{Cursor: at, Attempt: 1,
			LogLine: firjob.LogLine{At: someday, Level: "INFO", Text: fmt.Sprintf("line %d\nof two", at.Line), Attrs: json.RawMessage(`{"n":1}`)}})
	}
	page.State = state
	if j.pages == nil {
		j.pages = map[firjob.ExecutionID]ports.LogPage{}
	}
	j.pages[id] = page
}

func (j *journal) set(id firjob.ExecutionID, change func(*ports.LogPage)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	page := j.pages[id]
	change(&page)
	j.pages[id] = page
}

// Logs does as the store does.
func (m *memory) Logs(ctx context.Context, id firjob.ExecutionID, filter ports.LogFilter) (ports.LogPage, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.log.asked = filter
	page, ok := m.log.pages[id]
	if !ok {
		return page, firjob.Errorf(firjob.CodeNotFound, "there is no execution %v", id)
	}
	all := page.Lines
	page.Lines, page.Next = nil, filter.After
	for _, l := range all {
		if l.Cursor.Token < filter.After.Token || l.Cursor.Token == filter.After.Token && l.Cursor.Line <= filter.After.Line {
			continue
		}
		if page.More = len(page.Lines) == filter.Limit; page.More {
			break
		}
		page.Lines, page.Next = append(page.Lines, l), l.Cursor
	}
	page.Ended = page.State.Final() && !page.More
	return page, ctx.Err()
}

var logged = firjob.Fire(42, someday)

func logPath(rest string) string { return "/api/v1/executions/" + logged.String() + "/logs" + rest }

func TestLogPages(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.log.write(logged, 5, firjob.StateRunning)
	s.store.log.set(logged, func(p *ports.LogPage) { p.Cut = 3 })
	var page struct {
		Items []struct {
			At, Level, Text string
			Attrs           json.RawMessage
			Attempt, Line   int
		}
		Cut           int
		NextPageToken string `json:"next_page_token"`
	}
	s.call("GET", logPath("?page_size=3&attempt=1&level=WARN"), "").want(200).into(&page)
	if len(page.Items) != 3 || page.Cut != 3 || page.NextPageToken != "7-3" {
		t.Fatalf("got %+v, want 3 lines, 3 cut, and more after 7-3", page)
	}
	if l := page.Items[0]; l.At != "2027-01-01T02:03:04.567Z" || l.Level != "INFO" || l.Text != "line 1\nof two" || string(l.Attrs) != `{"n":1}` || l.Attempt != 1 || l.Line != 1 {
		t.Errorf("the first line is %+v", l)
	}
	want := ports.LogFilter{Limit: 3, Attempt: 1, Level: 4, MinLevel: true}
	if diff := cmp.Diff(want, s.store.log.asked); diff != "" {
		t.Errorf("the store was asked for (-want +got):\n%s", diff)
	}
	s.call("GET", logPath("?page_size=3&page_token=7-3"), "").want(200).into(&page)
	if len(page.Items) != 2 || page.NextPageToken != "" {
		t.Errorf("got %+v, want the last 2 lines", page)
	}
}

func TestFaultyLogQueries(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.log.write(logged, 1, firjob.StateRunning)
	tests := map[string]struct {
		query     string
		locations []string
	}{
		"all at once":  {"?page_size=0&attempt=x&level=LOUD&color=1", []string{"query.attempt", "query.color", "query.level", "query.page_size"}},
		"twice":        {"?level=WARN&level=INFO", []string{"query.level"}},
		"page token":   {"?page_token=7-x", []string{"query.page_token"}},
		"since":        {"?follow=1&since=-4-4", []string{"query.since"}},
		"format":       {"?format=html", []string{"query.format"}},
		"text, follow": {"?format=text&follow", []string{"query.format"}},
		"follow":       {"?follow=perhaps", []string{"query.follow"}},
	}
	for name, tt := range tests {
		got := s.call("GET", logPath(tt.query), "").want(422).problem().locations()
		if diff := cmp.Diff(tt.locations, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	s.call("GET", "/api/v1/executions/nonsense/logs", "").want(422)
	s.call("GET", "/api/v1/executions/"+firjob.Fire(1, someday).String()+"/logs?follow=1", "").want(404)
	s.do("GET", logPath("?follow=1"), "").want(401)
}

func TestLogDownload(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.store.log.write(logged, 3, firjob.StateSucceeded)
	s.store.log.set(logged, func(p *ports.LogPage) { p.Cut = 9 })
	got := s.call("GET", logPath("?format=text&page_size=2"), "").want(200)
	want := `… 9 earlier lines are no longer kept
2027-01-01T02:03:04.567Z 1:1 INFO  line 1
of two {"n":1}
2027-01-01T02:03:04.567Z 1:2 INFO  line 2
of two {"n":1}
2027-01-01T02:03:04.567Z 1:3 INFO  line 3
of two {"n":1}
`
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("the text (-want +got):\n%s", diff)
	}
	if got.header.Get("Content-Type") != "text/plain; charset=utf-8" || !strings.Contains(got.header.Get("Content-Disposition"), logged.String()+".log") {
		t.Errorf("headers %v", got.header)
	}
}

// listener is a client of a stream.
type listener struct {
	t      *testing.T
	events *bufio.Scanner
	cancel context.CancelFunc
}

// listen serves the surface on a socket and follows the log.
func (s *surface) listen(server *httptest.Server, query string, headers ...string) *listener {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+logPath(query), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		s.t.Fatalf("got %s of type %s, want a stream", resp.Status, resp.Header.Get("Content-Type"))
	}
	events := bufio.NewScanner(resp.Body)
	events.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := strings.Index(string(data), "\n\n"); i >= 0 {
			return i + 2, data[:i], nil
		}
		return 0, nil, nil
	})
	return &listener{s.t, events, cancel}
}

// next returns the next event, or "" when the stream has ended.
func (l *listener) next() string {
	if !l.events.Scan() {
		return ""
	}
	return l.events.Text()
}

func (l *listener) want(events ...string) {
	l.t.Helper()
	for _, want := range events {
		if got := l.next(); got != want {
			l.t.Fatalf("got the event %q, want %q", got, want)
		}
	}
}

func lineEvent(n int) string {
	return fmt.Sprintf(`id: 7-%d
event: line
data: {"at":"2027-01-01T02:03:04.567Z","level":"INFO","text":"line %d\nof two","attrs":{"n":1},"attempt":1,"line":%d}`, n, n, n)
}

func (s *surface) serve() *httptest.Server {
	server := httptest.NewServer(s.handler)
	s.t.Cleanup(server.Close)
	return server
}

func TestFollow(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	server := s.serve()
	s.store.log.write(logged, 2, firjob.StateRunning)
	l := s.listen(server, "?follow=1")
	l.want("retry: 1000", lineEvent(1), lineEvent(2))
	s.store.log.write(logged, 1, firjob.StateRunning)
	l.want(lineEvent(3))
	s.store.log.set(logged, func(p *ports.LogPage) {
		p.Cut, p.Progress = 2, &firjob.Progress{Percent: 40, Note: "half-way", At: someday}
	})
	l.want("event: cut\ndata: {\"lines\":2}",
		"event: progress\ndata: {\"percent\":40,\"note\":\"half-way\",\"at\":\"2027-01-01T02:03:04.567Z\"}")
	s.store.log.set(logged, func(p *ports.LogPage) { p.State, p.Reason = firjob.StateFailed, "no paper" })
	s.store.log.write(logged, 1, firjob.StateFailed) // the last words come after the end
	l.want(lineEvent(4), "event: end\ndata: {\"state\":\"failed\",\"reason\":\"no paper\"}", "")
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	server := s.serve()
	s.store.log.write(logged, 3, firjob.StateRunning)
	for name, l := range map[string]*listener{
		"header":               s.listen(server, "", "Accept", "text/event-stream", "Last-Event-ID", "7-2"),
		"since":                s.listen(server, "?follow=true&since=7-2"),
		"header, before since": s.listen(server, "?follow=true&since=7-1", "Last-Event-ID", "7-2"),
	} {
		t.Log(name)
		l.want("retry: 1000", lineEvent(3))
	}
}

// A store that is away for a while ends no stream.
func TestFollowBearsAnAbsentStore(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	server := s.serve()
	s.store.log.write(logged, 1, firjob.StateRunning)
	l := s.listen(server, "?follow=1")
	l.want("retry: 1000", lineEvent(1))
	s.store.log.mu.Lock()
	away := s.store.log.pages
	s.store.log.pages = nil
	s.store.log.mu.Unlock()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for asked := false; !asked; <-tick.C { // until it was asked in vain
		s.store.log.mu.Lock()
		asked = s.store.log.asked.After.Line == 1
		s.store.log.mu.Unlock()
	}
	s.store.log.mu.Lock()
	s.store.log.pages = away
	s.store.log.mu.Unlock()
	s.store.log.write(logged, 1, firjob.StateRunning)
	l.want(lineEvent(2))
}

func TestFollowersAreBounded(t *testing.T) {
	t.Parallel()
	s := newSurface(t, func(o *httpapi.Options) { o.Followers = 1 })
	server := s.serve()
	s.store.log.write(logged, 1, firjob.StateRunning)
	first := s.listen(server, "?follow=1")
	first.want("retry: 1000")
	refused := s.call("GET", logPath("?follow=1"), "").want(503)
	if refused.header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come again")
	}
	first.cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for free := false; !free; <-tick.C { // the place is free once the first has gone
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, logPath("?follow=1"), nil)
		r.Header.Set("Authorization", "Bearer "+admin)
		s.handler.ServeHTTP(w, r)
		free = !strings.Contains(w.Body.String(), "streams 1 logs already")
	}
}

func TestStoppingEndsStreams(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	s := newSurface(t, func(o *httpapi.Options) { o.Stopping = stopping })
	server := s.serve()
	s.store.log.write(logged, 1, firjob.StateRunning)
	l := s.listen(server, "?follow=1")
	l.want("retry: 1000", lineEvent(1))
	close(stopping)
	l.want(": this server is stopping; connect again", "")
}

// A server that stops does not wait for the end of a long log.
func TestStoppingEndsStreamsOfLongLogs(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	close(stopping)
	s := newSurface(t, func(o *httpapi.Options) { o.Stopping = stopping })
	s.store.log.write(logged, 1000, firjob.StateRunning)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, logPath("?follow=1&page_size=1"), nil)
	r.Header.Set("Authorization", "Bearer "+admin)
	s.handler.ServeHTTP(w, r)
	if n := strings.Count(w.Body.String(), "event: line"); n > 100 || !strings.HasSuffix(w.Body.String(), ": this server is stopping; connect again\n\n") {
		t.Errorf("%d lines of 1000 were sent after the server began to stop", n)
	}
}

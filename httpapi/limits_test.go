package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// The parts of memory that belong to limits and queues.

func (m *memory) App(_ context.Context, name string) (firjob.App, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return firjob.App{}, m.down
	}
	if app, ok := m.limited[name]; ok {
		return app, nil
	}
	if m.apps[name] == nil {
		return firjob.App{}, firjob.Errorf(firjob.CodeNotFound, "there is no app %q", name)
	}
	return firjob.App{Name: name, CreatedAt: someday, Version: 1}, nil
}

func (m *memory) UpdateApp(ctx context.Context, name string, change func(*firjob.App) error) (firjob.App, error) {
	app, err := m.App(ctx, name)
	if err != nil {
		return app, err
	}
	if err := change(&app); err != nil {
		return firjob.App{}, err
	}
	app.Version++
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limited = map[string]firjob.App{name: app}
	return app, nil
}

func (m *memory) Queue(ctx context.Context, f ports.QueueFilter) ([]ports.Waiter, map[ports.Why]int, error) {
	if _, err := m.App(ctx, f.App); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = f
	var counts map[ports.Why]int
	for _, w := range m.waiters {
		counts = map[ports.Why]int{w.Why: len(m.waiters)}
	}
	return m.waiters, counts, nil
}

func TestLimitsOfAnApp(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	got := s.call(http.MethodGet, "/api/v1/apps/billing", "")
	got.want(http.StatusOK)
	if got.header.Get("ETag") != `"1"` {
		t.Errorf("ETag: got %s, want \"1\"", got.header.Get("ETag"))
	}
	for _, c := range []struct{ body, want string }{
		{`{"max_running":10}`, `"max_running":10,"max_per_second":0,"version":2`},
		{`{"max_per_second":2.5}`, `"max_running":10,"max_per_second":2.5,"version":3`},
		{`{}`, `"max_running":10,"max_per_second":2.5,"version":4`},
		{`{"max_running":null}`, `"max_running":0,"max_per_second":2.5,"version":5`},
		{`{"max_per_second":1e6,"max_running":100000}`, `"max_running":100000,"max_per_second":1000000,"version":6`},
	} {
		r := s.call(http.MethodPatch, "/api/v1/apps/billing", c.body)
		r.want(http.StatusOK)
		if !strings.Contains(r.body, c.want) {
			t.Errorf("after %s: got %s, want %s in it", c.body, r.body, c.want)
		}
	}
	if r := s.call(http.MethodGet, "/api/v1/apps/billing", ""); !strings.Contains(r.body, `"max_running":100000`) {
		t.Errorf("read again: got %s", r.body)
	}
	s.call(http.MethodGet, "/api/v1/apps/nobody", "").want(http.StatusNotFound)
	s.call(http.MethodPatch, "/api/v1/apps/nobody", `{}`).want(http.StatusNotFound)
}

func TestFaultyLimits(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"max_running":-1,"max_per_second":1e7}`:          {"body.max_running", "must be 0 to 100000", "body.max_per_second", "must be 0 (no limit) to 1000000"},
		`{"max_running":100001}`:                           {"body.max_running", "100001"},
		`{"max_running":"many","max_per_second":-0.5}`:     {"body.max_running", "want an integer, got a string", "body.max_per_second", "-0.5"},
		`{"max_running":1.5}`:                              {"body.max_running", "must be a whole number"},
		`{"maxRunning":1,"max_per_second":5,"rate":"1/s"}`: {"body.maxRunning", "body.rate", "is not a known field"},
		`[]`: {"body"},
	} {
		s := newSurface(t)
		r := s.call(http.MethodPatch, "/api/v1/apps/billing", body)
		r.want(http.StatusUnprocessableEntity)
		for _, part := range want {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s: got %s, want %q in it", body, r.body, part)
			}
		}
		if r := s.call(http.MethodGet, "/api/v1/apps/billing", ""); !strings.Contains(r.body, `"version":1`) {
			t.Errorf("%s: something was stored: %s", body, r.body)
		}
	}
}

func TestLimitsNeedAMatch(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	s.call(http.MethodPatch, "/api/v1/apps/billing", `{"max_running":1}`, "If-Match", "").want(http.StatusPreconditionRequired)
	s.call(http.MethodPatch, "/api/v1/apps/billing", `{"max_running":1}`, "If-Match", `"7"`).want(http.StatusPreconditionFailed)
	s.call(http.MethodPatch, "/api/v1/apps/billing", `{"max_running":1}`, "If-Match", `"1"`).want(http.StatusOK)
}

func TestQueueOfAnApp(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	empty := s.call(http.MethodGet, "/api/v1/apps/billing/queue", "")
	empty.want(http.StatusOK)
	if diff := cmp.Diff(`{"items":[],"counts":{}}`, strings.TrimSpace(empty.body)); diff != "" {
		t.Errorf("nobody waits (-want +got):\n%s", diff)
	}
	s.store.waiters = []ports.Waiter{{
		Execution: firjob.Execution{ID: firjob.Fire(7, someday), JobID: 7, App: "billing", State: firjob.StatePlanned, Waiting: true,
			Reason: "waits for a place in app billing (max_running 10)", ScheduledAt: someday},
		Since: someday.Add(time.Second), Why: ports.WhyAppLimit,
	}}
	r := s.call(http.MethodGet, "/api/v1/apps/billing/queue?why=app_running&page_size=3", "")
	r.want(http.StatusOK)
	for _, part := range []string{`"why":"app_running"`, `"since":"` + someday.Add(time.Second).UTC().Format("2006-01-02T15:04:05.000Z"),
		`"state":"planned"`, `"reason":"waits for a place in app billing (max_running 10)"`, `"counts":{"app_running":1}`} {
		if !strings.Contains(r.body, part) {
			t.Errorf("got %s, want %s in it", r.body, part)
		}
	}
	if want := (ports.QueueFilter{App: "billing", Why: ports.WhyAppLimit, PageSize: 3}); s.store.waiting != want {
		t.Errorf("asked the store for %+v, want %+v", s.store.waiting, want)
	}
	s.call(http.MethodGet, "/api/v1/apps/nobody/queue", "").want(http.StatusNotFound)
	s.call(http.MethodGet, "/api/v1/apps/billing/queue?why=hunger", "").want(http.StatusUnprocessableEntity)
	s.call(http.MethodGet, "/api/v1/apps/billing/queue?page_size=501", "").want(http.StatusUnprocessableEntity)
}

package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
)

func TestAdminToken(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for name, header := range map[string]string{"missing": "", "wrong": "Bearer " + admin + "x", "another scheme": "Basic " + admin,
		"empty": "Bearer ", "bare": admin} {
		for _, path := range []string{"/api/v1/jobs", "/metrics"} {
			r := s.do("GET", path, "", "Authorization", header)
			if p := r.want(http.StatusUnauthorized).problem(); p.Code != firjob.CodeUnauthorized {
				t.Errorf("%s: got code %s", name, p.Code)
			}
			if got := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
				t.Errorf("%s: WWW-Authenticate is %q", name, got)
			}
		}
	}
	none := s.do("GET", "/api/v1/jobs", "").want(http.StatusUnauthorized).problem()
	wrong := s.do("GET", "/api/v1/jobs", "", "Authorization", "Bearer guess").want(http.StatusUnauthorized)
	if got := wrong.problem().Detail; got != "the token is not the server's" || got == none.Detail || strings.Contains(wrong.body, "guess") {
		t.Errorf("a wrong token is told %q, none at all %q", got, none.Detail)
	}
	s.do("GET", "/api/v1/jobs", "", "Authorization", "bearer "+admin).want(http.StatusOK)
	s.call("GET", "/metrics", "").want(http.StatusOK)
	for _, path := range []string{"/livez", "/readyz", "/version", "/docs", "/openapi.json"} {
		s.do("GET", path, "").want(http.StatusOK)
		s.do("HEAD", path, "").want(http.StatusOK)
	}
	if strings.Contains(s.log.String(), admin) {
		t.Error("the log holds the token")
	}
}

func TestOpenSurface(t *testing.T) {
	t.Parallel()
	s := newSurface(t, func(o *httpapi.Options) { o.AdminToken = "" })
	s.do("GET", "/api/v1/jobs", "").want(http.StatusOK)
	s.do("GET", "/metrics", "").want(http.StatusOK)
	s = newSurface(t, func(o *httpapi.Options) { o.OpenMetrics = true })
	s.do("GET", "/metrics", "").want(http.StatusOK)
	s.do("GET", "/api/v1/jobs", "").want(http.StatusUnauthorized)
}

func TestAPageOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	s := newSurface(t, func(o *httpapi.Options) { o.AdminToken = "" })
	p := s.do("POST", "/api/v1/apps", `{"name":"evil"}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example").
		want(http.StatusForbidden).problem()
	if p.Code != firjob.CodeForbidden || s.store.stored() != "1 apps, 0 jobs, 0 executions" {
		t.Errorf("got %+v, the store holds %s", p, s.store.stored())
	}
}

func TestExecutorCredentials(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	beat := func(user, password, app string) reply {
		r := httptest.NewRequest("POST", firjob.PathHeartbeat, strings.NewReader(
			`{"app":"`+app+`","address":"10.0.0.7:9999","incarnation":"a","capacity":1}`))
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return reply{t, w.Code, w.Header(), w.Body.String()}
	}
	for _, c := range [][2]string{{"", ""}, {"billing", "wrong"}, {"billing", ""}, {"nobody", secret}, {"nobody", ""}} {
		r := beat(c[0], c[1], "billing").want(http.StatusUnauthorized)
		if r.problem(); !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%v: got headers %v", c, r.header)
		}
	}
	beat("billing", secret, "billing").want(http.StatusOK)
	if p := beat("billing", secret, "other").want(http.StatusForbidden).problem(); p.Code != firjob.CodeForbidden {
		t.Errorf("got %+v", p)
	}
	if len(s.scheduler.made) != 1 || strings.Contains(s.log.String(), secret) {
		t.Errorf("the scheduler was asked %v; log: %s", s.scheduler.made, s.log)
	}
}

// While the store is out of reach, credentials that were seen good stay good,
// for an hour; others cannot be checked. A changed secret counts within 30 s.
func TestExecutorCredentialsAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurface(t)
		beat := func(status int) {
			t.Helper()
			s.wire(firjob.PathHeartbeat, `{"app":"billing","address":"10.0.0.7:9999","incarnation":"a","capacity":1}`).want(status)
		}
		down := errors.New("Postgres is down")
		s.store.fail(down)
		beat(http.StatusInternalServerError)
		s.store.fail(nil)
		beat(http.StatusOK)
		s.store.fail(down)
		time.Sleep(59 * time.Minute)
		beat(http.StatusOK)
		time.Sleep(time.Minute)
		beat(http.StatusInternalServerError)
		s.store.fail(nil)
		beat(http.StatusOK)
		s.store.apps["billing"] = firjob.AuthHash("another")
		time.Sleep(29 * time.Second)
		beat(http.StatusOK)
		time.Sleep(time.Second)
		beat(http.StatusUnauthorized)
	})
}

func TestRequestsAreMeasuredByRoute(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := newSurface(t, func(o *httpapi.Options) { o.Metrics = registry })
	s.call("GET", "/api/v1/jobs/7", "").want(http.StatusNotFound)
	s.call("GET", "/guess", "").want(http.StatusNotFound)
	s.call("BREW", "/api/v1/jobs", "").want(http.StatusMethodNotAllowed)
	text := s.call("GET", "/metrics", "").want(http.StatusOK).body
	for _, want := range []string{
		`firjob_http_request_duration_seconds_count{class="4xx",method="GET",route="/api/v1/jobs/{id}"} 1`,
		`firjob_http_request_duration_seconds_count{class="4xx",method="GET",route="unmatched"} 1`,
		`firjob_http_request_duration_seconds_count{class="4xx",method="other",route=`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics have no line %s", want)
		}
	}
}

// A stream lasts as long as its reader likes, which says nothing of the server.
func TestStreamsAreNotMeasured(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := newSurface(t, func(o *httpapi.Options) { o.Metrics = registry })
	s.store.log.write(logged, 1, firjob.StateSucceeded)
	l := s.listen(s.serve(), "?follow=1")
	for l.next() != "" { // to its end
	}
	s.call("GET", "/api/v1/executions/"+logged.String()+"/logs", "").want(http.StatusOK)
	text := s.call("GET", "/metrics", "").want(http.StatusOK).body
	if want := `firjob_http_request_duration_seconds_count{class="2xx",method="GET",route="/api/v1/executions/{id}/logs"} 1`; !strings.Contains(text, want) {
		t.Errorf("of a stream and a page, the metrics have no line %s:\n%s", want, text)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newSurface(t)
	for given, kept := range map[string]bool{"": false, "a-b_c.9": true, "a b": false, "a\"b": false, strings.Repeat("a", 65): false} {
		got := s.do("GET", "/livez", "", "X-Request-Id", given).header.Get("X-Request-Id")
		if got == "" || kept != (got == given) {
			t.Errorf("given %q, got %q", given, got)
		}
	}
}

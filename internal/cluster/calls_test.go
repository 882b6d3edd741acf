package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// loopbackAllowed lets HTTP jobs reach what a test listens at.
func loopbackAllowed() []string { return []string{"FIRJOB_EGRESS_ALLOW=127.0.0.0/8"} }

// callee takes the requests of an HTTP job.
type callee struct {
	*httptest.Server
	requests chan *http.Request // with the body read
	answer   func(w http.ResponseWriter, r *http.Request)
}

func (s *stage) newCallee(answer func(w http.ResponseWriter, r *http.Request)) *callee {
	s.t.Helper()
	c := &callee{requests: make(chan *http.Request, 100), answer: answer}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the client would go unnoticed
		c.requests <- r
		c.answer(w, r)
	}))
	s.t.Cleanup(c.Close)
	return c
}

func (c *callee) next(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-c.requests:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no request came within 30 s")
		return nil
	}
}

// httpJob makes a job that calls c and triggers it.
func (s *stage) httpJob(c *callee, name string, more map[string]any) firjob.Execution {
	s.t.Helper()
	body := map[string]any{"app": cluster.App, "name": name, "params": map[string]string{"region": "eu west"},
		"schedule": map[string]any{"kind": "manual"},
		"http":     map[string]any{"url": c.URL + "/run/${params.region}", "body": `{"id": ${id}}`, "timeout": "1m"}}
	for key, value := range more {
		body[key] = value
	}
	job := s.create(body)
	var e firjob.Execution
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
	return e
}

func TestHTTPJobs(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1, ServerEnv: loopbackAllowed()})
	first := true
	c := s.newCallee(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"rows": 3}`)
	})
	e := s.httpJob(c, "call", map[string]any{"retry": map[string]any{"max_attempts": 2, "backoff": "1ms"}})
	one := c.next(t)
	refused := time.Now()
	two := c.next(t)
	if waited := time.Since(refused); waited < 900*time.Millisecond {
		t.Errorf("the second request came %v after the first, want the 1 s that the answer asked for", waited)
	}
	if one.RequestURI != "/run/eu%20west" || one.Header.Get("Idempotency-Key") != e.ID.String() || one.Header.Get("Firjob-Attempt") != "1" ||
		two.Header.Get("Idempotency-Key") != e.ID.String() || two.Header.Get("Firjob-Attempt") != "2" {
		t.Errorf("got the requests %s %v and %s %v", one.RequestURI, one.Header, two.RequestURI, two.Header)
	}
	s.until(10*time.Second, "the execution has succeeded", func() bool { return s.execution(e.ID).State == firjob.StateSucceeded })
	e = s.execution(e.ID)
	var result struct {
		Status int
		Body   struct{ Rows int }
	}
	if err := json.Unmarshal(e.Result, &result); err != nil || result.Status != 200 || result.Body.Rows != 3 {
		t.Errorf("the result is %s, %v", e.Result, err)
	}
	if len(e.Attempts) != 2 || e.Executor != "server" || e.Attempts[0].Outcome != firjob.OutcomeFailed {
		t.Errorf("executor %q, attempts %+v; want a failed one and a good one by the server", e.Executor, e.Attempts)
	}
}

func TestHTTPCallsCanBeCancelled(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1, ServerEnv: loopbackAllowed()})
	c := s.newCallee(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	e := s.httpJob(c, "call", nil)
	r := c.next(t)
	s.mustCall(http.StatusOK, http.MethodPost, "/api/v1/executions/"+e.ID.String()+"/cancel", nil, nil)
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
		t.Error("the request was not broken off within 10 s")
	}
	s.until(10*time.Second, "the execution is cancelled", func() bool { return s.execution(e.ID).State == firjob.StateCancelled })
}

// Without an entry in FIRJOB_EGRESS_ALLOW nothing on the machine is reached.
func TestHTTPJobsReachNothingPrivate(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 1, Workers: 1})
	c := s.newCallee(func(http.ResponseWriter, *http.Request) {})
	e := s.httpJob(c, "call", nil)
	s.until(10*time.Second, "the execution has failed", func() bool { return s.execution(e.ID).State == firjob.StateFailed })
	t.Log(s.execution(e.ID).Reason)
	if len(c.requests) != 0 {
		t.Error("the request arrived")
	}
}

// The call of a server that was killed is made again by another one, with the
// same idempotency key and a higher token.
func TestSurvivesAServerThatDiesInACall(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1, ServerEnv: loopbackAllowed()})
	first := true
	c := s.newCallee(func(_ http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			<-r.Context().Done()
		}
	})
	e := s.httpJob(c, "call", nil)
	one := c.next(t)
	must(t, s.Servers[0].Kill())
	select {
	case <-one.Context().Done():
	case <-time.After(time.Second): // it was the other one's call
		must(t, s.Servers[0].Start())
		s.until(20*time.Second, "the first server is back", func() bool {
			resp, err := s.http.Get("http://" + s.Servers[0].Addr + "/readyz")
			if err != nil {
				return false
			}
			return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
		})
		must(t, s.Servers[1].Kill())
	}
	killed := time.Now()
	two := c.next(t)
	t.Logf("made again after %v", time.Since(killed))
	if two.Header.Get("Idempotency-Key") != e.ID.String() || two.Header.Get("Firjob-Token") == one.Header.Get("Firjob-Token") {
		t.Errorf("headers %v after %v; want the same key and another token", two.Header, one.Header)
	}
	s.until(10*time.Second, "the execution has succeeded", func() bool { return s.execution(e.ID).State == firjob.StateSucceeded })
	if a := s.execution(e.ID).Attempts; len(a) != 2 || a[0].Outcome != firjob.OutcomeLost {
		t.Errorf("attempts %+v, want a lost one and a good one", a)
	}
}

// callsUnderWay makes n HTTP jobs and returns their executions once each has made its
// request, which is answered after that long.
func (s *stage) callsUnderWay(n int, takes time.Duration) (c *callee, all []firjob.Execution) {
	s.t.Helper()
	c = s.newCallee(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(takes):
		case <-r.Context().Done():
		}
	})
	for i := range n {
		all = append(all, s.httpJob(c, fmt.Sprintf("call-%d", i), nil))
	}
	for range all {
		c.next(s.t)
	}
	return c, all
}

// wantMadeOnce waits until calls have ended, each by its only request.
func (s *stage) wantMadeOnce(c *callee, all []firjob.Execution) {
	s.t.Helper()
	for _, e := range all {
		s.until(30*time.Second, "the execution has ended", func() bool { return s.execution(e.ID).State.Final() })
		if e = s.execution(e.ID); e.State != firjob.StateSucceeded || len(e.Attempts) != 1 {
			s.t.Errorf("%s is %s after the attempts %+v, want one that succeeded", e.ID, e.State, e.Attempts)
		}
	}
	if n := len(c.requests); n > 0 {
		s.t.Errorf("%d calls were made again", n)
	}
}

// A server that stops waits for the answers to its calls. It lives meanwhile, so
// nobody makes them again.
func TestAServerThatStopsFinishesItsCalls(t *testing.T) {
	const jobs, takes = 8, 6 * time.Second // as long as it may wait, and longer than the silence of one that died
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1, ServerEnv: loopbackAllowed()})
	c, all := s.callsUnderWay(jobs, takes)
	must(t, s.Servers[1].Stop(t.Context()))
	s.wantMadeOnce(c, all)
}

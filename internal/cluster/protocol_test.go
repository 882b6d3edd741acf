package cluster_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
)

// fakeExecutor is an executor that the test plays by hand, over the wire.
type fakeExecutor struct {
	s        *stage
	app      string
	secret   string
	server   *httptest.Server
	beat     firjob.Beat
	triggers chan firjob.Trigger
}

// newFakeExecutor makes an app and listens. It registers with the first beat.
func (s *stage) newFakeExecutor(app string) *fakeExecutor {
	s.t.Helper()
	x := &fakeExecutor{s: s, app: app, secret: cluster.Secret(), triggers: make(chan firjob.Trigger, 100)}
	s.mustCall(http.StatusCreated, http.MethodPost, "/api/v1/apps", map[string]string{"name": app, "secret": x.secret}, nil)
	x.server = httptest.NewServer(http.HandlerFunc(x.serve))
	s.t.Cleanup(x.server.Close)
	x.beat = firjob.Beat{Executor: firjob.Executor{App: app, Address: x.server.Listener.Addr().String(), Incarnation: "one",
		Capacity: 10, State: firjob.ExecutorActive, StartedAt: time.Now()}}
	return x
}

func (x *fakeExecutor) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = firjob.VerifySignature(r.Header, firjob.SigningKey(x.secret), time.Now(), body)
	}
	if err != nil {
		x.s.t.Errorf("%s: %v", r.URL.Path, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	reply := firjob.TriggerReply{Incarnation: "one"}
	if r.URL.Path == firjob.PathTrigger {
		var batch firjob.TriggerBatch
		if err := json.Unmarshal(body, &batch); err != nil {
			x.s.t.Errorf("the trigger batch cannot be read: %v", err)
		}
		for _, t := range batch.Triggers {
			reply.Results = append(reply.Results, firjob.Accepted)
			x.triggers <- t
		}
	}
	_ = json.NewEncoder(w).Encode(reply)
}

// call speaks to the server as the executor.
func (x *fakeExecutor) call(path string, body, reply any) int {
	x.s.t.Helper()
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(x.app+":"+x.secret))
	return x.s.callAt(x.s.URL(), http.MethodPost, path, auth, body, reply)
}

func (x *fakeExecutor) sendBeat(holding ...firjob.AttemptRef) (reply firjob.BeatReply) {
	x.s.t.Helper()
	x.beat.Holding = holding
	if status := x.call(firjob.PathHeartbeat, x.beat, &reply); status != http.StatusOK {
		x.s.t.Fatalf("beat: status %d", status)
	}
	return reply
}

func (x *fakeExecutor) next() firjob.Trigger {
	x.s.t.Helper()
	select {
	case t := <-x.triggers:
		return t
	case <-time.After(20 * time.Second):
		x.s.t.Fatal("no trigger came within 20 s")
		return firjob.Trigger{}
	}
}

func (x *fakeExecutor) callback(ref firjob.AttemptRef, outcome firjob.Outcome) int {
	x.s.t.Helper()
	now := time.Now()
	return x.call(firjob.PathCallback, firjob.Callback{App: x.app, Address: x.beat.Address, Incarnation: "one",
		Results: []firjob.Result{{ID: ref.ID, Token: ref.Token, Outcome: outcome, StartedAt: now, FinishedAt: now}}}, nil)
}

func (s *stage) execution(id firjob.ExecutionID) (e firjob.Execution) {
	s.t.Helper()
	s.mustCall(http.StatusOK, http.MethodGet, "/api/v1/executions/"+id.String(), nil, &e)
	return e
}

func ref(t firjob.Trigger) firjob.AttemptRef { return firjob.AttemptRef{ID: t.ID, Token: t.Token} }

func TestDuplicateLateAndForeignCallbacks(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	x := s.newFakeExecutor("by-hand")
	x.sendBeat()
	job := s.create(map[string]any{"app": "by-hand", "name": "job", "handler": "any", "schedule": map[string]any{"kind": "manual"}})
	trigger := func() firjob.Trigger {
		s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, nil)
		x.sendBeat()
		return x.next()
	}

	first := trigger()
	wrong := firjob.AttemptRef{ID: first.ID, Token: first.Token + 1000}
	if status := x.callback(wrong, firjob.OutcomeSucceeded); status != http.StatusConflict {
		t.Errorf("a callback with a token that was never given: status %d, want 409", status)
	}
	if e := s.execution(first.ID); e.State != firjob.StateRunning {
		t.Errorf("after it the execution is %s, want still running", e.State)
	}
	for range 2 {
		if status := x.callback(ref(first), firjob.OutcomeSucceeded); status != http.StatusOK {
			t.Errorf("a success, and the same again: status %d, want 200", status)
		}
	}
	if status := x.callback(ref(first), firjob.OutcomeFailed); status != http.StatusConflict {
		t.Errorf("a failure after the success was recorded: status %d, want 409", status)
	}
	if e := s.execution(first.ID); e.State != firjob.StateSucceeded || e.Attempt != 1 {
		t.Errorf("the execution is %s after %d attempts, want succeeded after 1", e.State, e.Attempt)
	}

	// The executor is silent and nobody listens: its attempt is lost. It comes
	// back, gets the execution again with a higher token, and then remembers the
	// old attempt.
	second := trigger()
	x.sendBeat(ref(second))
	x.server.Close()
	s.until(15*time.Second, "the attempt is lost", func() bool {
		return slices.ContainsFunc(s.execution(second.ID).Attempts, func(a firjob.Attempt) bool { return a.Outcome == firjob.OutcomeLost })
	})
	x.server = httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(x.server.Close)
	x.beat.Address, x.beat.StartedAt = x.server.Listener.Addr().String(), time.Now()
	x.sendBeat()
	again := x.next()
	if again.ID != second.ID || again.Token <= second.Token || again.Attempt != 2 {
		t.Fatalf("the execution came again as %+v, want attempt 2 of %s with a token above %d", again, second.ID, second.Token)
	}
	if status := x.callback(ref(second), firjob.OutcomeSucceeded); status != http.StatusConflict {
		t.Errorf("a callback with the old token: status %d, want 409", status)
	}
	if e := s.execution(second.ID); e.State != firjob.StateRunning || e.Token != again.Token {
		t.Errorf("after it the execution is %s with token %d, want running with %d", e.State, e.Token, again.Token)
	}
	if reply := x.sendBeat(ref(second), ref(again)); len(reply.Stale) != 1 || reply.Stale[0] != ref(second) {
		t.Errorf("a beat that names the old attempt and the new one is told that %v are stale, want only the old one", reply.Stale)
	}
	if status := x.callback(ref(again), firjob.OutcomeSucceeded); status != http.StatusOK {
		t.Errorf("a callback with the new token: status %d, want 200", status)
	}
}

func TestACancelReachesTheExecutor(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	job := s.create(map[string]any{"app": cluster.App, "name": "long", "handler": "sleep", "params": map[string]string{"for": "1h"},
		"schedule": map[string]any{"kind": "manual"}})
	var e firjob.Execution
	s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
	s.until(10*time.Second, "the handler has started", func() bool { return len(s.starts()[e.ID]) == 1 })
	s.mustCall(http.StatusOK, http.MethodPost, "/api/v1/executions/"+e.ID.String()+"/cancel", nil, nil)
	s.until(5*time.Second, "the execution is cancelled", func() bool { return s.execution(e.ID).State == firjob.StateCancelled })
}

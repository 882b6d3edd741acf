package dispatch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/scheduler/dispatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key     = firjob.SigningKey("a secret of more than thirty-two characters")
	trigger = firjob.Trigger{ID: firjob.Fire(7, time.Now()), JobID: 7, Handler: "h", Attempt: 1, Token: 3}
)

func newSender(t *testing.T) *dispatch.Sender {
	t.Helper()
	s := dispatch.New(dispatch.Options{Timeout: 500 * time.Millisecond})
	t.Cleanup(s.Close)
	return s
}

// listen serves h and returns it as an executor.
func listen(t *testing.T, h http.HandlerFunc) firjob.Executor {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return executorAt(server.Listener.Addr().String())
}

func executorAt(address string) firjob.Executor {
	return firjob.Executor{App: "app", Address: address, Incarnation: "one"}
}

// closedAddr is an address at which nobody listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func refused(err error) bool { return errors.As(err, new(*ports.Refused)) }

func TestSendCarriesASignedBatch(t *testing.T) {
	t.Parallel()
	sentAt := time.Now()
	executor := listen(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := firjob.VerifySignature(r.Header, key, time.Now(), body); err != nil {
			t.Errorf("the signature: %v", err)
		}
		if got := r.Header.Get(firjob.HeaderIncarnation); got != "one" {
			t.Errorf("the request is for incarnation %q, want %q", got, "one")
		}
		var batch firjob.TriggerBatch
		if err := json.Unmarshal(body, &batch); err != nil || batch.App != "app" || !batch.SentAt.Equal(sentAt) || len(batch.Triggers) != 2 {
			t.Errorf("the batch is %s (%v)", body, err)
		}
		_ = json.NewEncoder(w).Encode(firjob.TriggerReply{Incarnation: "one", Results: []firjob.Acceptance{firjob.Accepted, firjob.RefusedFull}})
	})
	got, err := newSender(t).Send(t.Context(), executor, key, sentAt, []firjob.Trigger{trigger, trigger})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]firjob.Acceptance{firjob.Accepted, firjob.RefusedFull}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// Only what certainly did not reach a handler may be called a refusal.
func TestRefusedOrUnknown(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		refused bool
	}{
		"another process":    {status(http.StatusMisdirectedRequest), true},
		"bad signature":      {status(http.StatusUnauthorized), true},
		"no such path":       {status(http.StatusNotFound), true},
		"too large":          {status(http.StatusRequestEntityTooLarge), true},
		"unavailable":        {status(http.StatusServiceUnavailable), true},
		"internal error":     {status(http.StatusInternalServerError), false},
		"bad gateway":        {status(http.StatusBadGateway), false},
		"redirect":           {http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, false},
		"answer is not JSON": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }, false},
		"an unknown answer": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"incarnation":"one","results":["maybe"]}`)
		}, false},
		"another incarnation": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"incarnation":"two","results":["accepted"]}`)
		}, false},
		"too few answers":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"results":[]}`) }, false},
		"connection cut":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"no answer in time":     {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, false},
		"an endless bad answer": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 2<<20)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, to, at := newSender(t), listen(t, c.handler), time.Now()
			answers, err := s.Send(t.Context(), to, key, at, []firjob.Trigger{trigger})
			if err == nil {
				t.Fatalf("Send answered %v, want an error", answers)
			}
			if refused(err) != c.refused {
				t.Errorf("Send = %v; refused %v, want %v", err, refused(err), c.refused)
			}
			if !strings.Contains(err.Error(), to.Address) {
				t.Errorf("Send = %v, which does not name the executor at %s", err, to.Address)
			}
			known := s.Contact(to.Key())
			if !strings.HasPrefix(err.Error(), known.LastError) || known.LastError == "" || !known.LastErrorAt.Equal(at) {
				t.Errorf("the latest failure is %+v, want that of %v: %v", known, at, err)
			}
		})
	}
}

func TestNobodyListensIsARefusal(t *testing.T) {
	t.Parallel()
	_, err := newSender(t).Send(t.Context(), executorAt(closedAddr(t)), key, time.Now(), []firjob.Trigger{trigger})
	if !refused(err) {
		t.Errorf("Send to a closed port = %v, want a refusal", err)
	}
}

func TestBreakerOpensAndIsNewForANewProcess(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	executor := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	s := newSender(t)
	for range 10 {
		_, _ = s.Send(t.Context(), executor, key, time.Now(), []firjob.Trigger{trigger})
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("an executor that always fails got %d of 10 requests, want 3 before the breaker opened", n)
	}
	if s.Ready(executor) {
		t.Error("the executor counts as ready behind an open breaker")
	}
	_, err := s.Send(t.Context(), executor, key, time.Now(), []firjob.Trigger{trigger})
	if !refused(err) || !strings.Contains(err.Error(), "status 500") {
		t.Errorf("Send behind an open breaker = %v, want a refusal that says why it is open", err)
	}
	reborn := executor
	reborn.Incarnation = "two"
	if !s.Ready(reborn) {
		t.Error("a new process at the address is held back by the old one's breaker")
	}
}

// While an executor fails, its breaker counts as open in the list, also when it lets
// one request try again. One success closes it; the last error stays known.
func TestABreakerIsOpenUntilARequestSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t)
		to := executorAt("127.0.0.1:1")
		s.Break(to.Key())
		open := []bool{s.Contact(to.Key()).BreakerOpen, s.Ready(to)}
		time.Sleep(dispatch.RetryAfter)
		open = append(open, s.Contact(to.Key()).BreakerOpen, s.Ready(to))
		s.Mend(to.Key())
		open = append(open, s.Contact(to.Key()).BreakerOpen, s.Ready(to))
		if want := []bool{true, false, true, true, false, true}; !slices.Equal(open, want) {
			t.Errorf("breaker open, ready: when it trips, when it may try again, after a success: %v, want %v", open, want)
		}
		if s.Contact(to.Key()).LastError == "" {
			t.Error("the last error is forgotten after a success")
		}
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	says := func(incarnation string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := firjob.VerifySignature(r.Header, key, time.Now(), nil); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(firjob.Ping{App: "app", Incarnation: incarnation})
		}
	}
	fails := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	for name, c := range map[string]struct {
		executor    firjob.Executor
		alive, gone bool
	}{
		"the same process":        {listen(t, says("one")), true, false},
		"another process":         {listen(t, says("two")), false, true},
		"nobody":                  {executorAt(closedAddr(t)), false, true},
		"a process that fails us": {listen(t, fails), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := newSender(t).Probe(t.Context(), c.executor, key, time.Now())
			if (err == nil) != c.alive || refused(err) != c.gone {
				t.Errorf("Probe = %v; want alive %v, gone %v", err, c.alive, c.gone)
			}
		})
	}
}

// An executor that does not say what it holds must not pass for one that holds
// nothing.
func TestHolding(t *testing.T) {
	t.Parallel()
	says := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !r.URL.Query().Has("holding") {
				body = "{}"
			}
			_, _ = io.WriteString(w, body)
		}
	}
	holds := []firjob.AttemptRef{{ID: trigger.ID, Token: 3}}
	for name, c := range map[string]struct {
		executor  firjob.Executor
		want      []firjob.AttemptRef
		err, gone bool
	}{
		"one attempt":       {listen(t, says(`{"app":"app","incarnation":"one","holding":[{"id":"`+trigger.ID.String()+`","token":3}]}`)), holds, false, false},
		"nothing":           {listen(t, says(`{"app":"app","incarnation":"one","holding":[]}`)), nil, false, false},
		"it does not say":   {listen(t, says(`{"app":"app","incarnation":"one"}`)), nil, true, false},
		"another process":   {listen(t, says(`{"app":"app","incarnation":"two","holding":[]}`)), nil, true, true},
		"nobody":            {executorAt(closedAddr(t)), nil, true, true},
		"half of an answer": {listen(t, says(`{"app":"app","incarnation":"one","holding":[`)), nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newSender(t).Holding(t.Context(), c.executor, key, time.Now())
			if !slices.Equal(got, c.want) || (err != nil) != c.err || refused(err) != c.gone {
				t.Errorf("Holding = %v, %v; want %v, an error %v, gone %v", got, err, c.want, c.err, c.gone)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	want := firjob.CancelBatch{Attempts: []firjob.AttemptRef{{ID: trigger.ID, Token: 3}}}
	var got firjob.CancelBatch
	executor := listen(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		w.WriteHeader(http.StatusNoContent)
	})
	if err := newSender(t).Cancel(t.Context(), executor, key, time.Now(), want.Attempts); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the executor was asked (-want +got):\n%s", diff)
	}
}

package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/scheduler/outbound"
)

// callLine is a line whose HTTP calls and store are played by the test.
type callLine struct {
	*line
	mu      sync.Mutex
	do      func(ctx context.Context, r outbound.Request) (outbound.Response, error)
	heldSay func() (heldAnswer, error)
	held    []ports.Held
	asked   int // requests
	results []firjob.Result
	by      []firjob.ExecutorKey
	down    int // how many times Finish still fails
}

func newCallLine(t *testing.T, do func(ctx context.Context, r outbound.Request) (outbound.Response, error)) *callLine {
	l := &callLine{line: newLine(t), do: do, heldSay: func() (heldAnswer, error) { return heldCurrent, nil }}
	l.sending.calls = &calls{caller: l, slots: newCallSlots(4, 2), replica: "r1", lease: 10 * time.Second, clock: l.clock,
		hold: l.holdAttempts, finish: l.record, lose: l.lose, log: slog.New(slog.DiscardHandler)}
	return l
}

func (l *callLine) Do(ctx context.Context, r outbound.Request) (outbound.Response, error) {
	l.mu.Lock()
	l.asked++
	l.mu.Unlock()
	return l.do(ctx, r)
}

func (l *callLine) holdAttempts(_ context.Context, held []ports.Held) ([]heldAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, held...)
	answer, err := l.heldSay()
	return []heldAnswer{answer}, err
}

func (l *callLine) record(_ context.Context, c firjob.Callback) ([]firjob.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down > 0 {
		l.down--
		return nil, errors.New("the store is away")
	}
	l.results = append(l.results, c.Results...)
	l.by = append(l.by, firjob.ExecutorKey{App: c.App, Address: c.Address, Incarnation: c.Incarnation})
	return []firjob.Receipt{firjob.ReceiptRecorded}, nil
}

// calls returns n flights of HTTP jobs that are due now.
func (l *callLine) httpFlights(n int, change func(*firjob.HTTPCall)) []*flight {
	list := l.flights(n)
	for _, f := range list {
		call := &firjob.HTTPCall{Method: http.MethodPost, URL: "https://example.org/run", Timeout: firjob.Duration(time.Minute)}
		if change != nil {
			change(call)
		}
		f.Dispatch = &ports.Dispatch{HTTP: call}
	}
	return list
}

func answer(status int, kind, body string) func(context.Context, outbound.Request) (outbound.Response, error) {
	return func(context.Context, outbound.Request) (outbound.Response, error) {
		time.Sleep(10 * time.Millisecond) // of the bubble
		return outbound.Response{Status: status, Header: http.Header{"Content-Type": {kind}}, Body: []byte(body)}, nil
	}
}

// silence never answers.
func silence(ctx context.Context, _ outbound.Request) (outbound.Response, error) {
	<-ctx.Done()
	return outbound.Response{}, ctx.Err()
}

func TestCallOutcomes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		do      func(context.Context, outbound.Request) (outbound.Response, error)
		change  func(*firjob.HTTPCall)
		held    heldAnswer
		timeout time.Duration // of the job
		want    firjob.Result
	}{
		"success": {do: answer(200, "application/json; charset=utf-8", `{"rows": 3}`),
			want: firjob.Result{Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"status":200,"headers":{"Content-Type":"application/json; charset=utf-8"},"body":{"rows":3}}`)}},
		"text": {do: answer(204, "text/plain", "<b>\xff"),
			want: firjob.Result{Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"status":204,"headers":{"Content-Type":"text/plain"},"body":"\u003cb\u003e�"}`)}},
		"broken JSON": {do: answer(200, "application/json", "{"),
			want: firjob.Result{Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"status":200,"headers":{"Content-Type":"application/json"},"body":"{"}`)}},
		"not expected": {do: answer(200, "", ""), change: func(c *firjob.HTTPCall) { c.Expect = []int{202} },
			want: firjob.Result{Outcome: firjob.OutcomeFailed, Error: "POST example.org answered 200 OK", Result: json.RawMessage(`{"status":200,"headers":{"Content-Type":""},"body":""}`)}},
		"expected": {do: answer(404, "", "gone"), change: func(c *firjob.HTTPCall) { c.Expect = []int{404} },
			want: firjob.Result{Outcome: firjob.OutcomeSucceeded, Result: json.RawMessage(`{"status":404,"body":"gone"}`)}},
		"a redirect": {do: answer(302, "", ""), want: firjob.Result{Outcome: firjob.OutcomeFailed, Error: "POST example.org answered 302 Found"}},
		"no answer": {do: func(context.Context, outbound.Request) (outbound.Response, error) {
			return outbound.Response{}, errors.New("POST example.org got no answer: reset by peer")
		}, want: firjob.Result{Outcome: firjob.OutcomeFailed, Error: "POST example.org got no answer: reset by peer"}},
		"cannot be made": {do: func(context.Context, outbound.Request) (outbound.Response, error) {
			return outbound.Response{}, &outbound.MalformedError{Cause: errors.New("no field")}
		}, want: firjob.Result{Outcome: firjob.OutcomeFailed, Permanent: true}},
		"the request's timeout": {do: silence, timeout: time.Hour,
			want: firjob.Result{Outcome: firjob.OutcomeTimedOut, Error: "no answer within 1m0s, the timeout of the request"}},
		"the job's timeout": {do: silence, timeout: 20 * time.Second,
			want: firjob.Result{Outcome: firjob.OutcomeTimedOut, Error: "no answer within 20s, the timeout of the job"}},
		"cancelled": {do: silence, held: heldCancel,
			want: firjob.Result{Outcome: firjob.OutcomeCancelled, Error: "cancelled on request"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newCallLine(t, tt.do)
				l.heldSay = func() (heldAnswer, error) { return tt.held, nil }
				f := l.httpFlights(1, tt.change)
				f[0].Trigger.Timeout = firjob.Duration(tt.timeout)
				l.release(t.Context(), f)
				l.posts.Wait()
				if len(l.results) != 1 || l.handedOver != 1 || l.by[0] != (firjob.ExecutorKey{App: "app", Address: "server", Incarnation: "r1"}) {
					t.Fatalf("results %+v by %v, %d flights handed over; want one of each", l.results, l.by, l.handedOver)
				}
				got := l.results[0]
				if got.ID != f[0].Trigger.ID || got.Token != f[0].Trigger.Token || got.StartedAt.IsZero() || got.FinishedAt.Before(got.StartedAt) {
					t.Errorf("got %+v", got)
				}
				if got.Outcome != tt.want.Outcome || tt.want.Error != "" && got.Error != tt.want.Error || got.Permanent != tt.want.Permanent {
					t.Errorf("got %s %q permanent %v, want %+v", got.Outcome, got.Error, got.Permanent, tt.want)
				}
				if tt.want.Outcome == firjob.OutcomeSucceeded && string(got.Result) != string(tt.want.Result) {
					t.Errorf("got the result %s, want %s", got.Result, tt.want.Result)
				}
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999": 24 * time.Hour,
		"Mon, 01 Mar 2027 08:01:00 GMT": time.Minute, "Mon, 01 Mar 2027 07:00:00 GMT": 0} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	var result firjob.Result
	setOutcome(&result, firjob.HTTPCall{}, outbound.Response{Status: 503, Header: http.Header{"Retry-After": {"9"}}}, now)
	if result.RetryAfter != firjob.Duration(9*time.Second) {
		t.Errorf("a 503: got %v, want 9s", result.RetryAfter)
	}
	setOutcome(&result, firjob.HTTPCall{}, outbound.Response{Status: 500, Body: []byte(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)),
		Header: http.Header{"Content-Type": {"application/json"}}}, now)
	if err := jsontext.Check(result.Result, firjob.MaxResult); err != nil {
		t.Errorf("a body that is nested deeply makes a result that %v", err)
	}
}

// A call that takes long is held like any other attempt: it is named again and
// again, and goes on while the store is only now and then away.
func TestLongCallsAreHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newCallLine(t, func(ctx context.Context, _ outbound.Request) (outbound.Response, error) {
			select {
			case <-time.After(50 * time.Second):
				return outbound.Response{Status: 200}, nil
			case <-ctx.Done():
				return outbound.Response{}, ctx.Err()
			}
		})
		n := 0
		l.heldSay = func() (heldAnswer, error) {
			if n++; n%3 != 0 {
				return heldCurrent, errors.New("the store is busy")
			}
			return heldCurrent, nil
		}
		l.down = 3
		l.release(t.Context(), l.httpFlights(1, nil))
		l.posts.Wait()
		if len(l.results) != 1 || l.results[0].Outcome != firjob.OutcomeSucceeded {
			t.Fatalf("results %+v, want the success", l.results)
		}
		if len(l.held) < 25 {
			t.Errorf("the attempt was named %d times in 50 s, want about 30", len(l.held))
		}
		if diff := cmp.Diff(ports.Held{Executor: firjob.ExecutorKey{App: "app", Address: "server", Incarnation: "r1"},
			Attempt: firjob.AttemptRef{ID: l.results[0].ID, Token: 1}}, l.held[0]); diff != "" {
			t.Errorf("what was held (-want +got):\n%s", diff)
		}
	})
}

// Without a lease the request is broken off before another server can make it.
func TestCallsEndBeforeTheirLease(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		say   func() (heldAnswer, error)
		until time.Duration
	}{
		"given up":      {func() (heldAnswer, error) { return heldStale, nil }, 0},
		"never renewed": {func() (heldAnswer, error) { return heldCurrent, errors.New("away") }, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newCallLine(t, silence)
				l.heldSay = tt.say
				began := time.Now()
				l.release(t.Context(), l.httpFlights(1, nil))
				l.posts.Wait()
				if took := time.Since(began); took != tt.until || len(l.results) != 0 || len(l.lostRefs) != 0 {
					t.Errorf("broken off after %v with results %v, lost %v; want %v and nothing said", took, l.results, l.lostRefs, tt.until)
				}
			})
		})
	}
}

func TestCallsThatAReplicaCutsOffAreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newCallLine(t, silence)
		ctx, cancel := context.WithCancel(t.Context())
		l.release(ctx, l.httpFlights(1, nil))
		synctest.Wait()
		cancel() // the drain's patience has ended
		l.posts.Wait()
		if len(l.lostRefs) != 1 || len(l.results) != 0 {
			t.Errorf("lost %v, results %v; want it lost", l.lostRefs, l.results)
		}
	})
}

// What there is no room for goes back, for another server to make.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newCallLine(t, func(ctx context.Context, r outbound.Request) (outbound.Response, error) {
			time.Sleep(5 * time.Second)
			return outbound.Response{Status: 200}, nil
		})
		host := func(name string) func(*firjob.HTTPCall) {
			return func(c *firjob.HTTPCall) { c.URL = "https://" + name + ".example.org/run" }
		}
		l.release(t.Context(), l.httpFlights(3, host("one"))) // 2 to a host
		synctest.Wait()
		if l.asked != 2 {
			t.Errorf("%d requests to one host, want 2", l.asked)
		}
		l.release(t.Context(), l.httpFlights(2, host("two")))
		synctest.Wait()
		l.release(t.Context(), l.httpFlights(1, host("three"))) // 4 in all
		l.posts.Wait()
		if l.asked != 4 || len(l.results) != 4 || len(l.released) != 2 || l.handedOver != 6 {
			t.Errorf("%d requests, %d results, given back %v, %d handed over; want 4, 4, 2, 6", l.asked, len(l.results), l.released, l.handedOver)
		}
		if len(l.released) > 0 && !strings.Contains(l.released[0], "as many HTTP calls as it may") {
			t.Errorf("given back for the reason %q", l.released[0])
		}
		if n := len(l.sending.calls.slots.hosts); n != 0 {
			t.Errorf("%d hosts are remembered that nobody calls", n)
		}
	})
}

// A server that was paused must not call what another may have called since.
func TestNothingIsCalledOnAShortLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newCallLine(t, answer(200, "", ""))
		f := l.httpFlights(1, nil)
		time.Sleep(9 * time.Second) // of a lease of 10
		l.release(t.Context(), f)
		l.posts.Wait()
		if l.asked != 0 || len(l.released) != 1 || l.handedOver != 1 {
			t.Errorf("%d requests, given back %v, %d handed over; want it given back", l.asked, l.released, l.handedOver)
		}
	})
}

func TestSignedCallsNeedTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var key []byte
		l := newCallLine(t, func(_ context.Context, r outbound.Request) (outbound.Response, error) {
			key = r.Key
			return outbound.Response{Status: 200}, nil
		})
		sign := func(c *firjob.HTTPCall) { c.Sign = true }
		l.release(t.Context(), l.httpFlights(1, sign))
		l.posts.Wait()
		if string(key) != "key" {
			t.Errorf("signed with %q, want the app's key", key)
		}
		unknown := l.httpFlights(1, sign)
		unknown[0].App = "new"
		l.release(t.Context(), unknown)
		l.posts.Wait()
		if l.asked != 1 || len(l.released) != 1 {
			t.Errorf("%d requests, given back %v; want the second given back", l.asked, l.released)
		}
	})
}

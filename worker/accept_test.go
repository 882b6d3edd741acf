package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	empty, _ := json.Marshal(firjob.TriggerBatch{App: app})
	otherApp, _ := json.Marshal(firjob.TriggerBatch{App: "other"})
	huge, _ := json.Marshal(firjob.TriggerBatch{App: app, Triggers: make([]firjob.Trigger, firjob.MaxBatch+1)})
	blank, _ := json.Marshal(firjob.TriggerBatch{App: app, Triggers: make([]firjob.Trigger, 1)})
	beyond := newTrigger(1, "ok")
	beyond.Shard = &firjob.ShardOf{Index: 3, Total: 3}
	noShard, _ := json.Marshal(firjob.TriggerBatch{App: app, Triggers: []firjob.Trigger{beyond}})

	for _, test := range []struct {
		name         string
		method, path string
		body         []byte
		change       func(*http.Request)
		want         int
	}{
		{name: "good", body: empty, want: 200},
		{name: "unsigned", body: empty, change: func(r *http.Request) { r.Header.Del(firjob.HeaderWebhookSignature) }, want: 401},
		{name: "signed with another key", body: empty, change: func(r *http.Request) {
			firjob.Sign(r.Header, firjob.SigningKey("another"), "msg-1", time.Now(), empty)
		}, want: 401},
		{name: "signed long ago", body: empty, change: func(r *http.Request) {
			firjob.Sign(r.Header, firjob.SigningKey(secret), "msg-1", time.Now().Add(-time.Hour), empty)
		}, want: 401},
		{name: "another body than the signed one", body: otherApp, change: func(r *http.Request) {
			firjob.Sign(r.Header, firjob.SigningKey(secret), "msg-1", time.Now(), empty)
		}, want: 401},
		{name: "another process", body: empty, change: func(r *http.Request) { r.Header.Set(firjob.HeaderIncarnation, "old") }, want: 421},
		{name: "no process", body: empty, change: func(r *http.Request) { r.Header.Del(firjob.HeaderIncarnation) }, want: 421},
		{name: "another app", body: otherApp, want: 421},
		{name: "no JSON", body: []byte("{"), want: 400},
		{name: "too many triggers", body: huge, want: 400},
		{name: "a trigger without an id", body: blank, want: 400},
		{name: "a shard beyond the last", body: noShard, want: 400},
		{name: "GET of a trigger", method: http.MethodGet, want: 405},
		{name: "POST of a ping", path: firjob.PathPing, want: 405},
		{name: "a cancel beyond its size", path: firjob.PathCancel, body: []byte(strings.Repeat(" ", 1<<20+1)), want: 413},
		{name: "ping", method: http.MethodGet, path: firjob.PathPing, want: 200},
		{name: "ping unsigned", method: http.MethodGet, path: firjob.PathPing, change: func(r *http.Request) { r.Header.Del(firjob.HeaderWebhookID) }, want: 401},
		{name: "no such path", path: "/", want: 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			method, path := test.method, test.path
			if method == "" {
				method = http.MethodPost
			}
			if path == "" {
				path = firjob.PathTrigger
			}
			req := signedRequest(t, s, w, method, path, test.body)
			if test.change != nil {
				test.change(req)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != test.want {
				t.Errorf("status %d, want %d", res.StatusCode, test.want)
			}
			if got := res.Header.Get("Content-Type"); test.want >= 400 && got != "application/problem+json" {
				t.Errorf("an error of type %q", got)
			}
		})
	}
}

func TestRepeatsRunOnce(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1, Queue: 1}, map[string]worker.Handler{"gate": g.run})
	running, waiting := newTrigger(1, "gate"), newTrigger(2, "gate")
	accepted := []firjob.Acceptance{firjob.Accepted, firjob.Accepted, firjob.Accepted}

	if got := send(t, s, w, running, waiting, running); !slices.Equal(got, accepted) {
		t.Fatalf("first sending: %v", got)
	}
	await(t, g.entered, "the first handler")
	if got := send(t, s, w, running, waiting, waiting); !slices.Equal(got, accepted) {
		t.Errorf("repeat while running and waiting: %v", got)
	}
	older := send(t, s, w, withToken(running, 99), withToken(waiting, 99))
	if want := []firjob.Acceptance{firjob.RefusedStale, firjob.RefusedStale}; !slices.Equal(older, want) {
		t.Errorf("an older token: %v", older)
	}
	close(g.open)
	for range 2 {
		await(t, s.results, "a result")
	}
	if got := send(t, s, w, running, waiting); !slices.Equal(got, accepted[:2]) {
		t.Errorf("repeat after the end: %v", got)
	}
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(g.entered) != 1 || len(s.results) != 0 { // the second one; the first was taken above
		t.Errorf("%d more handler starts and %d more results than executions", len(g.entered)-1, len(s.results))
	}
}

// A server that asks is told of all, also of what beats do not name yet.
func TestHoldingNamesAll(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1, Queue: 1}, map[string]worker.Handler{"gate": g.run})
	holding := func() []firjob.AttemptRef {
		var ping firjob.Ping
		if status := do(t, signedRequest(t, s, w, http.MethodGet, firjob.PathHolding, nil), &ping); status != http.StatusOK || ping.Holding == nil {
			t.Fatalf("answered %d, %+v; want 200 and what it holds", status, ping)
		}
		slices.SortFunc(ping.Holding, func(a, b firjob.AttemptRef) int { return strings.Compare(a.ID.String(), b.ID.String()) })
		return ping.Holding
	}
	if got := holding(); len(got) != 0 {
		t.Errorf("before the first trigger it holds %v", got)
	}
	running, waiting := newTrigger(1, "gate"), newTrigger(2, "gate")
	send(t, s, w, running, waiting)
	want := []firjob.AttemptRef{{ID: running.ID, Token: running.Token}, {ID: waiting.ID, Token: waiting.Token}}
	if got := holding(); !slices.Equal(got, want) {
		t.Errorf("right after two triggers it holds %v, want %v", got, want)
	}
	close(g.open)
	for range 2 {
		await(t, s.results, "a result")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1, Queue: -1}, map[string]worker.Handler{"gate": g.run})

	got := send(t, s, w, newTrigger(1, "nobody"), newTrigger(2, "gate"), newTrigger(3, "gate"))
	want := []firjob.Acceptance{firjob.RefusedHandler, firjob.Accepted, firjob.RefusedFull}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("answers (-want +got):\n%s", diff)
	}
	await(t, g.entered, "the handler")
	w.stop()
	awaitMatch(t, s.beats, "a draining beat", func(b firjob.Beat) bool { return b.State == firjob.ExecutorDraining })
	if got := send(t, s, w, newTrigger(4, "gate"), newTrigger(2, "gate"), newTrigger(3, "gate")); !slices.Equal(got,
		[]firjob.Acceptance{firjob.RefusedDrain, firjob.Accepted, firjob.RefusedFull}) {
		t.Errorf("while draining: %v", got)
	}
	close(g.open)
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A refused token never runs, so that the server may give it to another
// executor; a new token of the same execution is a new question.
func TestFullIsRemembered(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1, Queue: -1}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, newTrigger(1, "gate"))
	refused := newTrigger(2, "gate")
	if got := send(t, s, w, refused); got[0] != firjob.RefusedFull {
		t.Fatalf("got %v, want full", got)
	}
	close(g.open)
	await(t, s.results, "the first result")
	if got := send(t, s, w, refused); got[0] != firjob.RefusedFull {
		t.Errorf("the same token later: %v", got)
	}
	if got := send(t, s, w, withToken(refused, 101)); got[0] != firjob.Accepted {
		t.Errorf("the next token: %v", got)
	}
}

func TestHigherTokenReplacesTheLower(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	causes := make(chan error, 2)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"wait": func(ctx context.Context, task *worker.Task) error {
			if task.Token > 100 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		},
	})
	tr := newTrigger(1, "wait")
	send(t, s, w, tr)
	if got := send(t, s, w, withToken(tr, 101)); got[0] != firjob.Accepted {
		t.Fatalf("the higher token: %v", got)
	}
	if cause := await(t, causes, "the end of the lower token"); !errors.Is(cause, worker.ErrLeaseLost) {
		t.Errorf("the lower token ended for %v", cause)
	}
	if r := await(t, s.results, "the result"); r.Token != 101 || r.Outcome != firjob.OutcomeSucceeded {
		t.Errorf("reported %+v", r)
	}
}

func TestTriggerOlderThanItsLeaseIsStale(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	batch := firjob.TriggerBatch{App: app, SentAt: time.Now().Add(-9 * time.Second), Triggers: []firjob.Trigger{newTrigger(1, "ok")}}
	var reply firjob.TriggerReply
	post(t, s, w, firjob.PathTrigger, batch, &reply)
	if len(reply.Results) != 1 || reply.Results[0] != firjob.RefusedStale {
		t.Errorf("a trigger that is 9 s old, with a lease of 10 s: %v", reply.Results)
	}
}

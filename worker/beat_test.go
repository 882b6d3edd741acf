package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func TestRegistrationTellsWhoItIs(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	paths := make(chan string, 1<<10)
	s.onBeat = func(path string, _ firjob.Beat) (int, firjob.BeatReply) {
		paths <- path
		return http.StatusOK, goodBeat()
	}
	labels := map[string]string{"zone": "eu-1", "gpu": "a100"}
	w := start(t, s, worker.Options{Concurrency: 3, Queue: 5, Version: "v1.2", Labels: labels}, map[string]worker.Handler{"b": succeed, "a": succeed})
	b := await(t, s.beats, "a beat")
	want := firjob.Beat{
		Executor: firjob.Executor{App: app, Address: w.Addr(), Incarnation: b.Incarnation, Version: "v1.2", Labels: labels,
			Capacity: 3, Queue: 5, State: firjob.ExecutorActive, StartedAt: b.StartedAt},
		Holding: []firjob.AttemptRef{}, Handlers: []string{"a", "b"},
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("the registration (-want +got):\n%s", diff)
	}
	if b.Incarnation == "" || time.Since(b.StartedAt) > patience {
		t.Errorf("incarnation %q, started at %v", b.Incarnation, b.StartedAt)
	}
	got := []string{await(t, paths, "a beat"), await(t, paths, "a beat"), await(t, paths, "a beat")}
	if want := []string{firjob.PathRegister, firjob.PathHeartbeat, firjob.PathHeartbeat}; !slices.Equal(got, want) {
		t.Errorf("beats went to %v", got)
	}
}

func TestAdvertisedAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ listen, advertise, host string }{
		{"127.0.0.1:0", "worker-1.example:9999", "worker-1.example"},
		{"127.0.0.1:0", "", "127.0.0.1"},
		{":0", "", "127.0.0.1"}, // through which the server is reached
	} {
		s := newFakeServer(t)
		w := start(t, s, worker.Options{Listen: test.listen, Advertise: test.advertise}, nil)
		b := await(t, s.beats, "the registration")
		host, port, err := net.SplitHostPort(b.Address)
		_, bound, _ := net.SplitHostPort(w.Addr())
		if err != nil || host != test.host || (test.advertise == "" && port != bound) {
			t.Errorf("listening on %s, told to say %q: advertised %s", w.Addr(), test.advertise, b.Address)
		}
	}
}

func TestRegistrationIsRetried(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	var calls atomic.Int32
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		if calls.Add(1) < 4 {
			return http.StatusServiceUnavailable, firjob.BeatReply{}
		}
		return http.StatusOK, goodBeat()
	}
	start(t, s, worker.Options{}, nil)
	if n := calls.Load(); n < 4 {
		t.Errorf("ready after %d calls", n)
	}
}

func TestServerDownAtTheStart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &fakeServer{url: "http://" + l.Addr().String()}
	w := launch(t, s, worker.Options{}, nil)
	select {
	case <-w.Ready():
		t.Error("ready without a server")
	default:
	}
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestWrongSecretIsTold(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	log, lines := captureLog()
	o := fill(t, s, worker.Options{Log: log})
	o.Secret = strings.Repeat("wrong", 10)
	w, err := worker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	line := awaitMatch(t, lines, "a word about the credentials", func(l string) bool { return strings.Contains(l, "credentials") })
	stop()
	await(t, done, "the end")
	if !strings.Contains(line, "level=ERROR") || strings.Contains(line, "wrongwrong") {
		t.Errorf("logged %s", line)
	}
}

func TestBeatsNameWhatIsHeldUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	acknowledge := make(chan struct{})
	s.onCallback = func(cb firjob.Callback) (int, []firjob.Receipt) {
		<-acknowledge
		return http.StatusOK, receipts(cb, firjob.ReceiptRecorded)
	}
	w := start(t, s, worker.Options{Concurrency: 1}, map[string]worker.Handler{"gate": g.run, "ok": succeed})
	one, two := newTrigger(1, "ok"), newTrigger(2, "gate")
	holds := func(n, running int) func(firjob.Beat) bool {
		return func(b firjob.Beat) bool { return len(b.Holding) == n && b.Running == running }
	}
	send(t, s, w, one, two)
	await(t, g.entered, "the second handler, after the end of the first")
	b := awaitMatch(t, s.beats, "a beat that names both", holds(2, 1))
	for _, tr := range []firjob.Trigger{one, two} {
		if !slices.Contains(b.Holding, firjob.AttemptRef{ID: tr.ID, Token: tr.Token}) {
			t.Errorf("%s is not among %v", tr.ID, b.Holding)
		}
	}
	close(acknowledge)
	awaitMatch(t, s.beats, "a beat without the first", holds(1, 1))
	close(g.open)
	awaitMatch(t, s.beats, "a beat without both", holds(0, 0))
}

func TestBeatsTellWhatWaits(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1, Queue: 2}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, newTrigger(1, "gate"), newTrigger(2, "gate"), newTrigger(3, "gate"))
	await(t, g.entered, "the first handler")
	waits := func(running int, refs ...firjob.AttemptRef) {
		t.Helper()
		b := awaitMatch(t, s.beats, "a beat", func(b firjob.Beat) bool { return b.Running == running && len(b.Waiting) == len(refs) })
		for _, ref := range refs {
			if !slices.Contains(b.Waiting, ref) || !slices.Contains(b.Holding, ref) {
				t.Errorf("%v waits; the beat has waiting %v, holding %v", ref, b.Waiting, b.Holding)
			}
		}
	}
	ref := func(n int) firjob.AttemptRef { return firjob.AttemptRef{ID: newTrigger(n, "").ID, Token: 100} }
	waits(3, ref(2), ref(3))
	g.open <- struct{}{} // ends the first
	await(t, g.entered, "the second handler")
	waits(2, ref(3))
	close(g.open)
	waits(0)
}

func TestBeatReplyCancelsAndCallsStale(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	cancelled, stale := newTrigger(1, "wait"), newTrigger(2, "wait")
	s.onBeat = func(_ string, b firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		for _, ref := range b.Holding {
			if ref.ID == cancelled.ID {
				reply.Cancel = append(reply.Cancel, ref)
			} else {
				reply.Stale = append(reply.Stale, ref)
			}
		}
		return http.StatusOK, reply
	}
	causes := make(chan error, 2)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"wait": func(ctx context.Context, task *worker.Task) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		},
	})
	send(t, s, w, cancelled)
	if cause := await(t, causes, "the cancel"); !errors.Is(cause, worker.ErrCancelled) {
		t.Errorf("the cancelled one ended for %v", cause)
	}
	if r := await(t, s.results, "its result"); r.Outcome != firjob.OutcomeCancelled {
		t.Errorf("reported %+v", r)
	}
	send(t, s, w, stale)
	if cause := await(t, causes, "the news"); !errors.Is(cause, worker.ErrLeaseLost) {
		t.Errorf("the stale one ended for %v", cause)
	}
	awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 && b.Running == 0 })
	if len(s.results) > 0 {
		t.Errorf("what was cut off was reported as %+v", <-s.results)
	}
}

// A handler that succeeds although its lease is lost has done the work; the
// server says whether that still counts.
func TestSuccessAfterTheLeaseIsReported(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.onBeat = func(_ string, b firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		reply.Stale = b.Holding
		return http.StatusOK, reply
	}
	s.onCallback = func(cb firjob.Callback) (int, []firjob.Receipt) {
		return http.StatusConflict, receipts(cb, firjob.ReceiptStale)
	}
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"wait": func(ctx context.Context, task *worker.Task) error { <-ctx.Done(); return nil },
	})
	send(t, s, w, newTrigger(1, "wait"))
	if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeSucceeded {
		t.Errorf("reported %+v", r)
	}
	awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 })
}

func TestUnansweredBeatsEndHandlers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	const lease = time.Second
	var cut atomic.Bool
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		reply.Lease = firjob.Duration(lease)
		if cut.Load() {
			return http.StatusInternalServerError, reply
		}
		return http.StatusOK, reply
	}
	causes := make(chan error, 1)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{
		"wait": func(ctx context.Context, task *worker.Task) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		},
	})
	tr := newTrigger(1, "wait")
	tr.Lease = firjob.Duration(lease)
	accepted := time.Now()
	send(t, s, w, tr)
	awaitMatch(t, s.beats, "beats for longer than a lease", func(firjob.Beat) bool { return time.Since(accepted) > 2*lease })
	if len(causes) > 0 {
		t.Fatalf("ended for %v although its beats are answered", <-causes)
	}
	cut.Store(true)
	if cause := await(t, causes, "the end of the handler"); !errors.Is(cause, worker.ErrLeaseLost) {
		t.Errorf("ended for %v", cause)
	}
}

func TestTimesFollowTheServersClock(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	const ahead = 42 * time.Hour
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		reply.Now = time.Now().Add(ahead)
		return http.StatusOK, reply
	}
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	sentAt := time.Now().Add(ahead).Add(time.Minute) // beyond what the worker takes for now
	batch := firjob.TriggerBatch{App: app, SentAt: sentAt, Triggers: []firjob.Trigger{newTrigger(1, "ok")}}
	text, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	req := signedRequest(t, s, w, http.MethodPost, firjob.PathTrigger, text)
	firjob.Sign(req.Header, firjob.SigningKey(secret), "msg-1", sentAt, text) // by the same clock
	if status := do(t, req, nil); status != http.StatusOK {
		t.Fatalf("the trigger was answered %d", status)
	}
	r := await(t, s.results, "the result")
	if !r.StartedAt.Equal(sentAt) || r.FinishedAt.Before(r.StartedAt) {
		t.Errorf("sent at %v, started %v, finished %v", sentAt, r.StartedAt, r.FinishedAt)
	}
}

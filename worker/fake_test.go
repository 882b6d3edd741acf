package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

const (
	app    = "billing"
	secret = "0123456789abcdef0123456789abcdef"

	// patience bounds every wait for an event; a test that needs it has failed.
	patience = 20 * time.Second
)

// fakeServer plays the server's side of the wire. Each kind of request has a
// function that answers it, which a test may replace before it starts a worker.
type fakeServer struct {
	url        string
	onBeat     func(path string, b firjob.Beat) (int, firjob.BeatReply)
	onCallback func(cb firjob.Callback) (int, []firjob.Receipt)
	onStart    func(st firjob.Start) (int, firjob.StartReply)
	onReport   func(rp firjob.Report) int

	beats   chan firjob.Beat
	results chan firjob.Result // of callbacks that were answered 200 or 409
	reports chan firjob.Report // that were answered 200
	leaves  chan firjob.Beat

	mu   sync.Mutex
	last firjob.Beat
}

func newFakeServer(t testing.TB) *fakeServer {
	t.Helper()
	s := &fakeServer{
		onBeat: func(string, firjob.Beat) (int, firjob.BeatReply) { return http.StatusOK, goodBeat() },
		onCallback: func(cb firjob.Callback) (int, []firjob.Receipt) {
			return http.StatusOK, receipts(cb, firjob.ReceiptRecorded)
		},
		onStart:  func(st firjob.Start) (int, firjob.StartReply) { return http.StatusOK, grant(st, true) },
		onReport: func(firjob.Report) int { return http.StatusOK },
		beats:    make(chan firjob.Beat, 1<<12),
		results:  make(chan firjob.Result, 1<<16),
		reports:  make(chan firjob.Report, 1<<12),
		leaves:   make(chan firjob.Beat, 16),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+firjob.PathRegister, s.beat)
	mux.HandleFunc("POST "+firjob.PathHeartbeat, s.beat)
	mux.HandleFunc("POST "+firjob.PathCallback, s.callback)
	mux.HandleFunc("POST "+firjob.PathLeave, s.leave)
	mux.HandleFunc("POST "+firjob.PathStart, s.start)
	mux.HandleFunc("POST "+firjob.PathReport, s.report)
	web := httptest.NewServer(authenticated(mux))
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

func goodBeat() firjob.BeatReply {
	return firjob.BeatReply{Now: time.Now(), Interval: firjob.Duration(100 * time.Millisecond), Lease: firjob.Duration(10 * time.Second)}
}

func receipts(cb firjob.Callback, r firjob.Receipt) []firjob.Receipt {
	list := make([]firjob.Receipt, len(cb.Results))
	for i := range list {
		list[i] = r
	}
	return list
}

// grant answers each attempt alike.
func grant(st firjob.Start, yes bool) firjob.StartReply {
	return firjob.StartReply{Granted: slices.Repeat([]bool{yes}, len(st.Attempts)), Lease: firjob.Duration(10 * time.Second)}
}

func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != app || pass != secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *fakeServer) beat(w http.ResponseWriter, r *http.Request) {
	var b firjob.Beat
	if json.NewDecoder(r.Body).Decode(&b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.last = b
	s.mu.Unlock()
	status, reply := s.onBeat(r.URL.Path, b)
	select {
	case s.beats <- b:
	default:
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

func (s *fakeServer) callback(w http.ResponseWriter, r *http.Request) {
	var cb firjob.Callback
	if json.NewDecoder(r.Body).Decode(&cb) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, list := s.onCallback(cb)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(firjob.CallbackReply{Results: list})
	if status == http.StatusOK || status == http.StatusConflict {
		for _, result := range cb.Results {
			s.results <- result
		}
	}
}

func (s *fakeServer) start(w http.ResponseWriter, r *http.Request) {
	var st firjob.Start
	if json.NewDecoder(r.Body).Decode(&st) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, reply := s.onStart(st)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

// report is as strict as a server: what it does not know or cannot take, it
// refuses.
func (s *fakeServer) report(w http.ResponseWriter, r *http.Request) {
	var rp firjob.Report
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, firjob.MaxReportBody))
	body.DisallowUnknownFields()
	if body.Decode(&rp) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status := s.onReport(rp)
	if status == http.StatusOK {
		s.reports <- rp
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(firjob.ReportReply{})
}

func (s *fakeServer) leave(w http.ResponseWriter, r *http.Request) {
	var b firjob.Beat
	_ = json.NewDecoder(r.Body).Decode(&b)
	s.leaves <- b
	w.WriteHeader(http.StatusNoContent)
}

func (s *fakeServer) incarnation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Incarnation
}

// started is a worker that runs for the length of a test.
type started struct {
	*worker.Worker
	stop context.CancelFunc
	done chan error
}

// start runs a worker with the given handlers and waits for its registration.
func start(t testing.TB, s *fakeServer, o worker.Options, handlers map[string]worker.Handler) *started {
	t.Helper()
	w := launch(t, s, o, handlers)
	await(t, w.Ready(), "the registration")
	return w
}

func launch(t testing.TB, s *fakeServer, o worker.Options, handlers map[string]worker.Handler) *started {
	t.Helper()
	return launchIn(context.Background(), t, s, o, handlers)
}

// launchIn is launch in a context, which may carry a fault of the clock.
func launchIn(ctx context.Context, t testing.TB, s *fakeServer, o worker.Options, handlers map[string]worker.Handler) *started {
	t.Helper()
	w, err := worker.New(fill(t, s, o))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	for name, h := range handlers {
		w.Handle(name, h)
	}
	ctx, stop := context.WithCancel(ctx)
	run := &started{Worker: w, stop: stop, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run.done <- w.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		await(t, ended, "the end of Run")
	})
	return run
}

func fill(t testing.TB, s *fakeServer, o worker.Options) worker.Options {
	o.Server, o.App, o.Secret = s.url, app, secret
	if o.SpoolDir == "" {
		o.SpoolDir = t.TempDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// await receives from ch or fails the test.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no sign of %s within %v", what, patience)
		panic("unreachable")
	}
}

// awaitMatch receives from ch until a value fits.
func awaitMatch[T any](t testing.TB, ch <-chan T, what string, fits func(T) bool) T {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		v := await(t, ch, what)
		if fits(v) {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatalf("no sign of %s within %v; the last of many others was %+v", what, patience, v)
		}
	}
}

// newTrigger returns the trigger of the n-th execution of a job.
func newTrigger(n int, handler string) firjob.Trigger {
	at := time.UnixMilli(1_700_000_000_000 + int64(n))
	return firjob.Trigger{
		ID: firjob.Fire(7, at), JobID: 7, Job: "nightly", Handler: handler, ScheduledAt: at.UTC(),
		Attempt: 1, Token: 100, Lease: firjob.Duration(10 * time.Second),
	}
}

func withToken(tr firjob.Trigger, token int64) firjob.Trigger {
	tr.Token = token
	return tr
}

// executor is a worker that can be called, in this process or in another.
type executor interface{ Addr() string }

// send posts triggers as the server does and returns the answers.
func send(t testing.TB, s *fakeServer, w executor, triggers ...firjob.Trigger) []firjob.Acceptance {
	t.Helper()
	batch := firjob.TriggerBatch{App: app, SentAt: time.Now(), Triggers: triggers}
	var reply firjob.TriggerReply
	if status := post(t, s, w, firjob.PathTrigger, batch, &reply); status != http.StatusOK {
		t.Fatalf("the trigger was answered %d", status)
	}
	if len(reply.Results) != len(triggers) || reply.Incarnation != s.incarnation() {
		t.Fatalf("the reply %+v does not fit %d triggers to %s", reply, len(triggers), s.incarnation())
	}
	return reply.Results
}

func post(t testing.TB, s *fakeServer, w executor, path string, body, reply any) int {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, signedRequest(t, s, w, http.MethodPost, path, text), reply)
}

func signedRequest(t testing.TB, s *fakeServer, w executor, method, path string, body []byte) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+w.Addr()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	firjob.Sign(req.Header, firjob.SigningKey(secret), "msg-1", time.Now(), body)
	req.Header.Set(firjob.HeaderIncarnation, s.incarnation())
	return req
}

func do(t testing.TB, req *http.Request, reply any) int {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, reply); err != nil {
			t.Fatalf("%s %s answered %q: %v", req.Method, req.URL.Path, text, err)
		}
	}
	return res.StatusCode
}

// succeed is a handler.
func succeed(context.Context, *worker.Task) error { return nil }

// gate is a handler that announces each task and waits until it is opened, or
// its context ends.
type gate struct {
	entered chan *worker.Task
	open    chan struct{}
}

func newGate() *gate {
	return &gate{entered: make(chan *worker.Task, 1<<10), open: make(chan struct{})}
}

func (g *gate) run(ctx context.Context, t *worker.Task) error {
	g.entered <- t
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// exampleT is what the fake server needs of a test, for examples, which have
// none.
type exampleT struct {
	testing.TB // whatever is not below panics, as an example's failure should
	cleanups   []func()
}

func (t *exampleT) Helper()                      {}
func (t *exampleT) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (t *exampleT) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (t *exampleT) TempDir() string {
	dir, err := os.MkdirTemp("", "firjob-example-")
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/clockfault"
	"github.com/firjob/firjob/internal/codec"
)

// How long each part of the end may take once DrainTimeout has passed.
const (
	cutOffTime  = 2 * time.Second // for cancelled handlers to return
	flushTime   = 3 * time.Second // for results to be acknowledged
	goodbyeTime = time.Second     // for the server to take note, and again for open requests
)

// callbackTime bounds one callback.
const callbackTime = 10 * time.Second

// Worker runs the executions that a server sends to it. Make it with New, give
// it handlers, then call Run, once.
type Worker struct {
	opt         Options
	log         *slog.Logger
	incarnation string
	startedAt   time.Time
	handlers    map[string]Handler
	listener    net.Listener
	spool       *spool
	left        []*item // from the spool of an earlier process

	ready   chan struct{}
	address atomic.Pointer[string] // as the server calls it; nil: not known yet

	mu       sync.Mutex
	used     bool // Run or Close was called
	cordoned bool
	running  *running // nil until Run
}

// New checks the options, binds the port and opens the spool. The error names
// every faulty field; with firjob.CodeOf it is CodeInvalid. Run releases what
// New has taken, and so does Close for a worker that is never run.
func New(o Options) (*Worker, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	log := o.Log.With("component", "worker", "app", o.App)
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("worker: Listen: %w", err)
	}
	spool, left, err := chooseSpool(o, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("worker: SpoolDir: %w", err), listener.Close())
	}
	return &Worker{
		opt:         o,
		log:         log,
		incarnation: rand.Text(),
		startedAt:   time.Now(),
		handlers:    make(map[string]Handler),
		listener:    listener,
		spool:       spool,
		left:        left,
		ready:       make(chan struct{}),
	}, nil
}

// Handle sets what runs the executions of jobs whose handler is name. It panics
// if name is empty or taken, if h is nil, or once Run was called: these are
// mistakes in the program, not conditions to handle.
func (w *Worker) Handle(name string, h func(ctx context.Context, t *Task) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, taken := w.handlers[name]
	switch {
	case name == "" || h == nil:
		panic("worker: Handle needs a name and a handler")
	case taken:
		panic("worker: a second handler of the name " + name)
	case w.used:
		panic("worker: Handle was called after Run")
	}
	w.handlers[name] = h
}

// Addr returns the address that the worker listens on. It is bound since New.
func (w *Worker) Addr() string { return w.listener.Addr().String() }

// Ready is closed once a server has accepted the worker's registration.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// Close releases what New has taken. It is for a worker that is never run; once
// Run was called it does nothing.
func (w *Worker) Close() error {
	if !w.use() {
		return nil
	}
	return errors.Join(w.listener.Close(), w.spool.close())
}

func (w *Worker) use() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.used
	w.used = true
	return first
}

// Run serves until ctx ends, and then until the worker has drained: it tells
// the server, refuses new work, waits DrainTimeout for the handlers, cancels
// those that are left with ErrDraining, sends the remaining results and takes
// its leave. After DrainTimeout that takes at most 7 seconds. The server may be
// out of reach at the start, or at any time.
//
// The error is nil after an orderly end. It tells of a listener that failed, of
// handlers that did not return (their goroutines go on), and of results that
// the server has not acknowledged (they are in the spool, for the next process
// that uses it).
func (w *Worker) Run(ctx context.Context) error {
	if !w.use() {
		return errors.New("worker: Run was called after Run or Close")
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := w.assemble(context.WithoutCancel(ctx))
	w.enter(r)
	r.start(w.opt.Concurrency, w.listener, fail)
	w.log.Info("the worker runs", "address", w.Addr(), "incarnation", w.incarnation, "handlers", len(w.handlers))

	<-ctx.Done()
	w.log.Info("the worker drains", "cause", context.Cause(ctx))
	err := errors.Join(r.stop(w.opt.DrainTimeout), w.spool.close())
	if cause := context.Cause(ctx); errors.Is(cause, errServe) {
		err = errors.Join(cause, err)
	}
	w.log.Info("the worker has stopped", "error", err)
	return err
}

// assemble makes the parts of a running worker and joins them.
func (w *Worker) assemble(life context.Context) *running {
	httpClient := w.opt.HTTPClient
	if httpClient == nil {
		httpClient = newHTTPClient()
	}
	cl := &client{http: httpClient, base: w.opt.Server, app: w.opt.App, secret: w.opt.Secret}
	clock := newServerClock(w.startedAt)
	clock.fault = clockfault.Of(life)
	out := newOutbox(w.spool, w.left, w.log)
	t := newTable(w.opt.Concurrency, w.opt.Queue, out.full)
	out.acknowledge = t.acknowledge
	sp := new(preference)
	out.post = func(ctx context.Context, batch []*item) ([]firjob.Receipt, error) {
		return w.callback(ctx, cl, sp, batch)
	}
	for _, it := range w.left {
		t.recall(it.ref)
	}
	st := newStarter(w.postStart(cl), t.renew, w.log)
	rp := newReporter(w.postReport(cl), w.opt.LogLevel, clock, w.log)
	r := &running{
		table:    t,
		outbox:   out,
		starter:  st,
		reporter: rp,
		pool:     &pool{table: t, clock: clock, report: out.add, permit: st.ask, log: w.log, values: life},
		beater: &beater{
			client: cl, table: t, clock: clock, log: w.log, identify: w.identify,
			handlers: slices.Sorted(maps.Keys(w.handlers)), hurry: make(chan struct{}, 1), ready: w.ready,
		},
		http: newServer(w.receiver(t, rp, clock).routes(), w.log),
		log:  w.log,
	}
	r.life, r.end = context.WithCancel(life)
	if w.opt.HTTPClient == nil {
		r.disconnect = httpClient.CloseIdleConnections
	}
	return r
}

func (w *Worker) receiver(t *table, rp *reporter, clock *serverClock) *receiver {
	return &receiver{
		app: w.opt.App, incarnation: w.incarnation, key: firjob.SigningKey(w.opt.Secret),
		handlers: w.handlers, table: t, reporter: rp, clock: clock, log: w.log,
	}
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// callback sends a batch of results and returns their receipts.
func (w *Worker) callback(ctx context.Context, cl *client, sp *preference, batch []*item) ([]firjob.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackTime)
	defer cancel()
	var reply firjob.CallbackReply
	err := errSpeech
	if sp.compactNow(time.Now()) {
		// What cannot be written so, an older spool's perhaps, is for the server to judge.
		if body, cannot := compactBody(w.opt.App, *w.address.Load(), w.incarnation, batch); cannot == nil {
			reply, err = postCallback(ctx, cl, sp, codec.CBOR, body)
			err = sp.fallBack(err, time.Now())
		}
	}
	if errors.Is(err, errSpeech) {
		body, cannot := callbackBody(w.opt.App, *w.address.Load(), w.incarnation, batch)
		if cannot != nil {
			return nil, cannot
		}
		reply, err = postCallback(ctx, cl, sp, codec.JSON, body)
	}
	if err != nil {
		return nil, err
	}
	if len(reply.Results) != len(batch) {
		return nil, fmt.Errorf("the server gave %d receipts for %d results", len(reply.Results), len(batch))
	}
	return reply.Results, nil
}

func postCallback(ctx context.Context, cl *client, sp *preference, in codec.Encoding,
	body []byte) (reply firjob.CallbackReply, err error) {
	header, answer, err := cl.exchange(ctx, firjob.PathCallback, in, body, http.StatusOK, http.StatusConflict)
	if err != nil {
		return reply, err
	}
	sp.note(header)
	if err := codec.Decode(codec.OfAnswer(header.Get("Content-Type")), answer, &reply); err != nil {
		return reply, fmt.Errorf("understand the answer to a callback: %w", err)
	}
	return reply, nil
}

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/lab/checker"
)

// Disturbance is what a tap does to requests. Shares are of all requests, 0 to 1.
type Disturbance struct {
	Delay      time.Duration // of each request, up to this much
	Cut        bool          // connections are broken before anything is passed on
	Hang       bool          // requests are taken and never answered; only their caller ends them, also afterwards
	LoseAnswer float64       // this share is delivered, and its answer lost
	Duplicate  float64       // this share is delivered twice, one after the other
	Reorder    float64       // this share waits until the next request has gone before it, or a second
	Echo       time.Duration // each comes once more, so much later, as from a buffer on the way; 0: none does
}

// Tap is an HTTP proxy to one target that writes down the attempts and results
// that pass, and can be told to disturb them.
type Tap struct {
	recorder *Recorder
	target   *url.URL
	client   *http.Client
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup
	echoes   sync.WaitGroup
	ended    context.Context // until Close
	end      context.CancelFunc

	mu      sync.Mutex
	random  *rand.Rand
	disturb Disturbance
	passed  chan struct{} // closed when a request has been passed on
}

// NewTap listens at a free port of 127.0.0.1 and passes requests on to target,
// a base URL. random decides which requests are disturbed.
func NewTap(target string, recorder *Recorder, random *rand.Rand) (*Tap, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("the target of a tap: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a tap: %w", err)
	}
	t := &Tap{recorder: recorder, target: u, random: random, listener: listener, passed: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 5 * time.Second}}}
	t.ended, t.end = context.WithCancel(context.Background())
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: 5 * time.Second}
	t.serving.Go(func() { _ = t.server.Serve(listener) }) // always "closed", by Close
	return t, nil
}

// Addr is where the tap is reached.
func (t *Tap) Addr() string { return t.listener.Addr().String() }

// Set makes the tap disturb as d says from now on; the zero Disturbance is none.
func (t *Tap) Set(d Disturbance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disturb = d
}

// Close ends every connection.
func (t *Tap) Close() error {
	t.mu.Lock()
	t.end()
	t.mu.Unlock()
	t.echoes.Wait()
	err := t.server.Close()
	t.serving.Wait()
	t.client.CloseIdleConnections()
	return err
}

// fate is what becomes of one request.
type fate struct {
	delay                                     time.Duration
	echo                                      time.Duration
	cut, hang, loseAnswer, duplicate, reorder bool
	next                                      <-chan struct{} // the next request has been passed on
}

func (t *Tap) draw() fate {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.disturb
	f := fate{echo: d.Echo, cut: d.Cut, hang: d.Hang, loseAnswer: t.random.Float64() < d.LoseAnswer,
		duplicate: t.random.Float64() < d.Duplicate,
		reorder:   t.random.Float64() < d.Reorder, next: t.passed}
	if d.Delay > 0 {
		f.delay = time.Duration(t.random.Int64N(int64(d.Delay)))
	}
	return f
}

// drawFor draws what becomes of a request, and does not return if it gets nowhere.
func (t *Tap) drawFor(r *http.Request) fate {
	f := t.draw()
	if f.hang {
		_, _ = io.Copy(io.Discard, r.Body) // a server hears that its caller has gone once it has read all
		<-r.Context().Done()
	}
	if f.hang || f.cut {
		panic(http.ErrAbortHandler)
	}
	return f
}

// ServeHTTP passes a request on.
func (t *Tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != firjob.PathTrigger && r.URL.Path != firjob.PathCallback {
		t.passThrough(w, r)
		return
	}
	f := t.drawFor(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	wait(r.Context(), f.delay, nil)
	if f.reorder {
		wait(r.Context(), time.Second, f.next)
	}
	t.repeat(r, body, f.echo)
	status, header, answer, err := t.deliver(r, body)
	if err == nil && f.duplicate {
		status, header, answer, err = t.deliver(r, body)
	}
	if err != nil || f.loseAnswer {
		panic(http.ErrAbortHandler)
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // the caller has gone, and finds out for itself
}

// repeat delivers a request again after a time, if that is not 0.
func (t *Tap) repeat(r *http.Request, body []byte, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after == 0 || t.ended.Err() != nil {
		return
	}
	t.echoes.Go(func() {
		if passed(t.ended, after) {
			_, _, _, _ = t.deliver(r, body) // nobody waits for the answer
		}
	})
}

// passThrough is for what is neither a trigger nor a callback: beats, streams.
func (t *Tap) passThrough(w http.ResponseWriter, r *http.Request) {
	f := t.drawFor(r)
	wait(r.Context(), f.delay, nil)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(t.target) },
		Transport:     t.client.Transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // an answer that breaks off is what taps are for
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	proxy.ServeHTTP(w, r)
}

// wait passes d, or less when more is closed.
func wait(ctx context.Context, d time.Duration, more <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-more:
	case <-ctx.Done():
	}
}

// deliver sends a request once and writes down what it and its answer say. The
// caller's patience does not count: what was sent may arrive after it has gone.
func (t *Tap) deliver(r *http.Request, body []byte) (status int, header http.Header, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 30*time.Second)
	defer cancel()
	u := *t.target
	u.Path, u.RawQuery = r.URL.Path, r.URL.RawQuery
	request, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header = r.Header.Clone()
	resp, err := t.client.Do(request)
	if err == nil {
		defer resp.Body.Close()
		status, header = resp.StatusCode, resp.Header
		answer, err = io.ReadAll(resp.Body)
	}
	t.mu.Lock()
	close(t.passed)
	t.passed = make(chan struct{})
	t.mu.Unlock()
	in, unknown := codec.Of(r.Header.Get("Content-Type"))
	x := exchange{in: in, body: body, status: status, out: codec.OfAnswer(header.Get("Content-Type")), answer: answer}
	if r.URL.Path == firjob.PathTrigger {
		err = errors.Join(err, unknown, t.recordTriggers(x))
	} else {
		err = errors.Join(err, unknown, t.recordResults(x))
	}
	return status, header, answer, err
}

// exchange is a request and its answer, each in its encoding.
type exchange struct {
	in, out      codec.Encoding
	body, answer []byte
	status       int // 0: no answer came
}

// recordTriggers writes down what the executor has accepted.
func (t *Tap) recordTriggers(x exchange) error {
	var batch firjob.TriggerBatch
	if err := codec.Decode(x.in, x.body, &batch); err != nil {
		return fmt.Errorf("a trigger batch that cannot be read: %w", err)
	}
	var reply firjob.TriggerReply
	if x.status != http.StatusOK || codec.Decode(x.out, x.answer, &reply) != nil ||
		len(reply.Results) != len(batch.Triggers) {
		return nil // refused as a whole, or unknown: the executor's handlers will tell
	}
	for i, tr := range batch.Triggers {
		if reply.Results[i] == firjob.Accepted {
			t.recorder.Record(
				checker.Event{Kind: checker.KindTrigger, Execution: tr.ID, Token: tr.Token, Attempt: tr.Attempt,
					Executor: t.Addr(), Incarnation: reply.Incarnation})
		}
	}
	return nil
}

// recordResults writes down what executors report and how that is answered.
func (t *Tap) recordResults(x exchange) error {
	var callback firjob.Callback
	if err := codec.Decode(x.in, x.body, &callback); err != nil {
		return fmt.Errorf("a callback that cannot be read: %w", err)
	}
	var reply firjob.CallbackReply
	if x.status == http.StatusOK || x.status == http.StatusConflict {
		_ = codec.Decode(x.out, x.answer, &reply) // without receipts nothing was acknowledged
	}
	for i, r := range callback.Results {
		e := checker.Event{Kind: checker.KindCallback, Execution: r.ID, Token: r.Token, Outcome: r.Outcome,
			Executor: callback.Address, Incarnation: callback.Incarnation, Status: x.status}
		if i < len(reply.Results) {
			e.Receipt = reply.Results[i]
			e.Status = http.StatusOK // of this result; the batch may hold a stale one
		}
		t.recorder.Record(e)
	}
	return nil
}

// Package dispatch is the sending side of the wire: one signed HTTP request
// carries many triggers to one executor. What it must get right is the
// difference between "no" and "no idea": only a definite refusal lets the
// scheduler try another executor with the same attempt.
//
//	refused (definite)   no connection was made · breaker open · any 4xx · 503
//	unknown              everything else that is not an answer: a request that
//	                     was written and then timed out, was reset or got
//	                     another status, an answer that cannot be read, and
//	                     any refusal of a request that net/http sent twice
package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/ports"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Options configures a Sender. The zero value is ready to use.
type Options struct {
	Timeout time.Duration // of one request; 2 s by default
	Log     *slog.Logger
}

// Sender sends to executors. It keeps connections and one breaker per executor
// process. It is safe for concurrent use.
type Sender struct {
	client   *http.Client
	timeout  time.Duration
	breakers breakers
}

// New returns a Sender.
func New(o Options) *Sender {
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dialer := &net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}
	return &Sender{
		timeout:  o.Timeout,
		breakers: breakers{log: o.Log.With("component", "dispatch")},
		client: &http.Client{
			Transport: &http.Transport{
				// No Proxy: a trigger goes to the registered address or nowhere.
				DialContext:         dialer.DialContext,
				MaxIdleConnsPerHost: 8,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true,
				WriteBufferSize:     64 << 10,
				ReadBufferSize:      16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close drops idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Ready reports whether the executor's breaker lets requests through.
func (s *Sender) Ready(to firjob.Executor) bool { return s.breakers.ready(to.Key()) }

// Send carries triggers to one executor in one request. On success the answers
// are in the order of triggers. An error is either a *firjob.Refused, which
// means that none of them has run or will, or leaves that unknown. Sending the
// same triggers to the same incarnation again is harmless: it answers as before.
func (s *Sender) Send(ctx context.Context, to firjob.Executor, key []byte, sentAt time.Time,
	triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
	batch := firjob.TriggerBatch{App: to.App, SentAt: sentAt, Triggers: triggers}
	var reply firjob.TriggerReply
	err := s.breakers.do(to.Key(), sentAt, func(speech *preference) error {
		in := speech.encoding()
		err := s.sendIn(ctx, in, speech, to, key, &batch, &reply)
		if misheard(in, err) {
			if err = s.sendIn(ctx, codec.JSON, speech, to, key, &batch, &reply); err == nil {
				speech.fallBack()
			}
		}
		if err != nil {
			return err
		}
		return sound(reply, to, len(triggers))
	})
	return reply.Results, err
}

// sendIn sends a batch in the given encoding.
func (s *Sender) sendIn(ctx context.Context, in codec.Encoding, speech *preference, to firjob.Executor, key []byte,
	batch *firjob.TriggerBatch, reply *firjob.TriggerReply) error {
	body, err := codec.Encode(in, batch)
	if err != nil {
		return &ports.Refused{Reason: fmt.Sprintf("the triggers cannot be written as %s", in), Cause: err}
	}
	return s.post(ctx, to, firjob.PathTrigger, key, batch.SentAt, in, body, func(answer []byte, h http.Header) error {
		speech.note(h)
		return codec.Decode(codec.OfAnswer(h.Get("Content-Type")), answer, reply)
	})
}

// sound checks an answer that would leave the outcome unknown.
func sound(reply firjob.TriggerReply, to firjob.Executor, triggers int) error {
	if len(reply.Results) != triggers {
		return fmt.Errorf("executor %s answered %d of %d triggers", to.Address, len(reply.Results), triggers)
	}
	if reply.Incarnation != to.Incarnation {
		return fmt.Errorf("executor %s answered as incarnation %q, not %q", to.Address, reply.Incarnation,
			to.Incarnation)
	}
	for _, a := range reply.Results {
		if !a.Known() {
			return fmt.Errorf("executor %s gave an answer that is not of the protocol", to.Address)
		}
	}
	return nil
}

// Cancel asks an executor to cancel attempts; it ignores those that it does
// not run.
func (s *Sender) Cancel(ctx context.Context, to firjob.Executor, key []byte, now time.Time,
	attempts []firjob.AttemptRef) error {
	body, err := json.Marshal(firjob.CancelBatch{Attempts: attempts})
	if err != nil {
		return fmt.Errorf("write cancel batch: %w", err)
	}
	return s.post(ctx, to, firjob.PathCancel, key, now, codec.JSON, body, nil)
}

// Probe asks an executor whether it still is the process it was: nil if it
// answers so, a *firjob.Refused if nobody listens there or another process
// does, any other error if that cannot be told.
func (s *Sender) Probe(ctx context.Context, to firjob.Executor, key []byte, now time.Time) error {
	_, err := s.ping(ctx, to, firjob.PathPing, key, now)
	return err
}

// Holding asks an executor which attempts it holds. A *firjob.Refused is as that
// of Probe; any other error says that it did not tell.
func (s *Sender) Holding(ctx context.Context, to firjob.Executor, key []byte,
	now time.Time) ([]firjob.AttemptRef, error) {
	ping, err := s.ping(ctx, to, firjob.PathHolding, key, now)
	if err == nil && ping.Holding == nil {
		err = fmt.Errorf("executor %s does not say what it holds", to.Address)
	}
	return ping.Holding, err
}

// maxPing bounds what is read of the answer to a ping, in bytes: a hundred
// thousand attempts, which is what a beat may name.
const maxPing = 16 << 20

func (s *Sender) ping(ctx context.Context, to firjob.Executor, path string, key []byte,
	now time.Time) (ping firjob.Ping, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+to.Address+path, nil)
	if err != nil {
		return ping, fmt.Errorf("probe %s: %w", to.Address, err)
	}
	firjob.Sign(req.Header, key, uuid.NewString(), now, nil)
	// net/http may send a GET twice, which is harmless: the answer and the refused
	// connection tell who listens now, whatever became of the first copy.
	resp, err := s.client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ping, &ports.Refused{Reason: "nobody listens at " + to.Address, Cause: err}
	}
	if err != nil {
		return ping, fmt.Errorf("probe %s: %w", to.Address, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPing)).Decode(&ping); err != nil ||
		resp.StatusCode != http.StatusOK {
		return ping, fmt.Errorf("probe %s: status %d", to.Address, resp.StatusCode)
	}
	if ping.Incarnation != to.Incarnation {
		return ping, &ports.Refused{Reason: "another process lives at " + to.Address}
	}
	return ping, nil
}

// reader reads the body of an answer; nil: there is nothing to read.
type reader func(answer []byte, h http.Header) error

func (s *Sender) post(ctx context.Context, to firjob.Executor, path string, key []byte, at time.Time, in codec.Encoding,
	body []byte, read reader) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+to.Address+path, bytes.NewReader(body))
	if err != nil {
		return &ports.Refused{Reason: fmt.Sprintf("%q is not an address", to.Address), Cause: err}
	}
	id := uuid.NewString()
	req.Header.Set("Content-Type", string(in))
	req.Header.Set(firjob.HeaderIncarnation, to.Incarnation)
	// With this header net/http sends a request again when the executor has closed
	// a kept connection: without it, each such request would wait for resendAfter
	// of the scheduler. The executor knows repeats; exchange knows what the first
	// copy may have done.
	req.Header.Set("Idempotency-Key", id)
	firjob.Sign(req.Header, key, id, at, body)
	return s.exchange(req, to, read)
}

// exchange does one request and sorts what can go wrong into refused and
// unknown. A connection may have carried the request as soon as net/http has got
// it. So a request is certainly not sent if there was no connection. If there
// were two, the executor may have read the first copy before it ended, and
// whatever became of the second is no refusal of the first.
func (s *Sender) exchange(req *http.Request, to firjob.Executor, read reader) error {
	connections := 0
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connections++ }, // runs in Do's own goroutine
	}))
	resp, err := s.client.Do(req)
	if sent := new(url.Error); errors.As(err, &sent) {
		err = sent.Err // it names the address once more
	}
	if err != nil && connections == 0 {
		return &ports.Refused{Reason: fmt.Sprintf("executor %s cannot be reached", to.Address), Cause: err}
	}
	if err != nil {
		return fmt.Errorf("executor %s did not answer: %w", to.Address, err)
	}
	defer resp.Body.Close()
	if refused := refusal(resp, to); refused != nil && connections > 1 {
		return fmt.Errorf("executor %s may have read the request, which was sent twice: %s", to.Address, refused.Reason)
	} else if refused != nil {
		return refused
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("executor %s answered with status %d", to.Address, resp.StatusCode)
	}
	if read == nil {
		return nil
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil {
		err = read(answer, resp.Header)
	}
	if err != nil {
		return fmt.Errorf("read the answer of executor %s: %w", to.Address, err)
	}
	return nil
}

// refusal returns what an answer refuses as a whole; nil if it does not.
func refusal(resp *http.Response, to firjob.Executor) *ports.Refused {
	switch code := resp.StatusCode; {
	case code == http.StatusMisdirectedRequest:
		return &ports.Refused{Reason: "another process lives at " + to.Address, Status: code}
	case code >= 400 && code < 500, code == http.StatusServiceUnavailable:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		reason := fmt.Sprintf("executor %s refused the request with status %d: %s", to.Address, code, text)
		return &ports.Refused{Reason: reason, Status: code}
	}
	return nil
}

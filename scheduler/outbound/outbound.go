// Package outbound makes the requests of HTTP jobs. Whoever may define a job
// chooses where they go, so what must hold is what they cannot do: reach what is
// not public, follow a redirect there, bring back more than a bounded answer, or
// be made twice.
//
//	one call is one request     no redirect is followed, no connection is kept
//	                            from an earlier one, nothing is sent again
//	to a public address         judged when the socket connects: see guard.go
//	with a bounded answer       headers, body and time
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/calltemplate"
)

// Options configures a Caller. The zero value reaches what is public.
type Options struct {
	Allow    Allow
	MaxBody  int           // bytes of an answer that are kept; 64 KiB by default
	Resolver *net.Resolver // of host names; the system's by default
	TLS      *tls.Config   // nil: the system's roots. Its MinVersion is 1.2 at least
}

// Caller makes requests. It keeps nothing between them and is safe for
// concurrent use.
type Caller struct {
	transport *http.Transport
	dialer    net.Dialer
	allow     Allow
	maxBody   int
}

// maxHeader bounds the headers of an answer, in bytes.
const maxHeader = 64 << 10

// New returns a Caller.
func New(o Options) *Caller {
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 10
	}
	c := &Caller{allow: o.Allow, maxBody: o.MaxBody}
	c.dialer = net.Dialer{Timeout: 10 * time.Second, Resolver: o.Resolver, ControlContext: c.control}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		config = o.TLS.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	}
	// The transport alone, without http.Client, follows no redirects.
	c.transport = &http.Transport{
		// No Proxy: it would connect in our place, unguarded.
		DialContext:            c.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		// A kept connection may turn out to be closed after the request was
		// written, and net/http would then send it again.
		DisableKeepAlives: true,
	}
	return c
}

// Request is one call of one attempt.
type Request struct {
	Call firjob.HTTPCall
	Task firjob.Trigger // what the call's variables stand for
	Key  []byte         // by which it is signed, if the call asks for it
	Now  time.Time      // that the signature tells
}

// Response is an answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // the first MaxBody bytes
	Cut    bool   // the body was longer
}

// MalformedError is the error of a call that cannot be made, whoever tries.
type MalformedError struct{ Cause error }

// Error returns the cause.
func (e *MalformedError) Error() string { return "the request cannot be made: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *MalformedError) Unwrap() error { return e.Cause }

// Do makes the request and reads the answer, whatever its status. Errors tell
// neither the path nor the query, headers or body, which may hold what is secret.
// A *MalformedError says that no request was made and none can be. Any other
// leaves open what the other side has done.
func (c *Caller) Do(ctx context.Context, r Request) (Response, error) {
	req, err := r.build(ctx)
	if err != nil {
		return Response{}, &MalformedError{Cause: err}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Response{}, fmt.Errorf("%s %s got no answer: %w", req.Method, req.URL.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Nobody asked for it; and its body is the connection, which heeds no context.
		return Response{Status: resp.StatusCode, Header: resp.Header}, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.maxBody)+1))
	if err != nil {
		return Response{}, fmt.Errorf("%s %s answered %d, and broke off: %w", req.Method, req.URL.Host, resp.StatusCode,
			err)
	}
	cut := len(body) > c.maxBody
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: body[:min(len(body), c.maxBody)], Cut: cut}, nil
}

// build makes the request with its variables filled in.
func (r Request) build(ctx context.Context) (*http.Request, error) {
	call, err := calltemplate.Expand(r.Call, calltemplate.Variables(r.Task))
	if err != nil {
		return nil, err
	}
	// A reader of a type that net/http does not know has no GetBody, without
	// which nothing is sent twice.
	var body io.Reader
	if call.Body != "" {
		body = io.MultiReader(strings.NewReader(call.Body))
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, call.URL, body)
	if err != nil {
		return nil, errors.New("its URL or method cannot be read")
	}
	req.ContentLength = int64(len(call.Body))
	if call.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "firjob")
	for name, value := range call.Headers {
		req.Header.Set(name, value)
	}
	id := r.Task.ID.String()
	req.Header.Set(firjob.HeaderExecution, id)
	req.Header.Set(firjob.HeaderToken, strconv.FormatInt(r.Task.Token, 10))
	req.Header.Set(firjob.HeaderAttempt, strconv.Itoa(r.Task.Attempt))
	req.Header.Set(firjob.HeaderIdempotencyKey, id)
	if call.Sign {
		firjob.Sign(req.Header, r.Key, fmt.Sprintf("%s-%d", id, r.Task.Token), r.Now, []byte(call.Body))
	}
	return req, nil
}

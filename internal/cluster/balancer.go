package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"
)

// balancer is the load balancer before the servers: round robin among those that
// are well, or among all when none is, and a server that does not listen is passed
// over.
type balancer struct {
	listener  net.Listener
	server    *http.Server
	transport *http.Transport
	targets   []*target
	turn      atomic.Uint64
	checks    sync.WaitGroup
	stop      context.CancelFunc // the checks
}

func newBalancer(listener net.Listener, targets []string) *balancer {
	b := &balancer{listener: listener, transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
	}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.URL.Scheme = "http"
			r.Out.URL.RawQuery = r.In.URL.RawQuery // what is wrong with it, the servers say
		},
		Transport:     b,
		ErrorLog:      log.New(io.Discard, "", 0), // the caller gets a 502, and says so
		FlushInterval: -1,
	}
	b.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 5 * time.Second}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	for _, host := range targets {
		t := &target{host: host}
		b.targets = append(b.targets, t)
		b.checks.Go(func() { t.watch(ctx, b.transport) })
	}
	return b
}

// RoundTrip sends a request to the next server that listens. The body is read
// first, for it may have to be sent again.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	var err error
	for _, host := range b.order() {
		try := req.Clone(req.Context())
		try.URL.Host = host
		try.Body = io.NopCloser(bytes.NewReader(body))
		var resp *http.Response
		if resp, err = b.transport.RoundTrip(try); err == nil {
			return resp, nil
		}
		if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" {
			return nil, err
		}
	}
	return nil, err
}

// order returns the servers in the order in which a request tries them: those
// that are sick come last.
func (b *balancer) order() []string {
	n := uint64(len(b.targets))
	first := b.turn.Add(1)
	var well, sick []string
	for i := range n {
		if t := b.targets[(first+i)%n]; t.sick.Load() {
			sick = append(sick, t.host)
		} else {
			well = append(well, t.host)
		}
	}
	return append(well, sick...)
}

func (b *balancer) addr() string { return b.listener.Addr().String() }

func (b *balancer) serve() error { return b.server.Serve(b.listener) }

// close ends the checks and every connection.
func (b *balancer) close() error {
	b.stop()
	b.checks.Wait()
	b.transport.CloseIdleConnections()
	return b.server.Close()
}

package outbound_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/scheduler/outbound"
)

var loopback = outbound.Allow{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

var task = firjob.Trigger{ID: firjob.Fire(7, time.Unix(1_800_000_000, 0)), JobID: 7, Job: "report", Attempt: 2, Token: 4711,
	Params: json.RawMessage(`{"region":"eu"}`)}

func request(method, url string) outbound.Request {
	return outbound.Request{Call: firjob.HTTPCall{Method: method, URL: url}, Task: task, Now: time.Unix(1_800_000_000, 0)}
}

// serve runs a server and counts its requests.
func serve(t *testing.T, handler http.HandlerFunc) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func TestDo(t *testing.T) {
	t.Parallel()
	key := firjob.SigningKey("a secret of more than thirty-two characters")
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = firjob.VerifySignature(r.Header, key, time.Unix(1_800_000_000, 0), body)
		}
		if err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "X-Region": "eu", "Firjob-Execution": task.ID.String(), "Firjob-Token": "4711",
			"Firjob-Attempt": "2", "Idempotency-Key": task.ID.String(), "Webhook-Id": task.ID.String() + "-4711",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("header %s: got %q, want %q", name, got, want)
			}
		}
		if got := fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body); got != `PUT /run/eu?t=4711 {"region": "eu", "n": 2}` {
			t.Errorf("got the request %s", got)
		}
		w.Header().Set("X-Request-Id", "abc")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	r := request(http.MethodPut, url+"/run/${params.region}?t=${token}")
	r.Call.Headers = map[string]string{"X-Region": "${params.region}"}
	r.Call.Body, r.Call.Sign, r.Key = `{"region": "${params.region}", "n": ${attempt}}`, true, key
	got, err := outbound.New(outbound.Options{Allow: loopback}).Do(t.Context(), r)
	if err != nil || got.Status != http.StatusTeapot || string(got.Body) != "short and stout" || got.Header.Get("X-Request-Id") != "abc" || got.Cut {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestForbiddenPlacesAreNotReached(t *testing.T) {
	t.Parallel()
	url, requests := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	dns := &names{of: map[string][]string{
		"rebound.example": {"127.0.0.1"}, "mapped.example": {"::ffff:127.0.0.1"}, "metadata.example": {"169.254.169.254"}, "six.example": {"::1"},
	}}
	caller := outbound.New(outbound.Options{Resolver: dns.resolver()})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "0.0.0.0", "[::]", "[fe80::1%25lo]",
		"rebound.example", "mapped.example", "metadata.example", "six.example"} {
		_, err := caller.Do(t.Context(), request(http.MethodGet, "http://"+host+":"+port+"/secret?password=hunter2"))
		if err == nil || !strings.Contains(err.Error(), "FIRJOB_EGRESS_ALLOW") {
			t.Errorf("%s: got %v, want it refused", host, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "/secret") {
			t.Errorf("%s: the error tells the URL: %v", host, err)
		}
	}
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "017700000001"} {
		if _, err := caller.Do(t.Context(), request(http.MethodGet, "http://"+host+":"+port)); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// The address that is judged is the one that is connected to, each time anew.
func TestRebindingIsFutile(t *testing.T) {
	t.Parallel()
	url, requests := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	dns := &names{of: map[string][]string{"changing.example": {"127.0.0.2", "127.0.0.1"}}}
	allow := outbound.Allow{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
	caller := outbound.New(outbound.Options{Allow: allow, Resolver: dns.resolver()})
	// Nobody listens at the first address; that it is allowed says nothing of the second.
	for i, want := range []string{"refused", "FIRJOB_EGRESS_ALLOW", "FIRJOB_EGRESS_ALLOW"} {
		_, err := caller.Do(t.Context(), request(http.MethodGet, "http://changing.example:"+port))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lookup %d: got %v, want %q", i+1, err, want)
		}
	}
	if dns.lookups != 3 || requests.Load() != 0 {
		t.Errorf("%d lookups, %d requests; want 3 and 0", dns.lookups, requests.Load())
	}
}

func TestAllowedHostsMayBeAnywhere(t *testing.T) {
	t.Parallel()
	url, requests := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	dns := &names{of: map[string][]string{"internal.example": {"127.0.0.1"}, "not.internal.example": {"127.0.0.1"}}}
	caller := outbound.New(outbound.Options{Allow: outbound.Allow{Hosts: []string{"internal.example"}}, Resolver: dns.resolver()})
	if _, err := caller.Do(t.Context(), request(http.MethodGet, "http://Internal.example:"+port)); err != nil {
		t.Errorf("the allowed host: %v", err)
	}
	if _, err := caller.Do(t.Context(), request(http.MethodGet, "http://not.internal.example:"+port)); err == nil {
		t.Error("a host below the allowed one was reached")
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	t.Parallel()
	url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	got, err := outbound.New(outbound.Options{Allow: loopback}).Do(t.Context(), request(http.MethodGet, url))
	if err != nil || got.Status != http.StatusTemporaryRedirect || got.Header.Get("Location") != "/elsewhere" || requests.Load() != 1 {
		t.Errorf("got %+v, %v after %d requests; want the redirect itself", got, err, requests.Load())
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			w.Header().Set("X-Long", strings.Repeat("x", 128<<10))
		}
		for range 64 { // more than is read: the writes fail in the end
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	caller := outbound.New(outbound.Options{Allow: loopback, MaxBody: 1000})
	got, err := caller.Do(t.Context(), request(http.MethodGet, url))
	if err != nil || len(got.Body) != 1000 || !got.Cut {
		t.Errorf("got %d bytes, cut %v, %v; want 1000 of more", len(got.Body), got.Cut, err)
	}
	if _, err := caller.Do(t.Context(), request(http.MethodGet, url+"/headers")); err == nil {
		t.Error("128 KiB of headers were taken")
	}
}

// A body that comes drop by drop ends with the context, as does an answer that
// never comes.
func TestSlowAnswersEndWithTheContext(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drops" {
			_, _ = io.WriteString(w, "a drop")
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
	})
	for _, path := range []string{"/drops", "/silence"} {
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			_, err := outbound.New(outbound.Options{Allow: loopback}).Do(ctx, request(http.MethodGet, url+path))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want the context's end", path, err)
			}
		})
		<-begun
		cancel()
		wait.Wait()
	}
}

// A connection that is handed over would be read for ever.
func TestNoConnectionIsHandedOver(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the other side closes
	})
	got, err := outbound.New(outbound.Options{Allow: loopback}).Do(t.Context(), request(http.MethodGet, url))
	if err != nil || got.Status != http.StatusSwitchingProtocols || len(got.Body) != 0 {
		t.Errorf("got %+v, %v; want the status alone", got, err)
	}
}

// A server that hangs up may have done the work. Nobody asks it twice.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reader := bufio.NewReader(conn)
			for i := 0; ; i++ {
				req, err := http.ReadRequest(reader)
				if err != nil {
					break
				}
				requests.Add(1)
				_, _ = io.Copy(io.Discard, req.Body)
				if strings.HasSuffix(req.URL.Path, "hang-up") {
					break
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	caller := outbound.New(outbound.Options{Allow: loopback})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		before := requests.Load()
		r := request(method, "http://"+listener.Addr().String()+"/warm-up")
		if _, err := caller.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		r.Call.URL = "http://" + listener.Addr().String() + "/hang-up"
		if _, err := caller.Do(t.Context(), r); err == nil {
			t.Errorf("%s: a hang-up is taken for an answer", method)
		}
		if n := requests.Load() - before; n != 2 {
			t.Errorf("%s: %d requests arrived, want one for each call", method, n)
		}
	}
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is refused
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := outbound.New(outbound.Options{Allow: loopback}).Do(t.Context(), request(http.MethodGet, server.URL))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: got %v", err)
	}
	config := server.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := outbound.New(outbound.Options{Allow: loopback, TLS: config}).Do(t.Context(), request(http.MethodGet, server.URL)); err != nil {
		t.Errorf("a certificate that is trusted: %v", err)
	}
}

func TestCallsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	r := request(http.MethodPost, "https://example.org/${params.absent}")
	_, err := outbound.New(outbound.Options{}).Do(t.Context(), r)
	if malformed := new(outbound.MalformedError); !errors.As(err, &malformed) {
		t.Errorf("got %v, want a MalformedError", err)
	}
}

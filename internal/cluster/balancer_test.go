package cluster

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A server that hangs, as a stopped process does, is left out once two checks
// have failed, and used again when it is back.
func TestBalancerLeavesOutWhoHangs(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	release := make(chan struct{})
	server := func(name string, hang func() bool) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hang() {
				select {
				case <-release:
				case <-r.Context().Done():
					return
				}
			}
			w.Header().Set("Server-Name", name)
		}))
		t.Cleanup(s.Close)
		return s
	}
	good := server("good", func() bool { return false })
	bad := server("bad", hangs.Load)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBalancer(listener, []string{good.Listener.Addr().String(), bad.Listener.Addr().String()})
	served := make(chan struct{})
	go func() { defer close(served); _ = b.serve() }()
	t.Cleanup(func() { _ = b.close(); <-served })

	hangs.Store(true)
	wantSick(t, b.targets[1], true)
	for range 4 {
		resp, err := http.Get("http://" + b.addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Server-Name"); got != "good" {
			t.Errorf("answered by %q, want the one that is well", got)
		}
	}
	hangs.Store(false)
	close(release)
	wantSick(t, b.targets[1], false)
	if got := b.order(); len(got) != 2 {
		t.Errorf("order: got %v, want both", got)
	}
}

// Without any server that is well, all are tried.
func TestBalancerTriesAllWhenNoneIsWell(t *testing.T) {
	t.Parallel()
	b := &balancer{targets: []*target{{host: "a"}, {host: "b"}, {host: "c"}}}
	for _, sick := range b.targets {
		sick.sick.Store(true)
	}
	if got := b.order(); len(got) != 3 {
		t.Errorf("order: got %v, want three", got)
	}
	b.targets[1].sick.Store(false)
	for range 3 {
		if got := b.order(); got[0] != "b" || len(got) != 3 {
			t.Errorf("order: got %v, want b first and three in all", got)
		}
	}
}

func wantSick(t *testing.T, server *target, want bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for server.sick.Load() != want {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: sick %t after 30 s, want %t", server.host, !want, want)
		}
	}
}

package cluster

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// The balancer's health checks: what a server gets wrong this often in a row
// takes it out, one good answer takes it in again.
const (
	checkInterval = 500 * time.Millisecond
	checkTimeout  = time.Second
	checksToFail  = 2
)

// target is a server as the balancer knows it.
type target struct {
	host string
	sick atomic.Bool
}

// watch asks the server how it is until ctx ends.
func (t *target) watch(ctx context.Context, via http.RoundTripper) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	failures := 0
	for {
		if t.ready(ctx, via) {
			failures = 0
		} else {
			failures++
		}
		t.sick.Store(failures >= checksToFail)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (t *target) ready(ctx context.Context, via http.RoundTripper) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.host+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// api calls the servers as a client does.
type api struct {
	base, token string
	http        *http.Client
}

func newAPI(base, token string) *api {
	return &api{base: base, token: token, http: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 5 * time.Second}}}
}

func (a *api) close() error {
	a.http.CloseIdleConnections()
	return nil
}

// refused is a definite no.
type refused struct {
	status int
	text   string
}

func (r *refused) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

// call sends a request. An error that is not a *refused leaves open whether it was
// carried out.
func (a *api) call(ctx context.Context, method, path, key string, body, reply any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("If-Match", "*") // whatever version there is
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	answer, err := a.send(req)
	if err != nil || reply == nil {
		return err
	}
	return json.Unmarshal(answer, reply)
}

func (a *api) send(req *http.Request) ([]byte, error) {
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%s %s: status %d: %s", req.Method, req.URL.Path, resp.StatusCode, answer)
	case resp.StatusCode >= 300:
		return nil, &refused{resp.StatusCode, string(answer)}
	}
	return answer, nil
}

// insist repeats a request that may be repeated until it is answered, or ctx ends.
func (a *api) insist(ctx context.Context, method, path, key string, body, reply any) error {
	for {
		err := a.call(ctx, method, path, key, body, reply)
		var no *refused
		if err == nil || errors.As(err, &no) {
			return err
		}
		if !passed(ctx, 300*time.Millisecond) {
			return errors.Join(err, ctx.Err())
		}
	}
}

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/firjob/firjob/internal/codec"
)

// maxReply bounds what is read of an answer, in bytes.
const maxReply = 8 << 20

// client sends requests to the server in the app's name.
type client struct {
	http        *http.Client
	base        string
	app, secret string
}

func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = maxInFlight + 3 // beats, questions and reports
	return &http.Client{
		Transport: transport,
		// A redirect would send the credentials somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// statusError is an answer other than the wanted one.
type statusError struct {
	status int
	detail string
	after  time.Duration // Retry-After; 0 = not told
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

// statusOf returns the status that err stands for, 0 if there was no answer.
func statusOf(err error) int {
	var answer *statusError
	if errors.As(err, &answer) {
		return answer.status
	}
	return 0
}

// post sends JSON and reads the answer into reply, unless that is nil. Any
// status that is not among want is a *statusError.
func (c *client) post(ctx context.Context, path string, body []byte, reply any, want ...int) error {
	_, answer, err := c.exchange(ctx, path, codec.JSON, body, want...)
	if err != nil || reply == nil {
		return err
	}
	if err := json.Unmarshal(answer, reply); err != nil {
		return fmt.Errorf("understand the answer of %s: %w", path, err)
	}
	return nil
}

// exchange sends a body in the given encoding and returns the answer.
func (c *client) exchange(ctx context.Context, path string, in codec.Encoding, body []byte,
	want ...int) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("make a request to %s: %w", path, err)
	}
	req.SetBasicAuth(c.app, c.secret)
	req.Header.Set("Content-Type", string(in))
	req.Header.Set("User-Agent", "firjob-worker-go")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("reach the server: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if !slices.Contains(want, res.StatusCode) {
		return nil, nil, &statusError{status: res.StatusCode, detail: detailOf(answer),
			after: retryAfter(res.Header, time.Now())}
	}
	return res.Header, answer, nil
}

// detailOf returns what a problem says about itself, nothing if it is none.
func detailOf(answer []byte) string {
	var p problem
	if json.Unmarshal(answer, &p) != nil {
		return ""
	}
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// retryAfter reads the header in both of its forms, seconds and a date
// (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

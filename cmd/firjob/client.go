package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// requestTimeout bounds one request, the reading of its answer included.
const requestTimeout = 30 * time.Second

// connection says which server a command asks, and as whom.
type connection struct {
	Server    string `env:"FIRJOB_SERVER_URL" default:"http://127.0.0.1:8080" placeholder:"URL" group:"Server:" help:"Address of a server; ${default} by default."`
	Token     string `env:"FIRJOB_TOKEN" placeholder:"TOKEN" group:"Server:" help:"The admin token. Other users of the machine can see what stands on a command line, so prefer the variable or a file."`
	TokenFile string `env:"FIRJOB_TOKEN_FILE" placeholder:"FILE" group:"Server:" help:"A file that holds the admin token."`
}

// ProvideClient gives commands their client.
func (c *connection) ProvideClient(p *process) (*client, error) {
	base, err := parseServer(c.Server)
	if err != nil {
		return nil, err
	}
	token, err := secretOf("token", c.Token, c.TokenFile)
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: token, tokenFrom: c.tokenFrom(p), baseFrom: c.serverFrom(p), now: p.now,
		http: &http.Client{Timeout: requestTimeout}}, nil
}

// tokenFrom says where the token comes from; "" if there is none.
func (c *connection) tokenFrom(p *process) string {
	switch {
	case c.TokenFile != "" && c.TokenFile == p.env("FIRJOB_TOKEN_FILE"):
		return "FIRJOB_TOKEN_FILE"
	case c.TokenFile != "":
		return "--token-file"
	case c.Token != "" && c.Token == p.env("FIRJOB_TOKEN"):
		return "FIRJOB_TOKEN"
	case c.Token != "":
		return "--token"
	}
	return ""
}

// serverFrom says where the address of the server comes from.
func (c *connection) serverFrom(p *process) string {
	switch {
	case p.env("FIRJOB_SERVER_URL") == c.Server:
		return "FIRJOB_SERVER_URL"
	case c.Server == defaultServer:
		return "the default"
	}
	return "--server"
}

const defaultServer = "http://127.0.0.1:8080"

func parseServer(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		// The text stays out of the message: it may hold a password.
		return nil, usagef("--server (FIRJOB_SERVER_URL) is not an address such as http://127.0.0.1:8080")
	}
	return base, nil
}

// client calls the HTTP API.
type client struct {
	base  *url.URL
	token string
	// Where these two come from, for errors.
	baseFrom, tokenFrom string

	now  func() time.Time
	http *http.Client
}

// call is one request. Path is relative to the server's address and escaped.
type call struct {
	method, path string
	query        url.Values
	body         any // sent as JSON; nil = none
	key          string
	match        string // the version that is to be changed
}

func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query})
}

func (c *client) post(ctx context.Context, path string, body any) ([]byte, error) {
	return c.do(ctx, call{method: http.MethodPost, path: path, body: body})
}

// change sends a PATCH or a DELETE for the version that is there now: should
// somebody else change it in between, the server refuses.
func (c *client) change(ctx context.Context, asked call) ([]byte, error) {
	_, header, err := c.send(ctx, call{method: http.MethodGet, path: asked.path})
	if err != nil {
		return nil, err
	}
	asked.match = header.Get("ETag")
	return c.do(ctx, asked)
}

// edit is change for a patch that is made from what is there now.
func (c *client) edit(ctx context.Context, path string, patch func(current []byte) (any, error)) ([]byte, error) {
	current, header, err := c.send(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	body, err := patch(current)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, call{method: http.MethodPatch, path: path, body: body, match: header.Get("ETag")})
}

// do sends a request and returns the JSON of the answer, empty where the API
// answers without one. Errors are *problem for what the server refuses.
func (c *client) do(ctx context.Context, asked call) ([]byte, error) {
	answer, _, err := c.send(ctx, asked)
	return answer, err
}

func (c *client) send(ctx context.Context, asked call) ([]byte, http.Header, error) {
	req, err := c.request(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, nil, c.problemOf(resp, answer)
	}
	if len(answer) > 0 && !json.Valid(answer) {
		return nil, nil, c.unreadable(resp, answer)
	}
	return answer, resp.Header, nil
}

// unreadable says what is wrong with an answer that is not to be read as JSON.
// One that calls itself JSON comes from an API, and may only be too much for
// this program: values that are nested more than 10000 deep, for instance.
func (c *client) unreadable(resp *http.Response, answer []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return fmt.Errorf("%s answered %s with something that is not JSON: is it a firjob server?", c.base, resp.Status)
	}
	var v json.RawMessage
	return fmt.Errorf("%s answered %s with JSON that cannot be read: %w", c.base, resp.Status,
		json.Unmarshal(answer, &v))
}

func (c *client) request(ctx context.Context, asked call) (*http.Request, error) {
	var body io.Reader
	if asked.body != nil {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(asked.body); err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = &text
	}
	at := c.base.JoinPath(asked.path)
	at.RawQuery = asked.query.Encode()
	req, err := http.NewRequestWithContext(ctx, asked.method, at.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if asked.key != "" {
		req.Header.Set("Idempotency-Key", asked.key)
	}
	if asked.match != "" {
		req.Header.Set("If-Match", asked.match)
	}
	return req, nil
}

// unreachable says that no answer came, and what may help.
func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &unreachableError{server: c.base.String(), from: c.baseFrom, cause: err}
}

// unreachableError is the error of a request that got no answer.
type unreachableError struct {
	server string
	from   string // what says so
	cause  error
}

// Error says what may help.
func (e *unreachableError) Error() string {
	why := ""
	var sent *url.Error
	switch {
	case errors.Is(e.cause, syscall.ECONNREFUSED):
	case errors.As(e.cause, &sent) && sent.Timeout():
		why = fmt.Sprintf(": no answer within %v", requestTimeout)
	case errors.As(e.cause, &sent):
		why = fmt.Sprintf(": %v", sent.Err)
	default:
		why = fmt.Sprintf(": %v", e.cause)
	}
	from := ""
	if e.from != "" {
		from = " (" + e.from + ")"
	}
	return fmt.Sprintf("cannot reach %s%s%s: is the server running? set --server or FIRJOB_SERVER_URL", e.server, from,
		why)
}

// Unwrap returns the cause.
func (e *unreachableError) Unwrap() error { return e.cause }

// maxPage is the largest page the API gives.
const maxPage = 500

// page is one answer of a list.
type page struct {
	Items         []json.RawMessage `json:"items"`
	NextPageToken string            `json:"next_page_token"`
}

// list collects up to limit items (0: all) from as many pages as that takes. It
// answers like the API, as one page.
func (c *client) list(ctx context.Context, path string, query url.Values, limit int) ([]byte, error) {
	all := page{Items: []json.RawMessage{}}
	for {
		size := maxPage
		if limit > 0 {
			size = min(maxPage, limit-len(all.Items))
		}
		query.Set("page_size", strconv.Itoa(size))
		answer, err := c.get(ctx, path, query)
		if err != nil {
			return nil, err
		}
		var one page
		if err := json.Unmarshal(answer, &one); err != nil {
			return nil, notUnderstood(err)
		}
		all.Items, all.NextPageToken = append(all.Items, one.Items...), one.NextPageToken
		if one.NextPageToken == "" || limit > 0 && len(all.Items) >= limit {
			return json.Marshal(all)
		}
		query.Set("page_token", one.NextPageToken)
	}
}

// filtered is list for what only keep can select: it looks at each page.
func (c *client) filtered(ctx context.Context, path string, query url.Values, limit int,
	keep func(json.RawMessage) (bool, error)) ([]byte, error) {
	all := page{Items: []json.RawMessage{}}
	query.Set("page_size", strconv.Itoa(maxPage))
	for {
		answer, err := c.get(ctx, path, query)
		if err != nil {
			return nil, err
		}
		var one page
		if err := json.Unmarshal(answer, &one); err != nil {
			return nil, notUnderstood(err)
		}
		for _, item := range one.Items {
			kept, err := keep(item)
			if err != nil {
				return nil, notUnderstood(err)
			}
			if kept && limit > 0 && len(all.Items) == limit {
				all.NextPageToken = "more"
				return json.Marshal(all)
			}
			if kept {
				all.Items = append(all.Items, item)
			}
		}
		if one.NextPageToken == "" {
			return json.Marshal(all)
		}
		query.Set("page_token", one.NextPageToken)
	}
}

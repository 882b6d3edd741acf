// Package client calls the HTTP API for the commands: where the server is, the token,
// requests, pages, errors, and the names of jobs, executions and apps.
package client

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

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// RequestTimeout bounds one request, the reading of its answer included.
const RequestTimeout = 30 * time.Second

// Connection says which server a command calls, and with which token.
type Connection struct {
	Server    string `env:"FIRJOB_SERVER_URL" default:"http://127.0.0.1:8080" placeholder:"URL" group:"Server:" help:"Address of a server; ${default} by default."`
	Token     string `env:"FIRJOB_TOKEN" placeholder:"TOKEN" group:"Server:" help:"The admin token. Other users of the machine can see a command line, so prefer the variable or a file."`
	TokenFile string `env:"FIRJOB_TOKEN_FILE" placeholder:"FILE" group:"Server:" help:"A file that holds the admin token."`
}

// ProvideClient gives commands their client.
func (c *Connection) ProvideClient(p *console.Process) (*Client, error) {
	base, err := parseServer(c.Server)
	if err != nil {
		return nil, err
	}
	token, err := console.SecretOf("token", c.Token, c.TokenFile)
	if err != nil {
		return nil, err
	}
	return &Client{Base: base, Token: token, tokenFrom: c.tokenFrom(p), BaseFrom: c.serverFrom(p), Now: p.Now,
		HTTP: &http.Client{Timeout: RequestTimeout}}, nil
}

// tokenFrom says where the token comes from; "" if there is none.
func (c *Connection) tokenFrom(p *console.Process) string {
	switch {
	case c.TokenFile != "" && c.TokenFile == p.Env("FIRJOB_TOKEN_FILE"):
		return "FIRJOB_TOKEN_FILE"
	case c.TokenFile != "":
		return "--token-file"
	case c.Token != "" && c.Token == p.Env("FIRJOB_TOKEN"):
		return "FIRJOB_TOKEN"
	case c.Token != "":
		return "--token"
	}
	return ""
}

// serverFrom says where the address of the server comes from.
func (c *Connection) serverFrom(p *console.Process) string {
	switch {
	case p.Env("FIRJOB_SERVER_URL") == c.Server:
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
		return nil, console.Usagef("--server (FIRJOB_SERVER_URL) is not an address such as http://127.0.0.1:8080")
	}
	return base, nil
}

// Client calls the HTTP API.
type Client struct {
	Base  *url.URL
	Token string
	// Where these two come from, for errors.
	BaseFrom, tokenFrom string

	Now  func() time.Time
	HTTP *http.Client
}

// Call is one request. Path is relative to the server's address and escaped.
type Call struct {
	Method, Path string
	Query        url.Values
	Body         any // sent as JSON; nil = none
	Key          string
	match        string // the version that is to be changed
}

func (c *Client) Get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.Do(ctx, Call{Method: http.MethodGet, Path: path, Query: query})
}

func (c *Client) Post(ctx context.Context, path string, body any) ([]byte, error) {
	return c.Do(ctx, Call{Method: http.MethodPost, Path: path, Body: body})
}

// Change sends a PATCH or a DELETE for the version that is there now. The server
// refuses it if the object changes in between.
func (c *Client) Change(ctx context.Context, asked Call) ([]byte, error) {
	_, header, err := c.Send(ctx, Call{Method: http.MethodGet, Path: asked.Path})
	if err != nil {
		return nil, err
	}
	asked.match = header.Get("ETag")
	return c.Do(ctx, asked)
}

// Edit is change for a patch that is made from what is there now.
func (c *Client) Edit(ctx context.Context, path string, patch func(current []byte) (any, error)) ([]byte, error) {
	current, header, err := c.Send(ctx, Call{Method: http.MethodGet, Path: path})
	if err != nil {
		return nil, err
	}
	body, err := patch(current)
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, Call{Method: http.MethodPatch, Path: path, Body: body, match: header.Get("ETag")})
}

// Do sends a request and returns the JSON of the answer, empty where the API
// answers without one. Errors are *problem for what the server refuses.
func (c *Client) Do(ctx context.Context, asked Call) ([]byte, error) {
	answer, _, err := c.Send(ctx, asked)
	return answer, err
}

func (c *Client) Send(ctx context.Context, asked Call) ([]byte, http.Header, error) {
	req, err := c.Request(ctx, asked)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, nil, c.Unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, c.Unreachable(ctx, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, nil, c.ProblemOf(resp, answer)
	}
	if len(answer) > 0 && !json.Valid(answer) {
		return nil, nil, c.unreadable(resp, answer)
	}
	return answer, resp.Header, nil
}

// unreadable says what is wrong with an answer that is not to be read as JSON.
// One that calls itself JSON comes from an API, and may only be too much for
// this program: values that are nested more than 10000 deep, for instance.
func (c *Client) unreadable(resp *http.Response, answer []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return fmt.Errorf("%s answered %s with something that is not JSON: is it a firjob server?", c.Base, resp.Status)
	}
	var v json.RawMessage
	return fmt.Errorf("%s answered %s with JSON that cannot be read: %w", c.Base, resp.Status,
		json.Unmarshal(answer, &v))
}

func (c *Client) Request(ctx context.Context, asked Call) (*http.Request, error) {
	var body io.Reader
	if asked.Body != nil {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(asked.Body); err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = &text
	}
	at := c.Base.JoinPath(asked.Path)
	at.RawQuery = asked.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, asked.Method, at.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if asked.Key != "" {
		req.Header.Set("Idempotency-Key", asked.Key)
	}
	if asked.match != "" {
		req.Header.Set("If-Match", asked.match)
	}
	return req, nil
}

// Unreachable says that no answer came, and what may help.
func (c *Client) Unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &UnreachableError{Server: c.Base.String(), From: c.BaseFrom, Cause: err}
}

// UnreachableError is the error of a request that got no answer.
type UnreachableError struct {
	Server string
	From   string // what says so
	Cause  error
}

// Error says what may help.
func (e *UnreachableError) Error() string {
	why := ""
	var sent *url.Error
	switch {
	case errors.Is(e.Cause, syscall.ECONNREFUSED):
	case errors.As(e.Cause, &sent) && sent.Timeout():
		why = fmt.Sprintf(": no answer within %v", RequestTimeout)
	case errors.As(e.Cause, &sent):
		why = fmt.Sprintf(": %v", sent.Err)
	default:
		why = fmt.Sprintf(": %v", e.Cause)
	}
	from := ""
	if e.From != "" {
		from = " (" + e.From + ")"
	}
	return fmt.Sprintf("cannot reach %s%s%s: is the server running? set --server or FIRJOB_SERVER_URL", e.Server, from,
		why)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Cause }

// MaxPage is the largest page the API gives.
const MaxPage = 500

// Page is one answer of a list.
type Page struct {
	Items         []json.RawMessage `json:"items"`
	NextPageToken string            `json:"next_page_token"`
}

// List collects up to limit items (0: all) from as many pages as that takes. It
// answers like the API, as one page.
func (c *Client) List(ctx context.Context, path string, query url.Values, limit int) ([]byte, error) {
	all := Page{Items: []json.RawMessage{}}
	for {
		size := MaxPage
		if limit > 0 {
			size = min(MaxPage, limit-len(all.Items))
		}
		query.Set("page_size", strconv.Itoa(size))
		answer, err := c.Get(ctx, path, query)
		if err != nil {
			return nil, err
		}
		var one Page
		if err := json.Unmarshal(answer, &one); err != nil {
			return nil, console.NotUnderstood(err)
		}
		all.Items, all.NextPageToken = append(all.Items, one.Items...), one.NextPageToken
		if one.NextPageToken == "" || limit > 0 && len(all.Items) >= limit {
			return json.Marshal(all)
		}
		query.Set("page_token", one.NextPageToken)
	}
}

// Filtered is list for what only keep can select: it looks at each page.
func (c *Client) Filtered(ctx context.Context, path string, query url.Values, limit int,
	keep func(json.RawMessage) (bool, error)) ([]byte, error) {
	all := Page{Items: []json.RawMessage{}}
	query.Set("page_size", strconv.Itoa(MaxPage))
	for {
		answer, err := c.Get(ctx, path, query)
		if err != nil {
			return nil, err
		}
		var one Page
		if err := json.Unmarshal(answer, &one); err != nil {
			return nil, console.NotUnderstood(err)
		}
		for _, item := range one.Items {
			kept, err := keep(item)
			if err != nil {
				return nil, console.NotUnderstood(err)
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

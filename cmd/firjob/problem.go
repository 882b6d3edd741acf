package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// problem is an error that the API answered with (RFC 9457).
type problem struct {
	Status    int
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	TokenFrom string `json:"-"` // where the token that was sent comes from; "": none was
	Errors    []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// problemOf reads an answer that is an error. What does not speak like the API,
// a proxy for instance, is quoted by its status alone.
func (c *client) problemOf(resp *http.Response, answer []byte) *problem {
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Title == "" && p.Detail == "" {
		p = problem{Title: fmt.Sprintf("%s answered %s", c.base, resp.Status)}
	}
	p.Status, p.TokenFrom = resp.StatusCode, c.tokenFrom
	return &p
}

// Error gives the title and the detail, then each faulty field, what may help
// and the request's id on lines of their own. The values of fields stay out: the
// user has them, and one may be a secret.
func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(oneLine(p.Title))
	if p.Detail != "" {
		b.WriteString(": " + oneLine(p.Detail))
	}
	for _, e := range p.Errors {
		_, field, inside := strings.Cut(e.Location, ".") // the part of the request that it is in
		if !inside {
			field = e.Location
		}
		fmt.Fprintf(&b, "\n  %s: %s", oneLine(field), oneLine(e.Message))
	}
	if p.Status == http.StatusUnauthorized {
		sent := "no token was sent"
		if p.TokenFrom != "" {
			sent = "the token of " + p.TokenFrom + " was refused"
		}
		b.WriteString("\n  " + sent +
			": give the server's admin token by FIRJOB_TOKEN, FIRJOB_TOKEN_FILE or --token-file")
	}
	if p.RequestID != "" {
		b.WriteString("\n  request id: " + oneLine(p.RequestID))
	}
	return b.String()
}

// passing reports whether a failure may be over soon.
func passing(err error) bool {
	var none *unreachableError
	var refused *problem
	return errors.As(err, &none) || errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError
}

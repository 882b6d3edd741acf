package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// Problem is an error that the API answered with (RFC 9457).
type Problem struct {
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

// ProblemOf reads an answer that is an error. What does not speak like the API,
// a proxy for instance, is quoted by its status alone.
func (c *Client) ProblemOf(resp *http.Response, answer []byte) *Problem {
	var p Problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Title == "" && p.Detail == "" {
		p = Problem{Title: fmt.Sprintf("%s answered %s", c.Base, resp.Status)}
	}
	p.Status, p.TokenFrom = resp.StatusCode, c.tokenFrom
	return &p
}

// Error gives the title and the detail, then each faulty field, what may help
// and the request's id on lines of their own. The values of fields stay out: the
// user has them, and one may be a secret.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(console.OneLine(p.Title))
	if p.Detail != "" {
		b.WriteString(": " + console.OneLine(p.Detail))
	}
	for _, e := range p.Errors {
		_, field, inside := strings.Cut(e.Location, ".") // the part of the request that it is in
		if !inside {
			field = e.Location
		}
		fmt.Fprintf(&b, "\n  %s: %s", console.OneLine(field), console.OneLine(e.Message))
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
		b.WriteString("\n  request id: " + console.OneLine(p.RequestID))
	}
	return b.String()
}

// Passing reports whether a failure may be over soon.
func Passing(err error) bool {
	var none *UnreachableError
	var refused *Problem
	return errors.As(err, &none) || errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError
}

package calltemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/firjob/firjob"
)

// Limits of an HTTP call once its variables are filled in, in bytes.
const (
	MaxExpandedURL    = 16 << 10
	MaxExpandedHeader = 16 << 10
	MaxExpandedBody   = 1 << 20
)

// Variables returns what the variables of an HTTP call stand for in the call of t.
func Variables(t firjob.Trigger) Values {
	return func(name string) (json.RawMessage, error) { return variable(t, name) }
}

func variable(t firjob.Trigger, name string) (json.RawMessage, error) {
	switch field, ofParams := strings.CutPrefix(name, "params."); {
	case name == "id", name == "idempotency_key":
		return jsonText(t.ID.String()), nil
	case name == "job":
		return jsonText(t.Job), nil
	case name == "job_id":
		return json.RawMessage(strconv.FormatUint(uint64(t.JobID), 10)), nil
	case name == "scheduled_at":
		return jsonText(t.ScheduledAt.UTC().Format("2006-01-02T15:04:05.000Z")), nil
	case name == "attempt":
		return json.RawMessage(strconv.Itoa(t.Attempt)), nil
	case name == "token":
		return json.RawMessage(strconv.FormatInt(t.Token, 10)), nil
	case name == "params" && len(t.Params) == 0:
		return json.RawMessage("null"), nil
	case name == "params":
		return t.Params, nil
	case ofParams:
		return fieldOf(t.Params, field)
	}
	return nil, errNoVariable
}

var errNoVariable = errors.New(
	"there is no such variable; there are id, idempotency_key, job, job_id, scheduled_at, attempt, token, params and " +
		"params.<field>")

func fieldOf(params json.RawMessage, name string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(params, &fields) // what is no object has no fields
	value, ok := fields[name]
	if !ok {
		return nil, fmt.Errorf("the params have no field %q", name)
	}
	return value, nil
}

func jsonText(text string) json.RawMessage {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string: it cannot fail
	}
	return quoted
}

// Values gives what a variable of an HTTP call stands for, as JSON.
type Values func(name string) (json.RawMessage, error)

// Expand returns c with values in place of its variables. A text stands there without its quotes, anything else as its
// JSON text. What surrounds a variable decides how it is written, so that no value
// can be more than a value:
//
//	URL                    percent-encoded, letters, digits, "-", ".", "_" and "~" apart
//	JSON, within a string  escaped as JSON wants it
//	JSON, elsewhere        the JSON value itself, quotes included
//	form                   percent-encoded
//	header, other bodies   as it is; a header takes no control characters
//
// A body is JSON or a form if the header Content-Type says so; one without that
// header is JSON. The errors say which part is at fault, in words.
func Expand(c firjob.HTTPCall, value Values) (firjob.HTTPCall, error) {
	out := c
	var err error
	if out.URL, err = expandURL(c.URL, value); err != nil {
		return c, fmt.Errorf("url: %w", err)
	}
	out.Headers = make(map[string]string, len(c.Headers))
	for name, text := range c.Headers {
		if out.Headers[name], err = expand(text, MaxExpandedHeader, value, inHeader); err != nil {
			return c, fmt.Errorf("header %s: %w", name, err)
		}
	}
	if out.Body, err = expandBody(c, value); err != nil {
		return c, fmt.Errorf("body: %w", err)
	}
	return out, nil
}

func expandBody(c firjob.HTTPCall, value Values) (string, error) {
	switch kind := ContentType(c); {
	case isJSON(kind):
		return expandJSON(c.Body, value)
	case kind == "application/x-www-form-urlencoded":
		return expand(c.Body, MaxExpandedBody, value, percent)
	}
	return expand(c.Body, MaxExpandedBody, value, plain)
}

func isJSON(kind string) bool { return kind == "application/json" || strings.HasSuffix(kind, "+json") }

// ContentType returns the type of the body, in lower case and without
// parameters; JSON if no header says otherwise.
func ContentType(c firjob.HTTPCall) string {
	for name, value := range c.Headers {
		if strings.EqualFold(name, "Content-Type") {
			kind, _, _ := mime.ParseMediaType(value)
			return kind
		}
	}
	return "application/json"
}

// expandURL also sees to it that values change neither the host nor the depth of
// the path.
func expandURL(text string, value Values) (string, error) {
	whole, err := expand(text, MaxExpandedURL, value, percent)
	if err != nil {
		return "", err
	}
	before, err := url.Parse(text)
	if err != nil {
		return "", errors.New("cannot be read")
	}
	after, err := url.Parse(whole)
	if err != nil || after.Host != before.Host || after.Scheme != before.Scheme || after.User != nil {
		return "", errors.New("is not a URL of the same host once its variables are filled in")
	}
	if dots(after.Path) > dots(before.Path) {
		return "", errors.New(`a variable makes "." or ".." of a part of the path`)
	}
	return whole, nil
}

// dots counts the parts of a path that lead to itself or up.
func dots(path string) (n int) {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			n++
		}
	}
	return n
}

// expand puts values in place of variables, each written by write.
func expand(text string, limit int, value Values, write func(text string) (string, error)) (string, error) {
	var out strings.Builder
	for part := range callParts(text) {
		if !part.variable {
			out.WriteString(part.text)
			continue
		}
		v, err := value(part.text)
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", part.text, err)
		}
		written, err := write(unquoted(v))
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", part.text, err)
		}
		if out.WriteString(written); out.Len() > limit {
			return "", tooLong(limit)
		}
	}
	return out.String(), nil
}

func tooLong(limit int) error {
	return fmt.Errorf("has more than %d bytes once its variables are filled in", limit)
}

// unquoted returns a JSON string's text, and any other value as it is.
func unquoted(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil && string(v) != "null" {
		return text
	}
	return string(v)
}

func plain(text string) (string, error) { return text, nil }

func percent(text string) (string, error) {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20"), nil
}

func inHeader(text string) (string, error) {
	if strings.ContainsFunc(text, IsControl) {
		return "", errors.New("has a control character, which a header cannot hold")
	}
	return text, nil
}

// expandJSON writes values by where in the JSON they stand.
func expandJSON(text string, value Values) (string, error) {
	var out strings.Builder
	var place jsonPlace
	for part := range callParts(text) {
		if !part.variable {
			place.pass(part.text)
			out.WriteString(part.text)
			continue
		}
		v, err := value(part.text)
		switch {
		case err != nil:
			return "", fmt.Errorf("${%s}: %w", part.text, err)
		case place.escaped:
			return "", fmt.Errorf("${%s} follows a backslash", part.text)
		case place.quoted:
			v = jsonText(unquoted(v))
			v = v[1 : len(v)-1]
		}
		if out.Write(v); out.Len() > MaxExpandedBody {
			return "", tooLong(MaxExpandedBody)
		}
	}
	return out.String(), nil
}

// jsonPlace is a place in JSON: within a string, after a backslash there, or
// elsewhere.
type jsonPlace struct{ quoted, escaped bool }

// pass moves the place beyond text.
func (p *jsonPlace) pass(text string) {
	for _, c := range []byte(text) {
		switch {
		case p.escaped:
			p.escaped = false
		case c == '\\':
			p.escaped = p.quoted
		case c == '"':
			p.quoted = !p.quoted
		}
	}
}

// callPart is a piece of a text of an HTTP call: a literal, or a variable's name.
type callPart struct {
	text     string
	variable bool
}

// callParts cuts a text at its variables. $$ is a dollar sign, and so is a $ that
// no brace follows. A brace that is not closed makes a variable of all the rest, the
// brace included, which none has for a name.
func callParts(text string) iter.Seq[callPart] {
	return func(yield func(callPart) bool) {
		for text != "" {
			i := strings.IndexByte(text, '$')
			if i < 0 || i == len(text)-1 {
				yield(callPart{text: text})
				return
			}
			literal, rest := text[:i], text[i+1:]
			switch {
			case rest[0] == '{':
				name, after, closed := strings.Cut(rest[1:], "}")
				if !closed {
					name = rest
				}
				if literal != "" && !yield(callPart{text: literal}) || !yield(callPart{name, true}) {
					return
				}
				text = after
			default:
				if !yield(callPart{text: literal + "$"}) {
					return
				}
				text = strings.TrimPrefix(rest, "$")
			}
		}
	}
}

// Check returns the faults of the variables of an HTTP call, one of each field at
// most, and that of a JSON body that is none once they are filled in.
func Check(c firjob.HTTPCall) (faults []firjob.FieldError) {
	sample := func(name string) (json.RawMessage, error) {
		if len(name) > len("params.") && strings.HasPrefix(name, "params.") {
			return json.RawMessage("0"), nil
		}
		return variable(firjob.Trigger{}, name)
	}
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, firjob.FieldError{Field: field, Message: err.Error()})
		}
	}
	if _, err := url.Parse(c.URL); err == nil { // else callURL has said so
		_, err = expandURL(c.URL, sample)
		fault("http.url", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		_, err := expand(c.Headers[name], MaxExpandedHeader, sample, inHeader)
		fault("http.headers."+name, err)
	}
	body, err := expandBody(c, sample)
	fault("http.body", err)
	if err == nil && body != "" && isJSON(ContentType(c)) && !json.Valid([]byte(body)) {
		faults = append(faults, firjob.FieldError{Field: "http.body",
			Message: "is not JSON once its variables are filled in; a header Content-Type says what else it is"})
	}
	return faults
}

// IsControl reports whether the value of a header cannot hold c.
func IsControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

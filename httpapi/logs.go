package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Lines of a page of a log.
const (
	defaultLines = 500
	maxLines     = 5000
)

// routeLogs adds the logs of executions. The route bypasses huma: one path
// answers as JSON, as text and as a stream of events.
func (s *server) routeLogs() {
	s.router.With(s.requireAdmin).Get("/api/v1/executions/{id}/logs", s.handle(s.serveLog))
}

// logEntryBody is a line as the API shows it.
type logEntryBody struct {
	At      instant         `json:"at"`
	Level   string          `json:"level" doc:"DEBUG, INFO, WARN or ERROR, or a form in between such as INFO+2"`
	Text    string          `json:"text"`
	Attrs   json.RawMessage `json:"attrs,omitempty" doc:"An object"`
	Attempt int             `json:"attempt" example:"1"`
	Line    int64           `json:"line" doc:"Number within the attempt, from 1" example:"1"`
}

func lineOf(e ports.LogEntry) logEntryBody {
	return logEntryBody{At: instant(e.At), Level: e.Level, Text: e.Text, Attrs: e.Attrs, Attempt: e.Attempt,
		Line: e.Cursor.Line}
}

// logBody is a page of a log.
type logBody struct {
	Items         []logEntryBody `json:"items" nullable:"false"`
	Cut           int64          `json:"cut" doc:"Lines at the beginning that are no longer kept"`
	NextPageToken string         `json:"next_page_token" doc:"page_token of the next page; empty when no more lines have come yet"`
}

// logQuery is what a request for a log asks for.
type logQuery struct {
	filter       ports.LogFilter
	follow, text bool
}

func (s *server) serveLog(w http.ResponseWriter, r *http.Request) error {
	var id firjob.ExecutionID
	if err := id.UnmarshalText([]byte(chi.URLParam(r, "id"))); err != nil {
		return faulty("path.id", chi.URLParam(r, "id"), err.Error())
	}
	q, err := readLogQuery(r)
	if err != nil {
		return err
	}
	if q.follow {
		return s.followLog(w, r, id, q.filter)
	}
	page, err := s.Store.Logs(r.Context(), id, q.filter)
	if err != nil {
		return fmt.Errorf("read the log of execution %v: %w", id, err)
	}
	if q.text {
		return s.downloadLog(w, r, id, q.filter, page)
	}
	body := logBody{Items: []logEntryBody{}, Cut: page.Cut}
	for _, e := range page.Lines {
		body.Items = append(body.Items, lineOf(e))
	}
	if page.More {
		body.NextPageToken = cursorText(page.Next)
	}
	writeJSON(w, jsonType, http.StatusOK, body)
	return nil
}

// readLogQuery reads the parameters and lists every fault of theirs.
func readLogQuery(r *http.Request) (logQuery, error) {
	p := logParams{query: r.URL.Query()}
	q := logQuery{filter: ports.LogFilter{
		Limit:   p.number("page_size", defaultLines, 1, maxLines),
		Attempt: p.number("attempt", 0, 1, 1<<15-1),
		After:   p.cursor("page_token"),
	}}
	if text := p.query.Get("level"); text != "" {
		q.filter.MinLevel = true
		if q.filter.Level.UnmarshalText([]byte(text)) != nil {
			p.fault("level", "must be DEBUG, INFO, WARN or ERROR")
		}
	}
	q.follow = p.truth("follow") || strings.Contains(r.Header.Get("Accept"), mimeEvents)
	q.text = p.oneOf("format", "json", "text") == "text"
	if since := p.cursor("since"); since != (ports.LogCursor{}) {
		q.filter.After = since
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" && q.follow {
		if after, err := parseCursor(last); err == nil {
			q.filter.After = after
		} else {
			p.list = append(p.list, firjob.FieldError{Field: "header.Last-Event-ID", Value: last, Message: err.Error()})
		}
	}
	if q.follow && q.text {
		p.fault("format", "contradicts follow: a stream is of events")
	}
	q.follow = q.follow && r.Method == http.MethodGet
	return q, p.err()
}

// logParams reads parameters and collects their faults.
type logParams struct {
	query url.Values
	list  []firjob.FieldError
}

func (p *logParams) fault(name, message string) {
	p.list = append(p.list, firjob.FieldError{Field: "query." + name, Value: p.query.Get(name), Message: message})
}

func (p *logParams) number(name string, otherwise, low, high int) int {
	text := p.query.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		p.fault(name, fmt.Sprintf("must be a whole number, %d to %d", low, high))
	}
	return n
}

func (p *logParams) truth(name string) bool {
	text := p.query.Get(name)
	if text == "" {
		return p.query.Has(name) // ?follow
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		p.fault(name, "must be true or false")
	}
	return yes
}

func (p *logParams) oneOf(name string, words ...string) string {
	text := p.query.Get(name)
	if text != "" && !slices.Contains(words, text) {
		p.fault(name, "must be "+strings.Join(words, " or "))
	}
	return text
}

func (p *logParams) cursor(name string) ports.LogCursor {
	text := p.query.Get(name)
	if text == "" {
		return ports.LogCursor{}
	}
	c, err := parseCursor(text)
	if err != nil {
		p.fault(name, err.Error())
	}
	return c
}

// err also finds fault with parameters that nobody has asked for, and with those
// that are there twice.
func (p *logParams) err() error {
	known := []string{"attempt", "follow", "format", "level", "page_size", "page_token", "since"}
	for _, name := range slices.Sorted(maps.Keys(p.query)) {
		switch {
		case !slices.Contains(known, name):
			p.fault(name, "is not a known parameter; there are "+strings.Join(known, ", "))
		case len(p.query[name]) > 1:
			p.fault(name, repeated)
		}
	}
	return firjob.Invalid(p.list)
}

// cursorText writes a place in a log: the attempt's token, then the line.
func cursorText(c ports.LogCursor) string { return fmt.Sprintf("%d-%d", c.Token, c.Line) }

func parseCursor(text string) (ports.LogCursor, error) {
	token, line, _ := strings.Cut(text, "-")
	var c ports.LogCursor
	var err error
	if c.Token, err = strconv.ParseInt(token, 10, 64); err == nil {
		c.Line, err = strconv.ParseInt(line, 10, 64)
	}
	if err != nil || c.Token < 0 || c.Line < 0 || c.Line > maxLineNumber {
		return ports.LogCursor{}, fmt.Errorf("must be the place of a line, such as 4711-12")
	}
	return c, nil
}

// downloadLog writes the lines from a first page on as text. An error of the
// connection has nobody to go to.
func (s *server) downloadLog(w http.ResponseWriter, r *http.Request, id firjob.ExecutionID, filter ports.LogFilter,
	page ports.LogPage) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+id.String()+`.log"`)
	if page.Cut > 0 {
		fmt.Fprintf(w, "… %d earlier lines are no longer kept\n", page.Cut)
	}
	for writeLines(w, page.Lines); page.More; writeLines(w, page.Lines) {
		filter.After = page.Next
		var err error
		if page, err = s.Store.Logs(r.Context(), id, filter); err != nil {
			s.log.WarnContext(r.Context(), "a log was not written to its end", "execution", id, "error", err)
			panic(http.ErrAbortHandler) // a client must not take the half of it for all
		}
	}
	return nil
}

func writeLines(w io.Writer, lines []ports.LogEntry) {
	for _, e := range lines {
		attrs := ""
		if len(e.Attrs) > 0 {
			attrs = " " + string(e.Attrs)
		}
		fmt.Fprintf(w, "%s %d:%d %-5s %s%s\n", e.At.UTC().Format(instantFormat), e.Attempt, e.Cursor.Line, e.Level,
			e.Text, attrs)
	}
}

func (s *server) describeLogs(doc *huma.OpenAPI) {
	text := &huma.Schema{Type: huma.TypeString}
	param := func(name, schemaType, about string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: about, Schema: &huma.Schema{Type: schemaType}}
	}
	doc.AddOperation(&huma.Operation{
		OperationID: "get-execution-log", Method: http.MethodGet, Path: "/api/v1/executions/{id}/logs",
		Tags:    []string{"Executions"},
		Summary: "Read or follow an execution's log",
		Description: "Attempts in their order, then lines. With follow, or Accept: text/event-stream, the answer is " +
			"a stream of Server-Sent Events: " +
			"line (with the id <token>-<line>), cut, progress and at last end, which carries the final state. A " +
			"client that comes back with " +
			"Last-Event-ID, at any server, goes on after that line.",
		Security: []map[string][]string{{securityAdmin: {}}},
		Parameters: []*huma.Param{
			{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}},
			param("page_size", huma.TypeInteger,
				fmt.Sprintf("Lines of a page, %d at most; %d by default", maxLines, defaultLines)),
			param("page_token", huma.TypeString, "next_page_token of the page before"),
			param("attempt", huma.TypeInteger, "Lines of this attempt"),
			param("level", huma.TypeString, "Lines of this level and above: DEBUG, INFO, WARN or ERROR"),
			param("follow", huma.TypeBoolean, "Stream what comes until the execution has ended"),
			param("since", huma.TypeString, "The id of an event: what comes after it"),
			param("format", huma.TypeString, "json, or text for a download"),
			{Name: "Last-Event-ID", In: "header", Schema: text},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
				jsonType:     {Schema: s.schemaOf(reflect.TypeFor[logBody]())},
				"text/plain": {Schema: text},
				mimeEvents:   {Schema: text},
			}},
			"default": s.problemResponse(),
		},
	})
}

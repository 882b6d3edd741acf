package executions

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
	"github.com/firjob/firjob/cmd/firjob/internal/view"
)

type executionLogsCmd struct {
	client.ExecutionArg
	Follow  bool   `short:"f" help:"Follow the log until the execution ends."`
	Attempt int    `placeholder:"N" help:"Only lines of this attempt."`
	Level   string `placeholder:"LEVEL" help:"Only lines of this level and above: DEBUG, INFO, WARN or ERROR."`
}

func (executionLogsCmd) Help() string {
	return "Example:\n\n    firjob execution logs -f 019c8e5a-3a00-8000-8000-00000000002a"
}

func (c *executionLogsCmd) Run(ctx context.Context, p *console.Process, api *client.Client, out *console.Output) error {
	query := url.Values{}
	client.PutQuery(query, "level", c.Level)
	if c.Attempt != 0 {
		query.Set("attempt", fmt.Sprint(c.Attempt))
	}
	path, err := c.Path(ctx, api, "logs")
	if err != nil {
		return err
	}
	if c.Follow {
		t := &logTail{api: api, out: out, notes: p.Stderr, path: path, query: query}
		return t.follow(ctx)
	}
	log, err := readLog(ctx, api, path, query)
	if err != nil {
		return err
	}
	if out.JSON {
		answer, err := json.Marshal(log)
		if err != nil {
			return err
		}
		return out.WriteJSON(answer)
	}
	if len(log.Items) == 0 && log.Cut == 0 {
		return out.Done(nil, "The log has no such lines.")
	}
	writeCut(out.W, log.Cut)
	for _, item := range log.Items {
		if err := writeLogLine(out, item); err != nil {
			return err
		}
	}
	return nil
}

// logAnswer is a log as the API gives it.
type logAnswer struct {
	Items         []json.RawMessage `json:"items"`
	Cut           int64             `json:"cut"`
	NextPageToken string            `json:"next_page_token"`
}

// readLog reads a log from as many pages as that takes.
func readLog(ctx context.Context, api *client.Client, path string, query url.Values) (logAnswer, error) {
	all := logAnswer{Items: []json.RawMessage{}}
	for {
		answer, err := api.Get(ctx, path, query)
		if err != nil {
			return all, err
		}
		var one logAnswer
		if err := json.Unmarshal(answer, &one); err != nil {
			return all, console.NotUnderstood(err)
		}
		all.Items, all.Cut = append(all.Items, one.Items...), one.Cut
		if one.NextPageToken == "" {
			return all, nil
		}
		query.Set("page_token", one.NextPageToken)
	}
}

func writeCut(w io.Writer, lines int64) {
	if lines > 0 {
		fmt.Fprintf(w, "… %s no longer kept\n", console.Counted(int(lines), "earlier line is", "earlier lines are"))
	}
}

// writeLogLine writes a line for people. Its text may have several lines; those
// after the first are indented.
func writeLogLine(out *console.Output, item json.RawMessage) error {
	var l struct {
		firjob.LogLine
		Attempt int `json:"attempt"`
	}
	if err := json.Unmarshal(item, &l); err != nil {
		return console.NotUnderstood(err)
	}
	text := strings.TrimRight(l.Text, "\n")
	if len(l.Attrs) > 0 {
		text += "  " + string(l.Attrs)
	}
	first, rest, more := strings.Cut(text, "\n")
	at := l.At.In(out.Clock.Zone).Format("2006-01-02 15:04:05.000")
	_, err := fmt.Fprintf(out.W, "%s  %d  %-5s  %s\n", at, l.Attempt, console.OneLine(l.Level), console.OneLine(first))
	for line := range strings.SplitSeq(rest, "\n") {
		if more && err == nil {
			_, err = fmt.Fprintf(out.W, "    %s\n", console.OneLine(line))
		}
	}
	return err
}

// logTail follows a log. When the server stops, it asks again, and goes on after the
// last line.
type logTail struct {
	api   *client.Client
	out   *console.Output
	notes io.Writer
	path  string
	query url.Values

	last     string // id of the last line
	failures int    // in a row
	ended    bool
}

// Silence of a stream: the server breaks it every 15 s.
const longestSilence = 45 * time.Second

func (t *logTail) follow(ctx context.Context) error {
	t.query.Set("follow", "true")
	for {
		err := t.stream(ctx)
		switch {
		case t.ended || ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !client.Passing(err):
			return err
		}
		if t.failures++; t.failures == view.MaxFailures {
			return errors.Join(fmt.Errorf("the stream of the log broke off %d times in a row", t.failures), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(view.SlowestLook):
		}
	}
}

// stream reads one stream to its end.
func (t *logTail) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(longestSilence, cancel)
	defer silence.Stop()
	req, err := t.api.Request(ctx, client.Call{Method: http.MethodGet, Path: t.path, Query: t.query})
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if t.last != "" {
		req.Header.Set("Last-Event-ID", t.last)
	}
	resp, err := (&http.Client{Transport: t.api.HTTP.Transport}).Do(req) // without the bound of one answer
	if err != nil {
		return &client.UnreachableError{Server: t.api.Base.String(), From: t.api.BaseFrom, Cause: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return t.api.ProblemOf(resp, answer)
	}
	lines := bufio.NewReader(resp.Body)
	for event := (serverEvent{}); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return &client.UnreachableError{Server: t.api.Base.String(), From: t.api.BaseFrom, Cause: err}
		}
		silence.Reset(longestSilence)
		if event.take(strings.TrimRight(line, "\r\n")) {
			continue
		}
		if err := t.tell(event); err != nil || t.ended {
			return err
		}
		event = serverEvent{}
	}
}

// serverEvent is one event of a stream.
type serverEvent struct{ id, name, data string }

// take adds a line and reports whether the event goes on.
func (e *serverEvent) take(line string) bool {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		e.id = value
	case "event":
		e.name = value
	case "data":
		e.data += value
	}
	return line != ""
}

// tell shows an event.
func (t *logTail) tell(e serverEvent) error {
	if e.id != "" {
		t.last, t.failures = e.id, 0
	}
	if t.ended = e.name == "end"; t.out.JSON && e.name != "" {
		_, err := fmt.Fprintf(t.out.W, `{"event":%q,"data":%s}`+"\n", e.name, e.data)
		return err
	}
	var v struct {
		Lines   int64        `json:"lines"`
		Percent int          `json:"percent"`
		Note    string       `json:"note"`
		State   firjob.State `json:"state"`
		Reason  string       `json:"reason"`
	}
	if e.name != "" && json.Unmarshal([]byte(e.data), &v) != nil {
		return console.NotUnderstood(fmt.Errorf("the event %q", e.name))
	}
	switch e.name {
	case "line":
		return writeLogLine(t.out, json.RawMessage(e.data))
	case "cut":
		writeCut(t.notes, v.Lines)
	case "progress":
		fmt.Fprintf(t.notes, "%d %%  %s\n", v.Percent, console.OneLine(v.Note))
	case "end":
		fmt.Fprintf(t.notes, "%s  %s\n", v.State, console.OneLine(v.Reason))
	}
	return nil
}

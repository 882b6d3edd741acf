package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

const mimeEvents = "text/event-stream"

// Numbers of the streams of logs.
const (
	defaultFollowers = 100
	pollLog          = 300 * time.Millisecond
	// quietLooks is how many looks must show nothing new before the log of an
	// execution that has ended is taken to be whole: its last lines travel beside
	// its result.
	quietLooks = 4
	// keepAlive is the longest silence of a stream: proxies end those that are
	// silent for longer.
	keepAlive   = 15 * time.Second
	lookTimeout = 2 * time.Second
	// eventTimeout bounds the writing of what one look has found.
	eventTimeout = 10 * time.Second
)

// followLog streams a log as Server-Sent Events (WHATWG HTML, section 9.2). All
// of it is read from the store, so that a client that comes back with the id of
// the last line it saw goes on at any replica.
func (s *server) followLog(w http.ResponseWriter, r *http.Request, id firjob.ExecutionID,
	filter ports.LogFilter) error {
	select {
	case s.followers <- struct{}{}:
		defer func() { <-s.followers }()
	default:
		return firjob.Errorf(firjob.CodeUnavailable, "this server streams %d logs already", cap(s.followers))
	}
	ctx := unhurried(r.Context())
	page, err := s.Store.Logs(r.Context(), id, filter)
	if err != nil {
		return fmt.Errorf("read the log of execution %v: %w", id, err)
	}
	f := &follower{store: s.Store, id: id, filter: filter, out: openEvents(w), stopping: s.Stopping}
	f.run(ctx, page)
	return nil
}

// follower tells one client what a log gets.
type follower struct {
	store    Store
	id       firjob.ExecutionID
	filter   ports.LogFilter
	out      *eventStream
	stopping <-chan struct{}

	cut      int64
	progress firjob.Progress
	quiet    int // looks at an ended execution that showed nothing new
}

// run streams from a first page on, until the end of the execution, of the
// client or of the server.
func (f *follower) run(ctx context.Context, page ports.LogPage) {
	tick := time.NewTicker(pollLog)
	defer tick.Stop()
	now := make(chan time.Time)
	close(now)
	for f.tell(page) {
		next := tick.C
		if page.More {
			next = now
		}
		select {
		case <-ctx.Done():
			return
		case <-f.stopping:
			f.out.comment("this server is stopping; connect again")
			f.out.flush()
			return
		case <-next:
			page = f.look(ctx)
		}
	}
}

// look reads what has come. While the store is away there is nothing new.
func (f *follower) look(ctx context.Context) ports.LogPage {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	page, err := f.store.Logs(ctx, f.id, f.filter)
	if err != nil {
		return ports.LogPage{Next: f.filter.After, Cut: f.cut}
	}
	return page
}

// tell writes what a page has of news. It returns false when that was the last.
func (f *follower) tell(page ports.LogPage) bool {
	if page.Cut > f.cut {
		f.cut = page.Cut
		f.out.event("", "cut", map[string]int64{"lines": page.Cut})
	}
	for _, e := range page.Lines {
		f.out.event(cursorText(e.Cursor), "line", lineOf(e))
	}
	if p := page.Progress; p != nil && !p.At.Equal(f.progress.At) {
		f.progress = *p
		f.out.event("", "progress", progressBody{p.Percent, p.Note, instant(p.At)})
	}
	f.filter.After = page.Next
	f.quiet++
	if !page.Ended || len(page.Lines) > 0 {
		f.quiet = 0
	}
	ended := f.quiet >= quietLooks
	if ended {
		f.out.event("", "end", endBody{page.State, page.Reason})
	}
	return f.out.flush() && !ended
}

// endBody is the last event of a stream.
type endBody struct {
	State  firjob.State `json:"state"`
	Reason string       `json:"reason"`
}

// eventStream writes events. Nothing is sent before flush.
type eventStream struct {
	w    http.ResponseWriter
	conn *http.ResponseController
	text bytes.Buffer
	sent time.Time
}

// openEvents begins a stream: the bounds of a request do not hold for it.
func openEvents(w http.ResponseWriter) *eventStream {
	e := &eventStream{w: w, conn: http.NewResponseController(w)}
	_ = e.conn.SetReadDeadline(time.Time{}) // as in deadlines: tests have none
	h := w.Header()
	h.Set("Content-Type", mimeEvents+"; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would gather the events
	w.WriteHeader(http.StatusOK)
	e.text.WriteString("retry: 1000\n\n")
	return e
}

func (e *eventStream) event(id, name string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		return // a line whose attributes are broken says nothing to anybody
	}
	if id != "" {
		fmt.Fprintf(&e.text, "id: %s\n", id)
	}
	fmt.Fprintf(&e.text, "event: %s\ndata: %s\n\n", name, data)
}

func (e *eventStream) comment(text string) { fmt.Fprintf(&e.text, ": %s\n\n", text) }

// flush sends what was written, or a sign of life if there was nothing for
// long. It returns false when the client has gone.
func (e *eventStream) flush() bool {
	now := time.Now()
	if e.text.Len() == 0 && now.Sub(e.sent) < keepAlive {
		return true
	}
	if e.text.Len() == 0 {
		e.comment("nothing new")
	}
	_ = e.conn.SetWriteDeadline(now.Add(eventTimeout))
	_, err := e.w.Write(e.text.Bytes())
	e.text.Reset()
	e.sent = now
	return err == nil && e.conn.Flush() == nil
}

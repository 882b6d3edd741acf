package worker

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/firjob/firjob"
)

// progressEvery is the least time between two words on the progress of an
// attempt, but for its last one.
const progressEvery = time.Second

// What is kept of one attempt, in bytes, and what a line and a stream take
// beside their text.
const (
	maxAttemptKept = 1 << 20
	lineCost       = 64
	streamCost     = 1 << 10
)

// stream is what one attempt has said of itself and no report has taken up yet.
// An attempt gets one when it says something. The reporter's lock guards the
// fields below the line.
type stream struct {
	reporter *reporter
	ref      firjob.AttemptRef

	queued    bool
	lines     []line // oldest first
	size      int    // bytes that they take
	taken     int64  // lines that reports have taken up
	dropped   int    // lines for which there was no room, since then
	droppedAt time.Time
	progress  *progress // the latest, nil once it is taken up
	toldAt    time.Time // when a report took up progress
	last      bool      // the handler has ended: its progress need not wait
	cut       bool      // the server has said that the log is full; only the reporter's run uses it
}

// line is a firjob.LogLine as JSON.
type line struct {
	at   time.Time
	text []byte
}

// progress is what a handler last said of how far it is.
type progress struct {
	percent int
	note    string
}

func (l line) cost() int { return len(l.text) + lineCost }

// add takes a line. Above the limit of an attempt, or of all, the oldest go.
func (s *stream) add(l line) {
	r := s.reporter
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.enqueue(s)
	s.lines = append(s.lines, l)
	s.grow(l.cost())
	for s.size > maxAttemptKept {
		s.drop()
	}
	r.makeRoom()
}

// tell takes the latest progress in place of the one before.
func (s *stream) tell(p progress) {
	r := s.reporter
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	s.progress = &p
	r.enqueue(s)
	r.makeRoom()
}

// end has what is left sent soon: the handler has ended.
func (s *stream) end() {
	r := s.reporter
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.queued {
		s.last = true
		r.hurry()
	}
}

func (s *stream) grow(bytes int) {
	s.size += bytes
	s.reporter.size += bytes
}

func (s *stream) drop() {
	l := s.pop()
	s.dropped++
	s.droppedAt = l.at
}

func (s *stream) pop() line {
	l := s.lines[0]
	s.lines[0] = line{}
	s.lines = s.lines[1:]
	s.grow(-l.cost())
	return l
}

func (s *stream) empty() bool { return len(s.lines) == 0 && s.dropped == 0 && s.progress == nil }

// take returns what a report may take up now: lines, progress, both or nothing.
func (s *stream) take(room int, now time.Time, force bool) (parts []*part) {
	if p := s.takeLines(room); p != nil {
		parts = append(parts, p)
	}
	if p := s.takeProgress(now, force); p != nil {
		parts = append(parts, p)
	}
	return parts
}

// takeLines makes a part of as many lines as fit into room bytes, of one at
// least; nil if there are none. Lines that were dropped are a line that says so.
func (s *stream) takeLines(room int) *part {
	if len(s.lines) == 0 && s.dropped == 0 {
		return nil
	}
	p := &part{said: s}
	p.text = fmt.Appendf(nil, `{"id":"%s","token":%d,"first":%d,"lines":[`, s.ref.ID, s.ref.Token, s.taken+1)
	if s.dropped > 0 {
		p.add(encodeLine(s.droppedAt, slog.LevelWarn, fmt.Sprintf("%s %d lines dropped", cutMark, s.dropped), nil))
		s.dropped = 0
	}
	for len(s.lines) > 0 && (p.lines == 0 || p.size()+len(s.lines[0].text) <= room) {
		p.add(s.pop().text)
	}
	p.text = append(p.text, "]}"...)
	s.taken += int64(p.lines)
	return p
}

// takeProgress makes a part of the latest progress, nil if there is none that
// may be told yet.
func (s *stream) takeProgress(now time.Time, force bool) *part {
	if s.progress == nil || (!force && !s.last && now.Sub(s.toldAt) < progressEvery) {
		return nil
	}
	text := fmt.Appendf(nil, `{"id":"%s","token":%d,"percent":%d`, s.ref.ID, s.ref.Token, s.progress.percent)
	if s.progress.note != "" {
		text = appendQuoted(append(text, `,"note":`...), s.progress.note)
	}
	s.progress, s.toldAt = nil, now
	return &part{said: s, text: append(text, '}')}
}

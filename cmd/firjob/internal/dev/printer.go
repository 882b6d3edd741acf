package dev

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// devPrinter prints what dev and its processes say. A process that is being
// stopped warns of what it could not finish, which is of no use to the reader
// unless the stop fails: hold keeps such lines back.
type devPrinter struct {
	printer

	mu      sync.Mutex
	shown   map[string]*similar // by process and shape
	holding bool
	held    [][2]string // process and line, the latest heldLines
}

const heldLines = 100

// process prints a line of a process.
func (p *devPrinter) process(name, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding {
		p.held = append(p.held, [2]string{name, line})
		p.held = slices.Delete(p.held, 0, max(0, len(p.held)-heldLines))
		return
	}
	if note, ok := p.fresh(name, line); ok {
		p.line("%-9s %s%s", name, ownTime.ReplaceAllString(line, ""), note)
	}
}

// ownTime is the time of day that a process puts before a line: the printer's
// stands there already.
var ownTime = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} `)

// warning matches the beginning of a line that warns.
var warning = regexp.MustCompile(ownTime.String() + `WRN `)

// varies matches what differs between lines that say the same.
var varies = regexp.MustCompile(`\b(error|took|request_id)=("(?:[^"\\]|\\.)*"|\S+)`)

// similar counts lines of a process that say the same.
type similar struct {
	at     time.Time // of the last one that was printed
	hidden int       // since then
}

// While Postgres is away each server warns of it many times a second. A warning that
// says the same as one of the last similarFor is counted instead of printed.
const (
	similarFor  = 10 * time.Second
	similarMost = 1000 // lines that are remembered
)

// fresh reports whether a line is to be printed, with a note of how many similar ones
// were left out before it.
func (p *devPrinter) fresh(name, line string) (note string, ok bool) {
	if !warning.MatchString(line) {
		return "", true
	}
	if p.shown == nil || len(p.shown) > similarMost {
		p.shown = make(map[string]*similar)
	}
	shape := name + " " + varies.ReplaceAllString(ownTime.ReplaceAllString(line, ""), "")
	now := p.now()
	last := p.shown[shape]
	switch {
	case last == nil:
		p.shown[shape] = &similar{at: now}
		return "", true
	case now.Sub(last.at) < similarFor:
		last.hidden++
		return "", false
	}
	if last.hidden > 0 {
		note = " (and " + console.Counted(last.hidden, "similar line", "similar lines") + " before)"
	}
	*last = similar{at: now}
	return note, true
}

func (p *devPrinter) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = true
}

// release prints what was held back, and all that follows.
func (p *devPrinter) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = false
	for _, line := range p.held {
		p.line("%-9s %s", line[0], ownTime.ReplaceAllString(line[1], ""))
	}
	p.held = nil
}

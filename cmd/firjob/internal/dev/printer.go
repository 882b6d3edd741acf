package dev

import (
	"slices"
	"sync"
)

// devPrinter prints what dev and its processes say. A process that is being
// stopped warns of what it could not finish, which is of no use to the reader
// unless the stop fails: hold keeps such lines back.
type devPrinter struct {
	printer

	mu      sync.Mutex
	holding bool
	held    [][2]string // process and line, the latest heldLines
}

const heldLines = 100

// process prints a line of a process.
func (p *devPrinter) process(name, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.holding {
		p.line("%-9s %s", name, line)
		return
	}
	p.held = append(p.held, [2]string{name, line})
	p.held = slices.Delete(p.held, 0, max(0, len(p.held)-heldLines))
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
		p.line("%-9s %s", line[0], line[1])
	}
	p.held = nil
}

package main

import "runtime/debug"

// gcPercent is how much may be allocated before the next collection, in percent of
// what is live. The live heap of a server or an executor is small, a few MB, and
// most of what it allocates lives for one batch: at Go's 100 % it is collected many
// times a second under load. This takes some 30 MB more then, and a dozen idle.
const gcPercent = 400

// collectSeldom sets gcPercent, unless the operator has set GOGC. GOMEMLIMIT, if it
// is set, bounds the heap in either case.
func (p *process) collectSeldom() {
	if p.env("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

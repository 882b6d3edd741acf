package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent is how much may be allocated before the next collection, in percent of
// what is live. The live heap of a server or an executor is small, a few MB, and
// most of what it allocates lives for one batch: at Go's 100 % it is collected many
// times a second under load. This takes some 30 MB more then; tidy gives it back.
const gcPercent = 400

// CollectSeldom sets gcPercent and, until ctx ends, gives back what a burst has
// left; neither if the operator has set GOGC. GOMEMLIMIT, if it is set, bounds the
// heap in either case.
func CollectSeldom(ctx context.Context, env func(string) string) {
	if env("GOGC") != "" {
		return
	}
	debug.SetGCPercent(gcPercent)
	go tidy(ctx)
}

// Numbers of giving back.
const (
	// quietLook is the time between looks at the heap, and quietAllocs how much may
	// be allocated meanwhile for the process to be at rest. At rest a server
	// allocates 1.2 MB in that time.
	quietLook   = 10 * time.Second
	quietAllocs = 8 << 20
	// worthReturning is how much the heap must have grown since it was last given
	// back. Of 170 MB, with 7 MB live, that took 10 to 14 ms of CPU, and 7 to 10 for
	// the collection before it; all else stood still for 0.3 ms of these.
	worthReturning = 8 << 20
)

// tidy gives back to the system what a burst has left, as soon as the process is at
// rest. The next collection would come late, since the heap may grow to five times
// what was live in the burst, and a process at rest allocates little.
func tidy(ctx context.Context) {
	look := time.NewTicker(quietLook)
	defer look.Stop()
	var r rest
	for {
		select {
		case <-look.C:
			if r.worth(readHeap()) {
				runtime.GC() // the first collection leaves what is in pools to the second
				debug.FreeOSMemory()
				r.kept = readHeap().size
			}
		case <-ctx.Done():
			return
		}
	}
}

// heap is what the runtime says of the heap, in bytes.
type heap struct {
	allocated uint64 // ever
	size      uint64 // live, not yet collected, and free but not given back
}

func readHeap() heap {
	read := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(read)
	h := heap{allocated: read[0].Value.Uint64()}
	for _, part := range read[1:] {
		h.size += part.Value.Uint64()
	}
	return h
}

// rest tells when the heap is to be given back.
type rest struct {
	allocated uint64 // at the last look
	kept      uint64 // size of the heap after it was last given back
}

// worth reports, look by look, whether the process is at rest and giving back is
// worth while.
func (r *rest) worth(h heap) bool {
	quiet := h.allocated-r.allocated <= quietAllocs
	r.allocated = h.allocated
	return quiet && h.size > r.kept+worthReturning
}

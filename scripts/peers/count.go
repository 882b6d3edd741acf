package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// reading is how many executions there had been at a time.
type reading struct {
	at time.Time
	n  int64
}

// countEvery is how often a worker that counts writes the number down.
const countEvery = 50 * time.Millisecond

// counting returns a counter whose value is kept in a file until ctx ends. What
// cannot be written is seen by who reads: the number stands still.
func counting(ctx context.Context, path string) *atomic.Int64 {
	n := new(atomic.Int64)
	go func() {
		for passed(ctx, countEvery) {
			text := fmt.Sprintf("%d %d\n", time.Now().UnixNano(), n.Load())
			if os.WriteFile(path+".new", []byte(text), 0o600) == nil {
				_ = os.Rename(path+".new", path)
			}
		}
	}()
	return n
}

// readCount reads such a file; one that is not there yet says zero.
func readCount(path string) (r reading, err error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	var nanos int64
	if _, err := fmt.Sscan(string(text), &nanos, &r.n); err != nil {
		return r, fmt.Errorf("read the count %q: %w", text, err)
	}
	r.at = time.Unix(0, nanos)
	return r, nil
}

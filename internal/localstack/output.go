package localstack

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// tailLines is how much of a child's last output an error repeats.
const tailLines = 15

// output receives what a child prints: each line goes to the log at debug
// level, and the last ones are kept for the error that may follow.
type output struct {
	log *slog.Logger

	mu      sync.Mutex
	partial []byte
	tail    []string
}

func newOutput(log *slog.Logger, component string) *output {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &output{log: log.With("component", component)}
}

// Write never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, whole := bytes.Cut(o.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		o.add(string(line))
		o.partial = rest
	}
}

func (o *output) add(line string) {
	o.log.Debug(line)
	if len(o.tail) == tailLines {
		o.tail = o.tail[1:]
	}
	o.tail = append(o.tail, line)
}

// String gives the last lines.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(strings.Join(o.tail, "\n") + "\n" + string(o.partial))
}

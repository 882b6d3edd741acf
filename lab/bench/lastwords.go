package bench

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// lastWords keeps the last lines that processes have printed, for when one ends.
type lastWords struct {
	mu    sync.Mutex
	lines []string
}

// kept is how many lines are kept.
const kept = 20

func (w *lastWords) add(process, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == kept {
		w.lines = w.lines[1:]
	}
	w.lines = append(w.lines, fmt.Sprintf("  %s  %s", process, line))
}

// explain adds the lines to an error.
func (w *lastWords) explain(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || len(w.lines) == 0 {
		return err
	}
	return errors.Join(err, errors.New("the last that the processes said:\n"+strings.Join(w.lines, "\n")))
}

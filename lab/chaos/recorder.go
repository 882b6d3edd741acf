package chaos

import (
	"fmt"
	"os"
	"sync"

	"github.com/firjob/firjob/lab/checker"
)

// Recorder writes a history. Its file may be appended to by other processes at
// the same time. It is safe for concurrent use.
type Recorder struct {
	file *os.File

	mu  sync.Mutex
	err error // the first
}

// NewRecorder opens the history at path and appends to it.
func NewRecorder(path string) (*Recorder, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	return &Recorder{file: file}, nil
}

// Record stamps an event and writes it.
func (r *Recorder) Record(e checker.Event) {
	if err := checker.Write(r.file, checker.Stamped(e)); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err == nil {
			r.err = err
		}
	}
}

// Close returns the first error of any write, without which the history is
// whole.
func (r *Recorder) Close() error {
	err := r.file.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return err
}

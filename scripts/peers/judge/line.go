package judge

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Event is what a handler did.
type Event string

// The events of a handler.
const (
	Start Event = "start"
	End   Event = "end"   // it did all of its work
	Abort Event = "abort" // it was told to stop, and did
)

// Line is one event of one handler.
type Line struct {
	At      time.Time `json:"at"`
	Event   Event     `json:"event"`
	Key     string    `json:"key"`          // of the job or task
	Exec    string    `json:"exec"`         // what the system calls this execution
	Attempt int       `json:"attempt"`      // 1 is the first
	Due     time.Time `json:"due,omitzero"` // when the system says it was due; zero if it does not say
	PID     int       `json:"pid"`
}

// Writer appends lines to a file that several processes share.
type Writer struct {
	file *os.File
}

// OpenWriter opens the file, which is made if there is none.
func OpenWriter(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lines: %w", err)
	}
	return &Writer{file}, nil
}

// Write stamps a line with the present time and this process, and appends it by
// one write, which a kill cannot tear.
func (w *Writer) Write(l Line) error {
	l.At, l.PID = time.Now(), os.Getpid()
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	if _, err := w.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

// Read returns the lines of a file in the order in which they were written; a
// file that is not there yet has none.
func Read(path string) ([]Line, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lines: %w", err)
	}
	defer file.Close()
	var lines []Line
	for in := bufio.NewReader(file); ; {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return lines, nil // what has no end of line is being written
		}
		if err != nil {
			return nil, fmt.Errorf("read the lines: %w", err)
		}
		var l Line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("read line %d, %q: %w", len(lines)+1, text, err)
		}
		lines = append(lines, l)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// history writes what handlers do to a file, for tests: one line of JSON an
// event, each by a single write, which a kill -9 cannot tear.
type history struct {
	file *os.File
}

// historyEvent is one line.
type historyEvent struct {
	Event       string             `json:"event"` // "start" or "end"
	ID          firjob.ExecutionID `json:"id"`
	Job         string             `json:"job"`
	ScheduledAt time.Time          `json:"scheduled_at"`
	Attempt     int                `json:"attempt"`
	Token       int64              `json:"token"`
	At          time.Time          `json:"at"`
	PID         int                `json:"pid"`
}

func openHistory(path string) (*history, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	return &history{file}, nil
}

func (h *history) close() { _ = h.file.Close() }

// wrap returns a handler that writes a line before and after. A line that
// cannot be written fails the task, so that no event is missing unnoticed.
func (h *history) wrap(handler worker.Handler) worker.Handler {
	return func(ctx context.Context, t *worker.Task) error {
		if err := h.write("start", t); err != nil {
			return err
		}
		if err := handler(ctx, t); err != nil {
			return err
		}
		return h.write("end", t)
	}
}

func (h *history) write(event string, t *worker.Task) error {
	line, err := json.Marshal(historyEvent{event, t.ID, t.Job, t.ScheduledAt, t.Attempt, t.Token, time.Now(), os.Getpid()})
	if err != nil {
		return err
	}
	_, err = h.file.Write(append(line, '\n'))
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/firjob/firjob/lab/checker"
	"github.com/firjob/firjob/worker"
)

// history writes what handlers do to a file, for tests: one event a line, as
// package checker reads them.
type history struct {
	file *os.File
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
		if err := h.write(t, checker.Event{Kind: checker.KindStart}); err != nil {
			return err
		}
		if err := handler(ctx, t); err != nil {
			return errors.Join(err, h.write(t, checker.Event{Kind: checker.KindEnd, Phase: checker.PhaseFailed}))
		}
		return h.write(t, checker.Event{Kind: checker.KindEnd, Phase: checker.PhaseOK})
	}
}

func (h *history) write(t *worker.Task, e checker.Event) error {
	e.Execution, e.Token, e.Attempt, e.PID = t.ID, t.Token, t.Attempt, os.Getpid()
	return checker.Write(h.file, checker.Stamped(e))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// sampleHandlers are what firjob worker can run. None touches anything but its
// own task.
func sampleHandlers() map[string]worker.Handler {
	return map[string]worker.Handler{
		"noop":     func(context.Context, *worker.Task) error { return nil },
		"fail":     func(context.Context, *worker.Task) error { return errors.New("this handler always fails") },
		"echo":     echo,
		"sleep":    sleepFor,
		"flaky":    flaky,
		"lateness": lateness,
	}
}

func echo(_ context.Context, t *worker.Task) error {
	if len(t.RawParams()) == 0 {
		return nil
	}
	return t.SetResult(t.RawParams())
}

func sleepFor(ctx context.Context, t *worker.Task) error {
	params := struct {
		For firjob.Duration `json:"for"`
	}{For: firjob.Duration(time.Second)}
	if err := t.Params(&params); err != nil {
		return err
	}
	timer := time.NewTimer(params.For.Std())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func flaky(_ context.Context, t *worker.Task) error {
	params := struct {
		Times int `json:"times"`
	}{Times: 1}
	if err := t.Params(&params); err != nil {
		return err
	}
	if t.Attempt <= params.Times {
		return fmt.Errorf("attempt %d fails; attempt %d will not", t.Attempt, params.Times+1)
	}
	return nil
}

// lateness returns by how many microseconds of this machine's own clock the
// handler started after its instant; below zero it was early.
func lateness(_ context.Context, t *worker.Task) error {
	return t.SetResult(time.Since(t.ScheduledAt).Microseconds())
}

// Package samples holds handlers to try things out with.
package samples

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// Handlers are what firjob worker can run. None touches anything but its
// own task.
func Handlers() map[string]worker.Handler {
	return map[string]worker.Handler{
		"noop":     func(context.Context, *worker.Task) error { return nil },
		"fail":     func(context.Context, *worker.Task) error { return errors.New("this handler always fails") },
		"echo":     echo,
		"sleep":    sleepFor,
		"steps":    steps,
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
	return Pause(ctx, params.For.Std())
}

// Pause waits, and returns why ctx has ended if it does so before.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// steps shows logs and progress while it runs.
func steps(ctx context.Context, t *worker.Task) error {
	params := struct {
		Steps int             `json:"steps"`
		Every firjob.Duration `json:"every"`
	}{Steps: 10, Every: firjob.Duration(200 * time.Millisecond)}
	if err := t.Params(&params); err != nil {
		return worker.Permanent(err)
	}
	for step := range params.Steps {
		t.Progress(100*step/params.Steps, fmt.Sprintf("step %d of %d", step+1, params.Steps))
		t.Log().Info("a step", "step", step+1, "of", params.Steps)
		if err := Pause(ctx, params.Every.Std()); err != nil {
			return err
		}
	}
	t.Progress(100, "done")
	return nil
}

func flaky(_ context.Context, t *worker.Task) error {
	params := struct {
		Times      int             `json:"times"`
		Permanent  bool            `json:"permanent"`
		RetryAfter firjob.Duration `json:"retry_after"`
	}{Times: 1}
	if err := t.Params(&params); err != nil {
		return worker.Permanent(err)
	}
	if t.Attempt > params.Times {
		return nil
	}
	err := fmt.Errorf("attempt %d fails; attempt %d will not", t.Attempt, params.Times+1)
	if params.RetryAfter > 0 {
		err = errors.Join(err, worker.RetryAfter(params.RetryAfter.Std()))
	}
	if params.Permanent {
		err = worker.Permanent(err)
	}
	return err
}

// lateness returns by how many microseconds of this machine's own clock the
// handler started after its instant; below zero it was early.
func lateness(_ context.Context, t *worker.Task) error {
	return t.SetResult(time.Since(t.ScheduledAt).Microseconds())
}

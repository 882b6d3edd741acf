package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/firjob/firjob"
)

// How an execution is followed: often at first, then each second. A server that
// restarts meanwhile is borne.
const (
	firstLook   = 100 * time.Millisecond
	slowestLook = time.Second
	maxFailures = 10 // in a row
)

// follower watches one execution.
type follower struct {
	api   *client
	notes io.Writer // takes a line for each change
	seen  firjob.Execution
}

// follow notes each change of the execution in answer until it is final, and
// returns the last answer about it.
func (f *follower) follow(ctx context.Context, answer []byte) ([]byte, error) {
	pause := firstLook
	for {
		if err := f.look(answer); err != nil {
			return nil, err
		}
		if f.seen.State.Final() {
			return answer, nil
		}
		var err error
		if answer, err = f.ask(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(pause*3/2, slowestLook)
	}
}

// look notes what changed since the last answer.
func (f *follower) look(answer []byte) error {
	var e firjob.Execution
	if err := json.Unmarshal(answer, &e); err != nil {
		return notUnderstood(err)
	}
	old := f.seen
	f.seen = e
	if e.State == old.State && e.Attempt == old.Attempt && e.Executor == old.Executor {
		return nil
	}
	_, err := fmt.Fprintf(f.notes, "%s  %s  %s\n", f.api.now().UTC().Format(time.TimeOnly), e.ID,
		oneLine(changeText(e)))
	return err
}

// changeText says the state that an execution came to.
func changeText(e firjob.Execution) string {
	switch {
	case e.State == firjob.StateRunning && e.Executor != "":
		return fmt.Sprintf("running: attempt %d on %s", e.Attempt, e.Executor)
	case e.State == firjob.StateRunning:
		return fmt.Sprintf("running: attempt %d", e.Attempt)
	case e.StartedAt != nil && e.FinishedAt != nil:
		return fmt.Sprintf("%s, took %s", stateText(e), tookText(e.StartedAt, e.FinishedAt))
	}
	return stateText(e)
}

// ask pauses, then asks for the execution, again after a failure that may pass.
func (f *follower) ask(ctx context.Context, pause time.Duration) ([]byte, error) {
	for failures := 1; ; failures++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		answer, err := f.api.get(ctx, executionPath(f.seen.ID), nil)
		if err == nil || !passing(err) || failures == maxFailures {
			return answer, err
		}
	}
}

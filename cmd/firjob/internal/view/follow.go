package view

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/cmd/firjob/internal/client"
	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// How an execution is followed: often at first, then each second. It keeps asking
// while the server restarts.
const (
	firstLook   = 100 * time.Millisecond
	SlowestLook = time.Second
	MaxFailures = 10 // in a row
)

// Follower watches one execution.
type Follower struct {
	API   *client.Client
	Notes io.Writer      // takes a line for each change
	Zone  *time.Location // of the times in them
	Seen  firjob.Execution
}

// Follow notes each change of the execution in answer until it is final, and
// returns the last answer about it.
func (f *Follower) Follow(ctx context.Context, answer []byte) ([]byte, error) {
	pause := firstLook
	for {
		if err := f.look(answer); err != nil {
			return nil, err
		}
		if f.Seen.State.Final() {
			return answer, nil
		}
		var err error
		if answer, err = f.ask(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(pause*3/2, SlowestLook)
	}
}

// look notes what changed since the last answer.
func (f *Follower) look(answer []byte) error {
	var e firjob.Execution
	if err := json.Unmarshal(answer, &e); err != nil {
		return console.NotUnderstood(err)
	}
	old := f.Seen
	f.Seen = e
	if e.State == old.State && e.Attempt == old.Attempt && e.Executor == old.Executor {
		return nil
	}
	_, err := fmt.Fprintf(f.Notes, "%s  %s  %s\n", f.API.Now().In(f.Zone).Format(time.TimeOnly), e.ID,
		console.OneLine(changeText(e)))
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
		return fmt.Sprintf("%s, took %s", StateText(e), tookText(e.StartedAt, e.FinishedAt))
	}
	return StateText(e)
}

// ask pauses, then asks for the execution, again after a failure that may pass.
func (f *Follower) ask(ctx context.Context, pause time.Duration) ([]byte, error) {
	for failures := 1; ; failures++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		answer, err := f.API.Get(ctx, client.ExecutionPath(f.Seen.ID), nil)
		if err == nil || !client.Passing(err) || failures == MaxFailures {
			return answer, err
		}
	}
}

package worker_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/clockfault"
	"github.com/firjob/firjob/worker"
)

// The server may have work for an executor before that has read the answer to its
// first beat, which tells it the time. What it reports then must not be by its own
// clock.
func TestAWrongClockDoesNotCountBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 30 * time.Second, "behind": -30 * time.Second, "far ahead": 4 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t)
			asked, answer, ran := make(chan struct{}, 1<<10), make(chan struct{}), make(chan struct{}, 2)
			tell := sync.OnceFunc(func() { close(answer) })
			s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
				asked <- struct{}{}
				<-answer
				return http.StatusOK, goodBeat()
			}
			w := launchIn(clockfault.With(t.Context(), clockfault.Fault{Offset: off}), t, s, worker.Options{}, map[string]worker.Handler{"noop": func(context.Context, *worker.Task) error {
				ran <- struct{}{}
				return nil
			}})
			t.Cleanup(tell) // a test that fails before would else wait for the worker, and that for us
			await(t, asked, "the registration")
			sent := time.Now()
			send(t, s, w, newTrigger(1, "noop"))
			await(t, ran, "the handler")
			now := time.Now()
			tell()
			r := await(t, s.results, "the result")
			if r.StartedAt.Before(sent) || r.StartedAt.After(now) || r.FinishedAt.Before(r.StartedAt) || r.FinishedAt.After(time.Now()) {
				t.Errorf("reported as run from %v to %v, though it was sent at %v and ran until %v", r.StartedAt, r.FinishedAt, sent, now)
			}
			await(t, w.Ready(), "the registration's answer")
			now = time.Now()
			send(t, s, w, newTrigger(2, "noop"))
			// The first beat was answered late, so that the time is known to half of that.
			if r := await(t, s.results, "the second result"); r.StartedAt.Sub(now).Abs() > patience/2 {
				t.Errorf("with a known clock, reported as begun at %v, want it soon after %v", r.StartedAt, now)
			}
		})
	}
}

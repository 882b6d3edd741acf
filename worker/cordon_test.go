package worker_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

// slowBeats makes the server ask for a beat an hour, so that whatever comes
// sooner was not waited for.
func slowBeats(s *fakeServer) {
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		reply.Interval = firjob.Duration(time.Hour)
		return http.StatusOK, reply
	}
}

func inState(state firjob.ExecutorState) func(firjob.Beat) bool {
	return func(b firjob.Beat) bool { return b.State == state }
}

func TestCordonedWorkerTakesNothingNew(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	slowBeats(s)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, newTrigger(1, "gate"), newTrigger(2, "gate"))
	await(t, g.entered, "the first handler")

	w.Cordon()
	if got := send(t, s, w, newTrigger(3, "gate"), newTrigger(1, "gate")); !cmp.Equal(got, []firjob.Acceptance{firjob.RefusedDrain, firjob.Accepted}) {
		t.Errorf("a new one and a repeat are answered %v", got)
	}
	b := awaitMatch(t, s.beats, "a cordoned beat", inState(firjob.ExecutorCordoned))
	if len(b.Holding) != 2 {
		t.Errorf("the beat holds %v", b.Holding)
	}
	g.open <- struct{}{}
	await(t, s.results, "the first result")
	await(t, g.entered, "the second handler, which had waited")

	w.Uncordon()
	awaitMatch(t, s.beats, "an active beat", inState(firjob.ExecutorActive))
	again := newTrigger(3, "gate")
	if got := send(t, s, w, again); got[0] != firjob.RefusedDrain {
		t.Errorf("the same token after it was refused: %v; another executor may have it", got)
	}
	again.Token++
	if got := send(t, s, w, again); got[0] != firjob.Accepted {
		t.Errorf("a new token after the cordon: %v", got)
	}
	w.Cordon()
	w.stop()
	awaitMatch(t, s.beats, "a draining beat", inState(firjob.ExecutorDraining))
	close(g.open)
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	for range 2 {
		if r := await(t, s.results, "a result"); r.Outcome != firjob.OutcomeSucceeded {
			t.Errorf("reported %+v", r)
		}
	}
}

func TestCordonBeforeRun(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w, err := worker.New(fill(t, s, worker.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	w.Handle("ok", succeed)
	w.Cordon()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	if b := await(t, s.beats, "the registration"); b.State != firjob.ExecutorCordoned {
		t.Errorf("registered as %s", b.State)
	}
	if got := send(t, s, w, newTrigger(1, "ok")); got[0] != firjob.RefusedDrain {
		t.Errorf("answered %v", got)
	}
	stop()
	if err := await(t, done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	w.Uncordon() // too late to matter
}

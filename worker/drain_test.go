package worker_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func TestDrainLetsHandlersFinish(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	g := newGate()
	w := start(t, s, worker.Options{Concurrency: 1}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, newTrigger(1, "gate"), newTrigger(2, "gate")) // one runs, one waits
	await(t, g.entered, "the handler")
	w.stop()
	b := awaitMatch(t, s.beats, "a draining beat", func(b firjob.Beat) bool { return b.State == firjob.ExecutorDraining })
	if len(b.Holding) != 2 {
		t.Errorf("the draining beat holds %v", b.Holding)
	}
	close(g.open)
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	for range 2 {
		if r := await(t, s.results, "a result"); r.Outcome != firjob.OutcomeSucceeded {
			t.Errorf("reported %+v", r)
		}
	}
	if left := await(t, s.leaves, "the leave"); left.Incarnation != b.Incarnation || len(left.Holding) != 0 {
		t.Errorf("left as %+v", left)
	}
	if _, err := http.Get("http://" + w.Addr()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestDrainCutsHandlersOff(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	causes := make(chan error, 2)
	w := start(t, s, worker.Options{Concurrency: 2, DrainTimeout: 10 * time.Millisecond}, map[string]worker.Handler{
		"wait": func(ctx context.Context, task *worker.Task) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			if task.Token == 1 {
				return nil
			}
			return ctx.Err()
		},
	})
	saved, lost, waiting := newTrigger(1, "wait"), newTrigger(2, "wait"), newTrigger(3, "wait")
	saved.Token = 1
	send(t, s, w, saved, lost, waiting)
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if a, b := await(t, causes, "the cancel"), await(t, causes, "the cancel"); !errors.Is(a, worker.ErrDraining) || !errors.Is(b, worker.ErrDraining) {
		t.Errorf("ended for %v and %v", a, b)
	}
	if r := await(t, s.results, "the result"); r.ID != saved.ID || r.Outcome != firjob.OutcomeSucceeded {
		t.Errorf("reported %+v", r)
	}
	if len(s.results) > 0 {
		t.Errorf("what was cut off was reported as %+v", <-s.results)
	}
}

func TestDrainIsBoundedWhenAHandlerHangs(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{DrainTimeout: time.Millisecond}, nil)
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("an idle worker: %v", err)
	}

	g := newGate()
	deaf := func(_ context.Context, task *worker.Task) error { return g.run(context.Background(), task) }
	w = start(t, s, worker.Options{Concurrency: 1, DrainTimeout: time.Millisecond}, map[string]worker.Handler{"deaf": deaf})
	send(t, s, w, newTrigger(1, "deaf"))
	await(t, g.entered, "the handler")
	w.stop()
	err := await(t, w.done, "the end")
	close(g.open)
	if err == nil || !strings.Contains(err.Error(), "1 executions did not end") {
		t.Errorf("Run: %v", err)
	}
}

func TestRunIsForOnce(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"a": succeed})
	if err := w.Run(t.Context()); err == nil {
		t.Error("a second Run was let through")
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close while it runs: %v", err)
	}
	expectPanic(t, "Handle after Run", func() { w.Handle("b", succeed) })
}

func TestHandlePanicsOnMistakes(t *testing.T) {
	t.Parallel()
	w, err := worker.New(fill(t, newFakeServer(t), worker.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	w.Handle("a", succeed)
	expectPanic(t, "a second handler", func() { w.Handle("a", succeed) })
	expectPanic(t, "no name", func() { w.Handle("", succeed) })
	expectPanic(t, "no handler", func() { w.Handle("b", nil) })
	if err := w.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := w.Run(t.Context()); err == nil {
		t.Error("Run after Close was let through")
	}
}

func expectPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

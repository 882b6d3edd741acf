package worker_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/worker"
)

func exclusive(n int, handler string) firjob.Trigger {
	tr := newTrigger(n, handler)
	tr.Exclusive = true
	return tr
}

func ref(tr firjob.Trigger) firjob.AttemptRef { return firjob.AttemptRef{ID: tr.ID, Token: tr.Token} }

// An exclusive attempt waits until the server has let it begin; others do not ask.
func TestExclusiveAsksBeforeItBegins(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	asked, answer := make(chan firjob.Start, 1), make(chan bool)
	s.onStart = func(st firjob.Start) (int, firjob.StartReply) {
		asked <- st
		return http.StatusOK, grant(st, <-answer)
	}
	g := newGate()
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"gate": g.run})
	tr := exclusive(1, "gate")
	send(t, s, w, newTrigger(2, "gate"), tr)
	if task := await(t, g.entered, "the other handler"); task.ID == tr.ID {
		t.Fatal("it began without being asked about")
	}
	st := await(t, asked, "the question")
	want := firjob.Start{App: app, Address: w.Addr(), Incarnation: s.incarnation(), Attempts: []firjob.AttemptRef{ref(tr)}}
	if diff := cmp.Diff(want, st); diff != "" {
		t.Errorf("the question (-want +got):\n%s", diff)
	}
	awaitMatch(t, s.beats, "a beat that names it as waiting", func(b firjob.Beat) bool {
		return len(b.Holding) == 2 && len(b.Waiting) == 1 && b.Waiting[0] == ref(tr)
	})
	if len(g.entered) > 0 {
		t.Fatal("it began before the answer")
	}
	answer <- true
	await(t, g.entered, "the handler")
	awaitMatch(t, s.beats, "a beat without anything that waits", func(b firjob.Beat) bool { return len(b.Holding) == 2 && len(b.Waiting) == 0 })
	close(g.open)
	r := awaitMatch(t, s.results, "its result", func(r firjob.Result) bool { return r.ID == tr.ID })
	if r.Outcome != firjob.OutcomeSucceeded {
		t.Errorf("reported %+v", r)
	}
}

// One that is not granted never begins, is not held any more, and has no result.
func TestExclusiveThatIsNotGranted(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.onStart = func(st firjob.Start) (int, firjob.StartReply) { return http.StatusOK, grant(st, false) }
	log, lines := captureLog()
	g := newGate()
	w := start(t, s, worker.Options{Log: log}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, exclusive(1, "gate"))
	awaitMatch(t, lines, "a word about it", func(l string) bool { return strings.Contains(l, "the server does not let it begin") })
	awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 && b.Running == 0 })
	if answer := send(t, s, w, exclusive(1, "gate")); answer[0] != firjob.Accepted {
		t.Errorf("a repeat is answered %v; it is known", answer)
	}
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(g.entered) > 0 || len(s.results) > 0 {
		t.Errorf("%d starts and %d results", len(g.entered), len(s.results))
	}
}

func TestExclusiveAsksUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	var calls atomic.Int32
	s.onStart = func(st firjob.Start) (int, firjob.StartReply) {
		switch calls.Add(1) {
		case 1:
			return http.StatusServiceUnavailable, firjob.StartReply{}
		case 2:
			return http.StatusOK, firjob.StartReply{Granted: []bool{true, true}} // not what was asked
		case 3:
			return http.StatusNotFound, firjob.StartReply{} // a server of an earlier version
		}
		return http.StatusOK, grant(st, true)
	}
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"ok": succeed})
	send(t, s, w, exclusive(1, "ok"))
	if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeSucceeded || calls.Load() != 4 {
		t.Errorf("after %d questions: %+v", calls.Load(), r)
	}
}

// Without an answer it is dropped when its lease is over, beats or not: they
// renew the lease, so here they fail, too.
func TestExclusiveWithoutAnAnswerLosesItsLease(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	var away atomic.Bool
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		if away.Load() {
			return http.StatusServiceUnavailable, firjob.BeatReply{}
		}
		return http.StatusOK, goodBeat()
	}
	s.onStart = func(firjob.Start) (int, firjob.StartReply) { return http.StatusServiceUnavailable, firjob.StartReply{} }
	g := newGate()
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"gate": g.run})
	away.Store(true)
	tr := exclusive(1, "gate")
	tr.Lease = firjob.Duration(2 * time.Second)
	send(t, s, w, tr)
	awaitMatch(t, s.beats, "a beat that holds it", func(b firjob.Beat) bool { return len(b.Holding) == 1 && len(b.Waiting) == 1 })
	awaitMatch(t, s.beats, "a beat without it", func(b firjob.Beat) bool { return len(b.Holding) == 0 })
	if len(g.entered) > 0 || len(s.results) > 0 {
		t.Errorf("%d starts and %d results", len(g.entered), len(s.results))
	}
}

// While the server cannot confirm the leases, other attempts go on, and an
// exclusive one ends with the lease that it was granted.
func TestUnconfirmedAnswersEndExclusiveHandlers(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.onBeat = func(string, firjob.Beat) (int, firjob.BeatReply) {
		reply := goodBeat()
		reply.Unconfirmed = true
		return http.StatusOK, reply
	}
	s.onStart = func(st firjob.Start) (int, firjob.StartReply) {
		reply := grant(st, true)
		reply.Lease = firjob.Duration(time.Second)
		return http.StatusOK, reply
	}
	g := newGate()
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"gate": g.run})
	alone, shared := exclusive(1, "gate"), newTrigger(2, "gate")
	alone.Lease, shared.Lease = firjob.Duration(time.Second), firjob.Duration(time.Second)
	send(t, s, w, alone, shared)
	await(t, g.entered, "a handler")
	await(t, g.entered, "the other handler")
	awaitMatch(t, s.beats, "a beat that holds both", func(b firjob.Beat) bool { return len(b.Holding) == 2 })
	awaitMatch(t, s.beats, "a beat with the other alone", func(b firjob.Beat) bool {
		return len(b.Holding) == 1 && b.Holding[0] == ref(shared)
	})
	if len(s.results) > 0 {
		t.Errorf("%d results, want none: it was cut off, so that it is sent again", len(s.results))
	}
	close(g.open)
	if r := await(t, s.results, "the other's result"); r.ID != shared.ID || r.Outcome != firjob.OutcomeSucceeded {
		t.Errorf("reported %+v", r)
	}
}

// One that is cancelled while it asks is reported as one that waits in the queue.
func TestExclusiveIsCancelledWhileItAsks(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	s.onStart = func(st firjob.Start) (int, firjob.StartReply) {
		asked <- struct{}{}
		<-answer
		return http.StatusOK, grant(st, true)
	}
	t.Cleanup(func() { close(answer) })
	g := newGate()
	w := start(t, s, worker.Options{}, map[string]worker.Handler{"gate": g.run})
	tr := exclusive(1, "gate")
	send(t, s, w, tr)
	await(t, asked, "the question")
	post(t, s, w, firjob.PathCancel, firjob.CancelBatch{Attempts: []firjob.AttemptRef{ref(tr)}}, nil)
	if r := await(t, s.results, "the result"); r.Outcome != firjob.OutcomeCancelled || len(g.entered) > 0 {
		t.Errorf("reported %+v after %d starts", r, len(g.entered))
	}
}

func TestDrainWithExclusiveThatAsks(t *testing.T) {
	t.Parallel()
	s := newFakeServer(t)
	s.onStart = func(firjob.Start) (int, firjob.StartReply) { return http.StatusServiceUnavailable, firjob.StartReply{} }
	g := newGate()
	w := start(t, s, worker.Options{DrainTimeout: 10 * time.Millisecond}, map[string]worker.Handler{"gate": g.run})
	send(t, s, w, exclusive(1, "gate"))
	w.stop()
	if err := await(t, w.done, "the end"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(g.entered) > 0 || len(s.results) > 0 {
		t.Errorf("%d starts and %d results", len(g.entered), len(s.results))
	}
	if left := await(t, s.leaves, "the leave"); len(left.Holding) != 0 {
		t.Errorf("left holding %v", left.Holding)
	}
}

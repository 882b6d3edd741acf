package worker

import (
	"context"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
)

// maxHeld is how many attempts a beat may name.
const maxHeld = 100_000

// table is what the worker has accepted. Every decision about a trigger, and
// every change of what is held, is made under its one lock.
//
//	trigger ─accept─▶ waiting ─begin─▶ running ─finish─▶ over ─acknowledge─▶ remembered
//	                     └────────────────┴──────drop─────────────────────────▲
type table struct {
	room  int           // attempts that may wait or run
	queue chan *attempt // to the pool; as long as room, so that a send never waits
	jam   func() bool   // reports whether too many results wait to be acknowledged
	wake  chan struct{} // tells watch to look again

	mu       sync.Mutex
	memory   memory
	held     map[firjob.AttemptRef]*attempt // accepted and not acknowledged
	pending  int                            // of those, waiting or running
	draining bool
	cordoned bool
	idle     chan struct{} // closed once draining and nothing is pending
	look     time.Time     // when watch will look next; zero = asleep
}

func newTable(concurrency, queue int, jam func() bool) *table {
	room := concurrency + queue
	return &table{
		room:   room,
		queue:  make(chan *attempt, room),
		jam:    jam,
		wake:   make(chan struct{}, 1),
		memory: newMemory(rememberedDone, rememberedRefused),
		held:   make(map[firjob.AttemptRef]*attempt),
		idle:   make(chan struct{}),
	}
}

// accept decides about a batch and hands what it accepts to the pool.
func (t *table) accept(batch []*attempt, now time.Time) []firjob.Acceptance {
	jammed := t.jam()
	answers := make([]firjob.Acceptance, len(batch))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, a := range batch {
		answers[i] = t.decide(a, now, jammed)
	}
	failpoint.Crash(failpoint.AfterAccept, len(batch))
	return answers
}

// decide answers one trigger. Repeats come first, because their answer must not
// depend on what has changed since.
func (t *table) decide(a *attempt, now time.Time, jammed bool) firjob.Acceptance {
	if last, seen := t.memory.marks[a.task.ID]; seen && a.task.Token <= last.token {
		return last.repeat(a.task.Token)
	}
	answer := t.answerTo(a, now, jammed)
	switch answer {
	case firjob.Accepted:
		t.take(a)
	case firjob.RefusedFull, firjob.RefusedDrain:
		t.memory.refuse(a.ref(), answer == firjob.RefusedDrain)
	}
	return answer
}

func (t *table) answerTo(a *attempt, now time.Time, jammed bool) firjob.Acceptance {
	switch {
	case !now.Before(a.fence):
		return firjob.RefusedStale // it lay somewhere until its lease was over
	case a.handler == nil:
		return firjob.RefusedHandler
	case t.draining, t.cordoned:
		return firjob.RefusedDrain
	case jammed || t.pending >= t.room || len(t.held) >= maxHeld:
		return firjob.RefusedFull
	}
	return firjob.Accepted
}

// take holds a. An older attempt of the same execution that is still here was
// declared lost, or there would be no newer one.
func (t *table) take(a *attempt) {
	if last, seen := t.memory.marks[a.task.ID]; seen {
		t.stop(firjob.AttemptRef{ID: a.task.ID, Token: last.token}, ErrLeaseLost)
	}
	t.memory.accept(a.ref())
	t.held[a.ref()] = a
	t.pending++
	t.queue <- a
	t.rouse(a.fence)
}

// seek notes how to cancel an attempt that asks whether it may begin; until
// then it counts as waiting. An error is the cause for which it need not ask.
func (t *table) seek(a *attempt, cancel context.CancelCauseFunc) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.cancel = cancel
	return a.stopped
}

// begin notes how to cancel a handler that starts now. An error is the cause
// for which it must not start.
func (t *table) begin(a *attempt, now time.Time, cancel context.CancelCauseFunc) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.stopped == nil && !now.Before(a.fence) {
		a.stopped = ErrLeaseLost // after this process stood still, watch may not have seen it yet
	}
	if a.stopped == nil {
		a.cancel, a.begun = cancel, true
	}
	return a.stopped
}

// begun counts the attempts of a batch whose handlers have begun.
func (t *table) begun(batch []*attempt) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range batch {
		if a.begun {
			n++
		}
	}
	return n
}

// finish notes that a has ended and its result waits to be acknowledged.
func (t *table) finish(a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(a)
}

// drop notes that a has ended without a result. It is named in no beat any
// more, so its lease runs out.
func (t *table) drop(a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(a)
	t.forget(a.ref())
}

func (t *table) end(a *attempt) {
	a.over = true
	t.pending--
	t.settle()
}

// acknowledge lets go of attempts whose results need no more care.
func (t *table) acknowledge(refs []firjob.AttemptRef) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range refs {
		t.forget(ref)
	}
}

func (t *table) forget(ref firjob.AttemptRef) {
	if _, ok := t.held[ref]; ok {
		delete(t.held, ref)
		t.memory.end(ref)
	}
}

// recall remembers an attempt whose result was found in the spool, so that it
// does not run again here.
func (t *table) recall(ref firjob.AttemptRef) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, seen := t.memory.marks[ref.ID]; !seen || last.token < ref.Token {
		t.memory.accept(ref)
		t.memory.end(ref)
	}
}

// cancel ends attempts with the given cause. Those that are not held, or over,
// are left alone.
func (t *table) cancel(refs []firjob.AttemptRef, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range refs {
		t.stop(ref, cause)
	}
}

func (t *table) stop(ref firjob.AttemptRef, cause error) {
	a := t.held[ref]
	if a == nil || a.over || a.stopped != nil {
		return // the first cause counts
	}
	a.stopped = cause
	if a.cancel != nil {
		a.cancel(cause)
	}
}

// drain refuses new triggers from now on. The channel is closed once nothing
// waits or runs; nothing is sent to the queue after that.
func (t *table) drain() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	t.settle()
	return t.idle
}

// cordon refuses new triggers, or takes them again.
func (t *table) cordon(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cordoned = on
}

func (t *table) settle() {
	if !t.draining || t.pending > 0 {
		return
	}
	select {
	case <-t.idle:
	default:
		close(t.idle)
	}
}

// abort ends whatever waits or runs.
func (t *table) abort(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref := range t.held {
		t.stop(ref, cause)
	}
}

// census is what a beat says about the table.
type census struct {
	holding []firjob.AttemptRef // but for those that need no name yet
	waiting []firjob.AttemptRef // those of holding that have not begun
	pending int
	state   firjob.ExecutorState
}

// census tells what is held at now, but for attempts that the server asks to hear
// of later. A worker that leaves names all: what it leaves behind is lost.
func (t *table) census(now time.Time, nameAfter time.Duration) census {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := census{holding: []firjob.AttemptRef{}, pending: t.pending, state: t.state()}
	if t.draining {
		nameAfter = 0
	}
	for ref, a := range t.held {
		if a.nameless(now, nameAfter) {
			continue
		}
		c.holding = append(c.holding, ref)
		if !a.over && !a.begun {
			c.waiting = append(c.waiting, ref)
		}
	}
	return c
}

func (t *table) state() firjob.ExecutorState {
	switch {
	case t.draining:
		return firjob.ExecutorDraining
	case t.cordoned:
		return firjob.ExecutorCordoned
	}
	return firjob.ExecutorActive
}

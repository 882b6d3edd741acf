package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

const (
	reportEvery = 500 * time.Millisecond // what was said waits no longer
	reportGap   = 50 * time.Millisecond  // between two reports that do not wait as long

	// What is kept of all attempts, in bytes: at most maxKept, and a report.
	maxKept    = 6 << 20
	reportSize = firjob.MaxReportBody / 2
	// hurrySize is how much must wait for a report to be sent soon.
	hurrySize = 256 << 10
	// chunkRoom is more than any line takes.
	chunkRoom = 8 * firjob.MaxLogLine
)

// reporter brings what handlers say of themselves to the server, as far as that
// goes: it never holds up a handler or a result, and keeps no more than it has
// room for.
//
//	Task.Log, Task.Progress ──▶ stream ──▶ queue ─collect─▶ report ─deliver─▶ server
//
// One report is on its way at a time. One that found no answer is sent again as
// it was, with the numbers that its lines have, so that a server that has it
// already stores nothing twice; what is said meanwhile waits.
type reporter struct {
	post  func(context.Context, []*part) (cut []firjob.AttemptRef, err error)
	level slog.Leveler // from which on records are sent
	clock *serverClock
	log   *slog.Logger
	wake  chan struct{}

	mu      sync.Mutex
	queue   []*stream // that have something to say; what waits longest first
	size    int       // bytes that they take
	since   time.Time // when the queue was looked at, or began to fill
	urgent  bool      // do not wait for reportEvery
	flushed chan struct{}
	closed  bool

	// Only the goroutine in run uses these.
	report   []*part   // on its way
	sentAt   time.Time // when a report was made or sent, or there was none to make
	failures int       // in a row that found no answer
	retryAt  time.Time // after a failure
}

func newReporter(post func(context.Context, []*part) ([]firjob.AttemptRef, error),
	level slog.Leveler, clock *serverClock, log *slog.Logger,
) *reporter {
	return &reporter{post: post, level: level, clock: clock, log: log, wake: make(chan struct{}, 1)}
}

// timeOf returns the server's time at the local instant t, now if it is zero.
func (r *reporter) timeOf(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return r.clock.at(t)
}

// enqueue has run look at s.
func (r *reporter) enqueue(s *stream) {
	if s.queued {
		return
	}
	if len(r.queue) == 0 {
		r.since = time.Now()
		r.rouse()
	}
	s.queued = true
	r.queue = append(r.queue, s)
	r.size += streamCost
}

// makeRoom drops what has waited longest, as far as it must.
func (r *reporter) makeRoom() {
	for r.size > maxKept {
		s := r.queue[0]
		if len(s.lines) > 0 {
			s.drop()
			continue
		}
		r.queue = r.queue[1:]
		r.dequeue(s)
	}
	if r.size >= hurrySize {
		r.hurry()
	}
}

func (r *reporter) dequeue(s *stream) {
	s.queued, s.last = false, false
	r.size -= streamCost
}

// hurry has a report sent soon.
func (r *reporter) hurry() {
	if !r.urgent {
		r.urgent = true
		r.rouse()
	}
}

func (r *reporter) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// flush waits until all that was said is sent, a report fails, or ctx ends.
func (r *reporter) flush(ctx context.Context) {
	r.mu.Lock()
	flushed := make(chan struct{})
	r.flushed = flushed
	r.rouse()
	r.mu.Unlock()
	select {
	case <-flushed:
	case <-ctx.Done():
	}
}

// run sends reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait, busy := r.wait(time.Now())
		if busy && wait <= 0 {
			r.pass(ctx)
			continue
		}
		if timer.Stop(); busy {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.C:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// wait returns how long the next report must wait; busy is false if there is
// nothing to say.
func (r *reporter) wait(now time.Time) (wait time.Duration, busy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.flushed != nil:
		return 0, true
	case r.failures > 0:
		return r.retryAt.Sub(now), true
	case len(r.queue) == 0:
		return 0, false
	case r.urgent:
		return r.sentAt.Add(reportGap).Sub(now), true
	}
	return r.since.Add(reportEvery).Sub(now), true
}

// pass sends a report: the one that found no answer, or else a new one.
func (r *reporter) pass(ctx context.Context) {
	now := time.Now()
	if len(r.report) == 0 {
		r.report = r.collect(now)
	}
	r.sentAt = now
	var err error
	if len(r.report) > 0 {
		err = r.deliver(ctx, r.report)
	}
	if err == nil {
		r.report = nil
		r.recovered()
	} else if ctx.Err() == nil {
		r.failed(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flushed != nil && (err != nil || len(r.queue) == 0) {
		close(r.flushed)
		r.flushed = nil
	}
}

// collect makes the next report. Those for whom there was no room come first in
// the one after.
func (r *reporter) collect(now time.Time) []*part {
	r.mu.Lock()
	defer r.mu.Unlock()
	var report []*part
	var unheard, rest []*stream
	room, heard := reportSize-reportMargin, 0
	r.since, r.urgent = now, false
	for _, s := range r.queue {
		if room < chunkRoom || heard == firjob.MaxBatch {
			unheard, r.urgent = append(unheard, s), true
			continue
		}
		said := s.take(room-streamCost, now, r.flushed != nil)
		for _, p := range said {
			room -= p.size()
		}
		if report = append(report, said...); len(said) > 0 {
			heard++
		}
		if s.empty() {
			r.dequeue(s)
		} else {
			rest, r.urgent = append(rest, s), r.urgent || len(s.lines) > 0
		}
	}
	r.queue = append(unheard, rest...)
	return report
}

// deliver posts a report. One that the server refuses for what it holds is
// posted in halves, down to the single part, which is then given up.
func (r *reporter) deliver(ctx context.Context, report []*part) error {
	cut, err := r.post(ctx, report)
	switch {
	case err == nil:
		r.note(report, cut)
		return nil
	case !indigestible(err):
		return err
	case len(report) == 1:
		r.log.Warn("the server refuses what an execution says of itself; it is given up",
			"execution", report[0].said.ref.ID.String(), "lines", report[0].lines, "error", err)
		return nil
	}
	if err := r.deliver(ctx, report[:len(report)/2]); err != nil {
		return err
	}
	return r.deliver(ctx, report[len(report)/2:])
}

// note says once of each attempt that its log is full.
func (r *reporter) note(report []*part, cut []firjob.AttemptRef) {
	for _, p := range report {
		if !p.said.cut && slices.Contains(cut, p.said.ref) {
			p.said.cut = true
			r.log.Debug("the log of an execution is full; the server drops its oldest lines", "execution",
				p.said.ref.ID.String())
		}
	}
}

func (r *reporter) recovered() {
	if r.failures > 0 {
		r.log.Info("the server takes the logs of executions again", "failures", r.failures)
	}
	r.failures = 0
}

// failed pauses the reports.
func (r *reporter) failed(err error) {
	r.failures++
	longest := longestWait
	if hopeless(err) {
		longest = slowWait
	}
	wait := max(backoff(r.failures, longest), askedWait(err))
	if worthLogging(r.failures) {
		r.log.Warn("the server took no logs of executions; as many as there is room for are kept and sent again",
			"failures", r.failures, "wait", wait, "error", err)
	}
	r.retryAt = time.Now().Add(wait)
}

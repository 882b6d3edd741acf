package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/failpoint"
	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the sending side.
const (
	// postsAtATime bounds the requests under way to one executor.
	postsAtATime = 4
	// fullEnough is how many flights must wait before a second request goes out
	// beside the first: below that, waiting for its answer makes fewer and
	// larger batches at no cost in time.
	fullEnough = 64
	// resendAfter is the pause before a flight whose outcome is unknown goes to
	// the same process again, and before one that could not be confirmed is
	// looked at again.
	resendAfter = 200 * time.Millisecond
	// minLease is how much of the lease must be left when a flight is sent: the
	// executor's next beats must have time to renew it.
	minLease = 3 * firjob.BeatInterval
)

// sending takes flights that are due to executors.
//
//	accepted   the executor's now; its beats keep the lease
//	refused    certainly not run: another executor, or back to the queue
//	unknown    same token, same process, until it answers or is gone
type sending struct {
	store     Store
	queue     *guardedQueue
	sender    Sender
	executors *executors
	clock     *storeClock
	hold      *hold
	sent      *sentLog
	calls     *calls
	lose      func(ctx context.Context, attempts []firjob.AttemptRef, reason string)
	handed    func(n int) // flights that left this server's hands
	follow    func(ctx context.Context, f ports.Followed)
	// provenAlive reports whether no other server can have given up what this
	// one claimed at the (local) instant.
	provenAlive func(claimed time.Time) bool
	metrics     *metrics
	log         *slog.Logger

	waits   waits // of executions for an executor
	posts   sync.WaitGroup
	spreads chan struct{} // as many as broadcasts are being spread
}

// release sends flights whose instant has come. It does not block.
func (s *sending) release(ctx context.Context, flights []*flight) {
	s.metrics.observeLateness(s.clock.Now(), flights)
	s.place(ctx, s.divert(ctx, flights), "")
}

// divert takes out what no executor gets as it is: broadcasts, of which each
// executor gets a shard, and calls that this server makes itself.
func (s *sending) divert(ctx context.Context, flights []*flight) []*flight {
	kept := flights[:0]
	for _, f := range flights {
		switch {
		case f.Route == firjob.RouteBroadcast && f.Trigger.Shard == nil:
			s.posts.Go(func() { s.spread(ctx, f) })
		case f.Dispatch != nil && f.Dispatch.HTTP != nil:
			s.posts.Go(func() { s.call(ctx, f) })
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// sendable looks at flights a last time before they leave. It keeps those that
// certainly are still this server's: their lease has time left, and nobody
// can have given them up.
func (s *sending) sendable(ctx context.Context, flights []*flight) []*flight {
	now := s.clock.local()
	var kept, doubtful, short []*flight
	for _, f := range flights {
		switch {
		case f.leaseEnd.Sub(now) >= minLease && s.provenAlive(f.claimedAt):
			kept = append(kept, f)
		case f.leaseEnd.Sub(now) >= minLease:
			doubtful = append(doubtful, f)
		case f.pinned == nil:
			short = append(short, f)
		default:
			// Its outcome is unknown and its lease about to end: the sweep ends it.
			s.handed(1)
		}
	}
	s.giveBackAt(ctx, short, func(*flight) time.Duration { return 0 }, "the lease ran short before it could be sent")
	if len(doubtful) > 0 {
		kept = append(kept, s.current(ctx, doubtful)...)
	}
	return kept
}

// current asks the store which flights are still this server's to send: it may
// have been taken to be gone while it was paused or cut off from Redis. While the
// store does not say, they wait, until their lease is too short to send them.
func (s *sending) current(ctx context.Context, flights []*flight) []*flight {
	attempts := make([]firjob.AttemptRef, len(flights))
	for i, f := range flights {
		attempts[i] = f.ref()
	}
	confirmed, err := s.store.Current(ctx, attempts)
	if err != nil {
		s.log.WarnContext(ctx, "claims cannot be confirmed and are not sent yet", "attempts", len(flights), "error",
			err)
		s.later(flights)
		return nil
	}
	ours := make(map[firjob.AttemptRef]bool, len(confirmed))
	for _, a := range confirmed {
		ours[a] = true
	}
	kept := slices.DeleteFunc(slices.Clone(flights), func(f *flight) bool { return !ours[f.ref()] })
	s.handed(len(flights) - len(kept))
	return kept
}

// place puts flights into the outboxes of executors, the lowest ranks first, and
// starts their way. Those for which there is none go back to the queue, for the
// given reason.
func (s *sending) place(ctx context.Context, flights []*flight, reason string) {
	inOrder(flights)
	var homeless []*flight
	var orphans []firjob.AttemptRef
	touched := make(map[*outbox]struct{})
	boxes := s.executors.targets(flights)
	for i, f := range flights {
		switch box := boxes[i]; {
		case box != nil:
			box.put(f)
			touched[box] = struct{}{}
		case f.pinned == nil:
			homeless = append(homeless, f)
		default:
			orphans = append(orphans, f.ref())
		}
	}
	for box := range touched {
		s.pump(ctx, box)
	}
	if len(homeless) > 0 {
		s.posts.Go(func() { s.giveBack(ctx, homeless, reason) })
	}
	if len(orphans) > 0 {
		s.handed(len(orphans))
		s.posts.Go(func() { s.lose(ctx, orphans, "the executor is gone and its answer never came") })
	}
}

// pump starts requests to an executor as long as it is worth while.
func (s *sending) pump(ctx context.Context, box *outbox) {
	box.mu.Lock()
	defer box.mu.Unlock()
	for n := len(box.waiting); n > 0; n = len(box.waiting) {
		if box.posts >= postsAtATime || (box.posts > 0 && n < fullEnough) {
			return
		}
		batch := box.take()
		box.posts++
		s.posts.Go(func() {
			s.post(ctx, box.to, batch)
			box.mu.Lock()
			box.posts--
			box.mu.Unlock()
			s.pump(ctx, box)
		})
	}
}

// maxUnreadable bounds how often one batch is halved: enough to find two faulty
// triggers among 512, and little for an executor that can read nothing at all.
const maxUnreadable = 24

// post sends one batch and deals with the answers.
func (s *sending) post(ctx context.Context, to firjob.Executor, batch []*flight) {
	unreadable := 0
	s.postHalving(ctx, to, batch, &unreadable)
}

// postHalving sends a batch, and the halves of one that cannot be read, until
// that has happened too often.
func (s *sending) postHalving(ctx context.Context, to firjob.Executor, batch []*flight, unreadable *int) {
	if batch = s.sendable(ctx, s.stillTaken(ctx, to, batch)); len(batch) == 0 {
		return
	}
	key, ok := s.executors.key(to.App)
	if !ok {
		s.giveBack(ctx, batch, "the key of app "+to.App+" is not known yet")
		return
	}
	triggers := make([]firjob.Trigger, len(batch))
	now := s.clock.local()
	for i, f := range batch {
		f.Trigger.Lease = firjob.Duration(f.leaseEnd.Sub(now))
		triggers[i] = f.Trigger
	}
	// From here on the executor may have them, whatever happens to us or it.
	log := s.sent.add(to.Key(), now, batch)
	answers, err := s.sender.Send(ctx, to, key, s.clock.Now(), triggers)
	failpoint.Crash(failpoint.AfterSend, len(answers))
	switch refused := new(ports.Refused); {
	case errors.As(err, &refused) && refused.Unreadable() && len(batch) > 1 && *unreadable < maxUnreadable:
		*unreadable++
		s.sent.refused(log, batch)
		s.postHalving(ctx, to, batch[:len(batch)/2], unreadable)
		s.postHalving(ctx, to, batch[len(batch)/2:], unreadable)
	case errors.As(err, &refused):
		s.metrics.sent.WithLabelValues(to.App, "refused").Add(float64(len(batch)))
		s.requestRefused(ctx, to.Key(), log, batch, refused.Error())
	case err != nil:
		s.metrics.sent.WithLabelValues(to.App, "unknown").Add(float64(len(batch)))
		s.log.WarnContext(ctx, "an executor may or may not have taken triggers; it is asked again", "app", to.App,
			"executor", to.Address, "triggers", len(batch), "error", err)
		s.again(ctx, to.Key(), batch, err.Error())
	default:
		s.answered(ctx, to, log, batch, answers)
	}
}

// stillTaken returns the flights of a batch that may still go to the executor. If the
// executor stopped accepting after placement, these are only the flights that it may
// already hold; the others are placed again.
func (s *sending) stillTaken(ctx context.Context, to firjob.Executor, batch []*flight) []*flight {
	if s.executors.takes(to.Key()) {
		return batch
	}
	bound, free := apart(batch)
	s.place(ctx, free, "")
	return bound
}

// requestRefused places a batch again whose request certainly did not arrive. A
// flight that the process may hold from an earlier request stays with it: the refusal
// is about this request only.
func (s *sending) requestRefused(ctx context.Context, by firjob.ExecutorKey, log *sentBatch, batch []*flight,
	reason string) {
	bound, free := apart(batch)
	s.again(ctx, by, bound, reason)
	s.elsewhere(ctx, refusal{by: by}, log, free, reason)
}

// apart separates flights that a process may already hold from the others.
func apart(flights []*flight) (bound, free []*flight) {
	for _, f := range flights {
		if f.pinned != nil {
			bound = append(bound, f)
		} else {
			free = append(free, f)
		}
	}
	return bound, free
}

// answered sorts a batch by the executor's answers. Each answer is definite, whatever
// was unknown before.
func (s *sending) answered(ctx context.Context, to firjob.Executor, log *sentBatch, batch []*flight,
	answers []firjob.Acceptance) {
	refused := make(map[firjob.Acceptance][]*flight)
	said := make(map[firjob.Acceptance]int, 1)
	handed := 0
	for i, f := range batch {
		switch a := answers[i]; a {
		case firjob.Accepted:
			handed++
		case firjob.RefusedStale:
			// A newer attempt exists; whoever made it takes care of it.
			handed++
		default:
			refused[a] = append(refused[a], f)
		}
		said[answers[i]]++
	}
	for a, n := range said {
		s.metrics.sent.WithLabelValues(to.App, string(a)).Add(float64(n))
	}
	s.handed(handed)
	for a, flights := range refused {
		s.elsewhere(ctx, refusal{by: to.Key(), full: a == firjob.RefusedFull, unknown: a == firjob.RefusedHandler}, log,
			flights, fmt.Sprintf("executor %s refused it: %s", to.Address, a))
	}
}

// elsewhere places flights again that an executor certainly does not hold.
func (s *sending) elsewhere(ctx context.Context, refused refusal, log *sentBatch, flights []*flight, reason string) {
	s.sent.refused(log, flights)
	for _, f := range flights {
		f.pinned, f.resendAt = nil, time.Time{}
		f.tried = append(f.tried, refused)
	}
	s.place(ctx, flights, reason)
}

// again puts flights whose outcome is unknown back into the hold, bound to the
// process that may have them. The reason says why the outcome is unknown still.
func (s *sending) again(ctx context.Context, to firjob.ExecutorKey, batch []*flight, reason string) {
	for _, f := range batch {
		f.pinned = &to
	}
	s.doubt(ctx, batch, reason)
	s.later(batch)
}

// doubtEvery is how long a reason in the store stands before a newer one about
// the same flight replaces it.
const doubtEvery = 5 * time.Second

// doubt tells the store, beside the caller, why the outcome of flights is unknown.
func (s *sending) doubt(ctx context.Context, batch []*flight, reason string) {
	now := s.clock.Now()
	var attempts []firjob.AttemptRef
	for _, f := range batch {
		if now.Sub(f.doubted) >= doubtEvery {
			f.doubted = now
			attempts = append(attempts, f.ref())
		}
	}
	if len(attempts) == 0 {
		return
	}
	reason = fmt.Sprintf("%s (at %s)", reason, now.UTC().Format(time.RFC3339))
	s.posts.Go(func() {
		if err := s.store.Doubt(ctx, attempts, reason); err != nil {
			s.log.InfoContext(ctx, "executions do not say that their outcome is unknown", "attempts", len(attempts),
				"error", err)
		}
	})
}

// later puts flights back into the hold for a while.
func (s *sending) later(batch []*flight) {
	at := s.clock.Now().Add(resendAfter)
	for _, f := range batch {
		f.resendAt = at
	}
	s.hold.add(batch)
}

// giveBack returns flights that were certainly never run, for want of an
// executor.
func (s *sending) giveBack(ctx context.Context, batch []*flight, reason string) {
	s.giveBackAt(ctx, batch, s.pauses(s.clock.Now()), reason)
}

// giveBackAt returns flights that were certainly never run, to be due after
// the given pause.
func (s *sending) giveBackAt(ctx context.Context, batch []*flight, pause func(*flight) time.Duration, reason string) {
	if len(batch) == 0 {
		return
	}
	type release struct {
		delay  time.Duration
		reason string
	}
	groups := make(map[release][]firjob.AttemptRef)
	for _, f := range batch {
		delay := pause(f)
		why := reason
		if why == "" {
			why = s.executors.why(f)
		}
		r := release{delay, why}
		groups[r] = append(groups[r], f.ref())
	}
	s.handed(len(batch))
	for r, attempts := range groups {
		s.unsend(ctx, attempts, r.delay, r.reason)
	}
}

// unsend releases attempts and announces when they are due again. When
// Postgres cannot be reached the lease brings them back, and it returns false.
func (s *sending) unsend(ctx context.Context, attempts []firjob.AttemptRef, delay time.Duration, reason string) bool {
	due, err := s.store.Release(ctx, attempts, delay, reason)
	if err != nil {
		s.log.WarnContext(ctx, "attempts that were not sent cannot be given back; their lease will", "attempts",
			len(attempts), "error", err)
		return false
	}
	s.metrics.released.Add(float64(len(due)))
	s.queue.Announce(ctx, due)
	return true
}

package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// line is a sending side whose wire and store are played by the test.
type line struct {
	Store // only Release is used
	*sending
	handedOver int

	mu       sync.Mutex
	answer   func(to firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error)
	sends    []string // addresses, in the order of requests
	released []string // reasons
	lostRefs []firjob.AttemptRef

	confirmed []firjob.AttemptRef // what the store says is still current
	away      bool                // the store does not say
	open      map[string]bool     // addresses whose breaker is open
	errors    map[string]string   // the last error, by address
	doubts    []string            // reasons of attempts whose outcome is unknown
	instant   bool                // sends take no time
}

func newLine(t testing.TB, addresses ...string) *line {
	t.Helper()
	l := &line{answer: func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
		return repeated(firjob.Accepted, len(triggers)), nil
	}}
	clock := newStoreClock(time.Now)
	clock.Observe(time.Now())
	queue := &guardedQueue{metrics: newMetrics(nil), log: slog.New(slog.DiscardHandler)}
	queue.degraded.Store(true) // no Redis in these tests
	view := newExecutors(executorsOptions{Store: l, Sender: l, Queue: queue, Clock: clock, Troubles: newTroubles(queue.log, time.Now), Log: queue.log,
		Gone: func(context.Context, firjob.ExecutorKey, string) {}})
	view.keys = map[string][]byte{"app": []byte("key")}
	for _, a := range addresses {
		view.seenNow(t.Context(), firjob.Executor{App: "app", Address: a, Incarnation: "i-" + a, Capacity: 10, State: firjob.ExecutorActive})
	}
	l.sending = &sending{store: l, queue: queue, sender: l, executors: view, clock: clock, hold: newHold(clock), sent: newSentLog(),
		provenAlive: func(time.Time) bool { return true }, metrics: queue.metrics, log: queue.log, spreads: make(chan struct{}, spreadsAtATime),
		handed: func(n int) { l.locked(func() { l.handedOver += n }) },
		lose: func(_ context.Context, attempts []firjob.AttemptRef, _ string) {
			l.locked(func() { l.lostRefs = append(l.lostRefs, attempts...) })
		}}
	return l
}

func (l *line) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// flights returns n flights that are due now.
func (l *line) flights(n int) []*flight {
	list := make([]*flight, n)
	for i := range list {
		list[i] = &flight{leaseEnd: time.Now().Add(10 * time.Second), Claimed: ports.Claimed{App: "app", DueAt: l.clock.Now(),
			Trigger: firjob.Trigger{ID: firjob.Fire(firjob.JobID(i+1), time.Now()), Token: int64(i + 1)}}}
	}
	return list
}

func (l *line) Send(_ context.Context, to firjob.Executor, _ []byte, _ time.Time, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
	l.mu.Lock()
	l.sends = append(l.sends, to.Address)
	answer := l.answer
	l.mu.Unlock()
	if !l.instant {
		time.Sleep(time.Millisecond) // of the bubble
	}
	return answer(to, triggers)
}

func (l *line) Release(_ context.Context, attempts []firjob.AttemptRef, _ time.Duration, reason string) ([]firjob.Due, error) {
	l.locked(func() {
		for range attempts {
			l.released = append(l.released, reason)
		}
	})
	return nil, nil
}

func (l *line) Current(context.Context, []firjob.AttemptRef) ([]firjob.AttemptRef, error) {
	if l.away {
		return nil, errors.New("away")
	}
	return l.confirmed, nil
}

func (l *line) Ready(to firjob.Executor) bool { return !l.open[to.Address] }
func (l *line) Contact(key firjob.ExecutorKey) ports.Contact {
	return ports.Contact{BreakerOpen: l.open[key.Address], LastError: l.errors[key.Address]}
}
func (l *line) Doubt(_ context.Context, attempts []firjob.AttemptRef, reason string) error {
	l.locked(func() {
		for range attempts {
			l.doubts = append(l.doubts, reason)
		}
	})
	return nil
}
func (l *line) Forget(firjob.ExecutorKey)                                       {}
func (l *line) Probe(context.Context, firjob.Executor, []byte, time.Time) error { return nil }
func (l *line) Holding(context.Context, firjob.Executor, []byte, time.Time) ([]firjob.AttemptRef, error) {
	return nil, nil
}
func (l *line) Cancel(context.Context, firjob.Executor, []byte, time.Time, []firjob.AttemptRef) error {
	return nil
}

func repeated(a firjob.Acceptance, n int) []firjob.Acceptance {
	list := make([]firjob.Acceptance, n)
	for i := range list {
		list[i] = a
	}
	return list
}

func TestManyTriggersGoInOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		l.release(t.Context(), l.flights(300))
		l.posts.Wait()
		if len(l.sends) != 1 || l.handedOver != 300 {
			t.Errorf("%d requests carried %d of 300 triggers, want 1 request", len(l.sends), l.handedOver)
		}
	})
}

func TestRefusedTriggersGoToTheNextExecutor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		l.answer = func(to firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			if to.Address == "a:1" {
				return nil, &ports.Refused{Reason: "nobody listens"}
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		l.release(t.Context(), l.flights(2)) // round robin: one for each
		l.posts.Wait()
		if l.handedOver != 2 || len(l.released) != 0 {
			t.Errorf("%d triggers were accepted and %d given back, want 2 and 0; requests went to %v", l.handedOver, len(l.released), l.sends)
		}
	})
}

func TestTriggersThatNobodyTakesAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			return repeated(firjob.RefusedFull, len(triggers)), nil
		}
		l.release(t.Context(), l.flights(1))
		l.posts.Wait()
		if len(l.sends) != 2 {
			t.Errorf("the requests went to %v, want each executor once", l.sends)
		}
		if len(l.released) != 1 || l.handedOver != 1 {
			t.Errorf("given back %v, flights handed over %d, want 1 and 1", l.released, l.handedOver)
		}
	})
}

func TestNoExecutorAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.release(t.Context(), l.flights(1))
		l.posts.Wait()
		if diff := cmp.Diff([]string{"no executor of app app is alive"}, l.released); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}

// An attempt whose outcome is unknown may run: it goes to the same process
// again, with the same token, and to nobody else.
func TestUnknownOutcomeStaysWithTheSameProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		var tokens []int64
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			tokens = append(tokens, triggers[0].Token)
			if len(tokens) < 3 {
				return nil, errors.New("reset by peer")
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { l.hold.run(ctx, func(due []*flight) { l.release(ctx, due) }) })
		l.hold.add(l.flights(1))
		time.Sleep(5 * time.Second)
		cancel()
		wait.Wait()
		l.posts.Wait()
		if len(l.sends) != 3 || l.sends[0] != l.sends[1] || l.sends[1] != l.sends[2] {
			t.Errorf("the requests went to %v, want the same executor three times", l.sends)
		}
		if diff := cmp.Diff([]int64{1, 1, 1}, tokens); diff != "" {
			t.Errorf("tokens (-want +got):\n%s", diff)
		}
		if l.handedOver != 1 {
			t.Errorf("%d flights handed over, want 1", l.handedOver)
		}
	})
}

// The record of a flight whose outcome is unknown says who answered what and when,
// and is not written anew with each request.
func TestAnUnknownOutcomeSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		began := l.clock.Now()
		l.answer = func(firjob.Executor, []firjob.Trigger) ([]firjob.Acceptance, error) {
			if l.clock.Now().Sub(began) > 4*time.Second {
				return nil, errors.New("executor a:1 answered 0 of 1 triggers")
			}
			return nil, errors.New("executor a:1 answered with status 500")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { l.hold.run(ctx, func(due []*flight) { l.release(ctx, due) }) })
		l.hold.add(l.flights(1))
		time.Sleep(6 * time.Second)
		cancel()
		wait.Wait()
		l.posts.Wait()
		want := []string{
			"executor a:1 answered with status 500 (at " + began.UTC().Format(time.RFC3339) + ")",
			"executor a:1 answered 0 of 1 triggers (at " + began.Add(doubtEvery).UTC().Format(time.RFC3339) + ")",
		}
		if diff := cmp.Diff(want, l.doubts); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}

func TestUnknownOutcomeIsLostWithItsProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		f := l.flights(1)
		gone := firjob.ExecutorKey{App: "app", Address: "c:1", Incarnation: "i-c:1"}
		f[0].pinned = &gone
		l.release(t.Context(), f)
		l.posts.Wait()
		if len(l.sends) != 0 || len(l.lostRefs) != 1 || len(l.released) != 0 {
			t.Errorf("sent to %v, lost %v, given back %v; want it lost and nothing else", l.sends, l.lostRefs, l.released)
		}
	})
}

// A server that was paused must not send what another may have claimed since.
func TestNothingIsSentOnAShortLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		f := l.flights(1)
		time.Sleep(9 * time.Second) // of a lease of 10
		l.release(t.Context(), f)
		l.posts.Wait()
		if len(l.sends) != 0 || len(l.released) != 1 {
			t.Errorf("sent to %v, given back %v; want nothing sent", l.sends, l.released)
		}
	})
}

// One trigger that an executor cannot read must not keep the others of its
// batch from it.
func TestAnUnreadableBatchIsHalved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			for _, trigger := range triggers {
				if trigger.Token == 3 {
					return nil, &ports.Refused{Reason: "cannot be read", Status: 400}
				}
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		l.release(t.Context(), l.flights(8))
		l.posts.Wait()
		if l.handedOver != 8 || len(l.released) != 1 {
			t.Errorf("%d of 8 flights left, %d given back; want only the unreadable one given back", l.handedOver, len(l.released))
		}
	})
}

// What an executor has refused goes on elsewhere under the same token; the end
// of that executor must not end it.
func TestRefusedFlightsAreNotLostWithTheExecutor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			answers := repeated(firjob.Accepted, len(triggers))
			answers[0] = firjob.RefusedFull
			return answers, nil
		}
		l.release(t.Context(), l.flights(2))
		l.posts.Wait()
		key := firjob.ExecutorKey{App: "app", Address: "a:1", Incarnation: "i-a:1"}
		left := l.sent.take(key, time.Now())
		if len(left) != 1 || left[0].Token != 2 {
			t.Errorf("the executor's end would end %v, want only the accepted attempt with token 2", left)
		}
	})
}

func TestADefiniteAnswerEndsTheDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		first := firjob.ExecutorKey{App: "app", Address: "a:1", Incarnation: "i-a:1"}
		l.answer = func(to firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			if to.Address == "a:1" {
				return repeated(firjob.RefusedFull, len(triggers)), nil
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		f := l.flights(1)
		f[0].pinned = &first // an earlier request may have arrived
		l.release(t.Context(), f)
		l.posts.Wait()
		if diff := cmp.Diff([]string{"a:1", "b:1"}, l.sends); diff != "" {
			t.Errorf("requests went (-want +got):\n%s", diff)
		}
	})
}

// A server that may have been taken to be gone asks the store first.
func TestDoubtfulClaimsAreConfirmedBeforeTheyAreSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1")
		l.provenAlive = func(time.Time) bool { return false }
		l.confirmed = []firjob.AttemptRef{l.flights(2)[1].ref()}
		var tokens []int64
		l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
			for _, trigger := range triggers {
				tokens = append(tokens, trigger.Token)
			}
			return repeated(firjob.Accepted, len(triggers)), nil
		}
		l.release(t.Context(), l.flights(2))
		l.posts.Wait()
		if diff := cmp.Diff([]int64{2}, tokens); diff != "" {
			t.Errorf("tokens sent (-want +got):\n%s", diff)
		}
		if l.handedOver != 2 {
			t.Errorf("%d flights left this replica's hands, want 2", l.handedOver)
		}
	})
}

// What cannot be confirmed now was certainly not sent: it waits in the hold for the
// store to say, and not for the end of its lease; but no longer than it may be sent.
func TestDoubtfulClaimsWaitForTheStore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		away time.Duration
		want int // sends
	}{"the store comes back": {time.Second, 1}, "it does not": {time.Minute, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, "a:1")
				l.provenAlive = func(time.Time) bool { return false }
				l.away = true
				flights := l.flights(1)
				l.confirmed = []firjob.AttemptRef{flights[0].ref()}
				began := time.Now()
				l.release(t.Context(), flights)
				l.posts.Wait()
				for l.handedOver == 0 && time.Since(began) < time.Minute {
					time.Sleep(resendAfter)
					l.away = time.Since(began) < tt.away
					if due, _ := l.hold.take(1); len(due) > 0 {
						l.release(t.Context(), due)
						l.posts.Wait()
					}
				}
				if len(l.sends) != tt.want || l.handedOver != 1 {
					t.Errorf("sent %d times and %d handed over, want %d and 1", len(l.sends), l.handedOver, tt.want)
				}
				if took := time.Since(began); tt.want == 1 && took > tt.away+2*resendAfter {
					t.Errorf("sent after %v, with a store that was away for %v", took, tt.away)
				}
			})
		})
	}
}

func TestBatchesAreCutByBytes(t *testing.T) {
	t.Parallel()
	big := make([]*flight, 400)
	for i := range big {
		big[i] = &flight{Claimed: ports.Claimed{Trigger: firjob.Trigger{Params: make([]byte, firjob.MaxParams)}}}
	}
	if n := fitting(big); n != maxPostBytes/firjob.MaxParams {
		t.Errorf("%d triggers of the largest params go into one request, want %d", n, maxPostBytes/firjob.MaxParams)
	}
	if n := fitting(make([]*flight, 0)); n != 0 {
		t.Errorf("none fit as %d", n)
	}
}

package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

func neverJammed() bool { return false }

func testAttempt(n int, lease time.Duration) *attempt {
	return &attempt{
		task:    Task{ID: firjob.Fire(7, time.UnixMilli(int64(n))), Token: 1},
		handler: func(context.Context, *Task) error { return nil },
		fence:   time.Now().Add(fenced(lease)),
	}
}

// begun accepts and begins an attempt, and tells when and why it is ended.
func begun(t *testing.T, tab *table, n int, lease time.Duration) <-chan ending {
	t.Helper()
	a := testAttempt(n, lease)
	if got := tab.accept([]*attempt{a}, time.Now()); got[0] != firjob.Accepted {
		t.Fatalf("attempt %d: %s", n, got[0])
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	if err := tab.begin(<-tab.queue, time.Now(), cancel); err != nil {
		t.Fatalf("attempt %d did not begin: %v", n, err)
	}
	start, ended := time.Now(), make(chan ending, 1)
	context.AfterFunc(ctx, func() { ended <- ending{time.Since(start), context.Cause(ctx)} })
	return ended
}

type ending struct {
	after time.Duration
	cause error
}

func TestLeaseWithoutBeatsEndsByItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(4, 4, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		long, short := begun(t, tab, 1, 20*time.Second), begun(t, tab, 2, 10*time.Second)
		if e := <-short; e.after != 8*time.Second || !errors.Is(e.cause, ErrLeaseLost) {
			t.Errorf("a lease of 10s ended after %v for %v", e.after, e.cause)
		}
		if e := <-long; e.after != 16*time.Second || !errors.Is(e.cause, ErrLeaseLost) {
			t.Errorf("a lease of 20s ended after %v for %v", e.after, e.cause)
		}
		stop()
	})
}

func TestBeatsRenewFromTheirStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(4, 4, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		old := begun(t, tab, 1, 10*time.Second)
		for range 30 { // beats that each take 700 ms to be answered
			start, c := time.Now(), tab.census(time.Now(), 0)
			time.Sleep(700 * time.Millisecond)
			tab.renew(c.holding, start, 10*time.Second)
			time.Sleep(300 * time.Millisecond)
		}
		young := begun(t, tab, 2, 10*time.Second) // accepted 1 s after the last beat began
		if e := <-old; e.after != 37*time.Second || !errors.Is(e.cause, ErrLeaseLost) {
			t.Errorf("the renewed lease ended after %v for %v; the last beat began at 29s", e.after, e.cause)
		}
		if e := <-young; e.after != 8*time.Second {
			t.Errorf("the lease after the last beat ended after %v", e.after)
		}
		stop()
	})
}

// A beat vouches for what it names, not for what was accepted while it was on
// its way: that may have been sent with little of its lease left.
func TestBeatsRenewOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(4, 4, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		named := begun(t, tab, 1, 2500*time.Millisecond)
		start, c := time.Now(), tab.census(time.Now(), 0)
		unnamed := begun(t, tab, 2, 2500*time.Millisecond)
		time.Sleep(time.Second)
		tab.renew(c.holding, start, 10*time.Second)
		if e := <-unnamed; e.after != 2*time.Second || !errors.Is(e.cause, ErrLeaseLost) {
			t.Errorf("2.5s of lease, not named in the beat: ended after %v for %v", e.after, e.cause)
		}
		if e := <-named; e.after != 8*time.Second {
			t.Errorf("named in a beat that was answered with 10s: ended after %v", e.after)
		}
		stop()
	})
}

// An answer that the store has not confirmed is good for all but exclusive
// attempts, of which a server that is cut off cannot know the end.
func TestUnconfirmedBeatsRenewNothingExclusive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(4, 4, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		shared, exclusive := begun(t, tab, 1, 5*time.Second), begun(t, tab, 2, 5*time.Second)
		for ref, a := range tab.held {
			a.exclusive = ref.ID == testAttempt(2, 0).task.ID
		}
		tab.renewShared(tab.census(time.Now(), 0).holding, time.Now(), 10*time.Second)
		if e := <-exclusive; e.after != 4*time.Second || !errors.Is(e.cause, ErrLeaseLost) {
			t.Errorf("the exclusive attempt ended after %v for %v, want its own lease of 5s to count", e.after, e.cause)
		}
		if e := <-shared; e.after != 8*time.Second {
			t.Errorf("the other ended after %v, want 8s", e.after)
		}
		stop()
	})
}

// A beat that grants less than an attempt still has takes nothing from it.
func TestBeatsShortenNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(4, 4, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		ended := begun(t, tab, 1, 10*time.Second)
		tab.renew(tab.census(time.Now(), 0).holding, time.Now(), 5*time.Second)
		tab.renew(tab.census(time.Now(), 0).holding, time.Now(), 0) // an answer that grants none
		if e := <-ended; e.after != 8*time.Second {
			t.Errorf("a lease of 10s ended after %v", e.after)
		}
		stop()
	})
}

func TestWatchSleepsWhileNothingRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(1, 1, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		a := testAttempt(1, time.Minute)
		tab.accept([]*attempt{a}, time.Now())
		tab.finish(<-tab.queue)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if !tab.look.IsZero() {
			t.Errorf("still looks at %v", tab.look)
		}
		if e := <-begun(t, tab, 2, 10*time.Second); e.after != 8*time.Second {
			t.Errorf("woken for a lease of 10s, it ended after %v", e.after)
		}
		stop()
	})
}

// An attempt whose lease is over before its handler starts never starts.
func TestLeaseLostWhileWaiting(t *testing.T) {
	t.Parallel()
	tab := newTable(1, 1, neverJammed)
	a := testAttempt(1, time.Minute)
	tab.accept([]*attempt{a}, time.Now())
	tab.expire(a.fence)
	if err := tab.begin(<-tab.queue, a.fence.Add(-1), func(error) {}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("begin: %v", err)
	}
	if a := testAttempt(2, 0); tab.accept([]*attempt{a}, time.Now())[0] != firjob.RefusedStale {
		t.Error("a lease that is over was accepted")
	}
}

// After this process stood still, the pool may come to a waiting attempt before
// watch does.
func TestBeginLooksAtTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name  string
			late  time.Duration // beyond the fence of the attempt's own lease
			renew bool
			want  error
		}{
			{"within its lease", -1, false, nil},
			{"at its end", 0, false, ErrLeaseLost},
			{"an hour later", time.Hour, false, ErrLeaseLost},
			{"renewed meanwhile", 0, true, nil},
			{"renewed, an hour later", time.Hour, true, ErrLeaseLost},
		} {
			tab := newTable(1, 1, neverJammed)
			a := testAttempt(1, 10*time.Second)
			tab.accept([]*attempt{a}, time.Now())
			now := a.fence.Add(test.late)
			time.Sleep(5 * time.Second)
			if test.renew {
				tab.renew(tab.census(time.Now(), 0).holding, time.Now(), 10*time.Second)
			}
			if err := tab.begin(<-tab.queue, now, func(error) {}); !errors.Is(err, test.want) {
				t.Errorf("%s: begin: %v, want %v", test.name, err, test.want)
			}
		}
	})
}

// The pool alone, with nobody watching the leases, starts nothing whose lease is
// over, and lets go of it.
func TestPoolStartsNothingAfterItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(1, 2, neverJammed)
		p := &pool{table: tab, clock: newServerClock(time.Now()), report: func(firjob.Result) {}, log: slog.New(slog.DiscardHandler), values: t.Context()}
		var ran []int64
		var batch []*attempt
		for n := range 3 {
			a := testAttempt(n, 10*time.Second)
			a.task.Token, a.task.base = int64(n+1), p.log
			a.handler = func(_ context.Context, task *Task) error {
				ran = append(ran, task.Token)
				time.Sleep(5 * time.Second) // the second ends after the leases of all, the third comes too late
				return nil
			}
			batch = append(batch, a)
		}
		tab.accept(batch, time.Now())
		p.start(1)
		close(tab.queue)
		p.goroutines.Wait()
		if !slices.Equal(ran, []int64{1, 2}) {
			t.Errorf("tokens %v ran, want 1 and 2", ran)
		}
		if c := tab.census(time.Now(), 0); slices.ContainsFunc(c.holding, func(r firjob.AttemptRef) bool { return r.Token == 3 }) || c.pending != 0 {
			t.Errorf("what did not start is still held: %+v", c)
		}
	})
}

// A beat can name so many attempts and no more, and what it does not name loses
// its lease.
func TestNoMoreIsHeldThanABeatCanName(t *testing.T) {
	t.Parallel()
	tab := newTable(maxConcurrency, maxConcurrency, neverJammed)
	var refs []firjob.AttemptRef
	for n := range maxHeld {
		a := testAttempt(n+1, time.Hour)
		refs = append(refs, a.ref())
		if got := tab.accept([]*attempt{a}, time.Now()); got[0] != firjob.Accepted {
			t.Fatalf("attempt %d: %s", n, got[0])
		}
	}
	if got := tab.accept([]*attempt{testAttempt(maxHeld+1, time.Hour)}, time.Now()); got[0] != firjob.RefusedFull {
		t.Errorf("one more is answered %s", got[0])
	}
	tab.acknowledge(refs[:1])
	if got := tab.accept([]*attempt{testAttempt(maxHeld+2, time.Hour)}, time.Now()); got[0] != firjob.Accepted {
		t.Errorf("one more after another's receipt is answered %s", got[0])
	}
}

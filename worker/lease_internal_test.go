package worker

import (
	"context"
	"errors"
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
	if err := tab.begin(<-tab.queue, cancel); err != nil {
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
			start := time.Now()
			time.Sleep(700 * time.Millisecond)
			tab.renew(start, 10*time.Second)
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
	if err := tab.begin(<-tab.queue, func(error) {}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("begin: %v", err)
	}
	if a := testAttempt(2, 0); tab.accept([]*attempt{a}, time.Now())[0] != firjob.RefusedStale {
		t.Error("a lease that is over was accepted")
	}
}

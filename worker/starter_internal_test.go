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

// testStarter is a starter whose questions take 10 ms and are answered by
// answer; it notes how many attempts each named, and when.
type testStarter struct {
	*starter
	asked   []int
	at      []time.Duration
	renewed []time.Duration // from when the leases count
}

func startStarter(t *testing.T, answer func(n int, refs []firjob.AttemptRef) (firjob.StartReply, error)) (*testStarter, func()) {
	t.Helper()
	begin := time.Now()
	s := &testStarter{}
	s.starter = newStarter(func(_ context.Context, refs []firjob.AttemptRef) (firjob.StartReply, error) {
		s.asked, s.at = append(s.asked, len(refs)), append(s.at, time.Since(begin))
		time.Sleep(10 * time.Millisecond)
		return answer(len(s.asked), refs)
	}, func(granted []firjob.AttemptRef, start time.Time, lease time.Duration) {
		if len(granted) > 0 {
			s.renewed = append(s.renewed, start.Sub(begin))
		}
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	return s, func() { cancel(); <-ended }
}

// askMany asks for n attempts at once and returns what each is told.
func (s *testStarter) askMany(ctx context.Context, n int) <-chan error {
	told := make(chan error, n)
	for i := range n {
		go func() {
			told <- s.ask(ctx, firjob.AttemptRef{ID: firjob.Fire(7, time.UnixMilli(int64(i))), Token: int64(i + 1)})
		}()
	}
	return told
}

func grantOdd(refs []firjob.AttemptRef) (reply firjob.StartReply) {
	for _, ref := range refs {
		reply.Granted = append(reply.Granted, ref.Token%2 == 1)
	}
	return reply
}

func TestQuestionsShareARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, stop := startStarter(t, func(_ int, refs []firjob.AttemptRef) (firjob.StartReply, error) { return grantOdd(refs), nil })
		defer stop()
		first := s.askMany(t.Context(), 1)
		synctest.Wait()
		rest := s.askMany(t.Context(), firjob.MaxBatch+100) // while the first is on its way
		if err := <-first; err != nil {
			t.Errorf("the first was told %v", err)
		}
		granted := 0
		for range firjob.MaxBatch + 100 {
			switch err := <-rest; {
			case err == nil:
				granted++
			case !errors.Is(err, ErrLeaseLost):
				t.Errorf("told %v", err)
			}
		}
		if granted != (firjob.MaxBatch+100)/2 || !slices.Equal(s.asked, []int{1, firjob.MaxBatch, 100}) {
			t.Errorf("%d granted by requests of %v", granted, s.asked)
		}
		if !slices.Equal(s.renewed, s.at) {
			t.Errorf("leases count from %v, the requests were sent at %v", s.renewed, s.at)
		}
	})
}

func TestQuestionsAreRepeatedWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, stop := startStarter(t, func(int, []firjob.AttemptRef) (firjob.StartReply, error) {
			return firjob.StartReply{}, errors.New("away")
		})
		defer stop()
		ctx, lose := context.WithCancelCause(t.Context())
		told := s.askMany(ctx, 5)
		time.Sleep(8 * time.Second) // a lease
		lose(ErrLeaseLost)
		for range 5 {
			if err := <-told; !errors.Is(err, ErrLeaseLost) {
				t.Errorf("told %v", err)
			}
		}
		synctest.Wait()
		n := len(s.asked)
		if n < 8 || n > 20 || slices.Min(s.asked[1:]) != 5 {
			t.Errorf("asked for %v within a lease", s.asked)
		}
		time.Sleep(time.Minute)
		if len(s.asked) != n {
			t.Errorf("asked %d times more although nobody waits", len(s.asked)-n)
		}
	})
}

// An exclusive attempt waits while it asks, and has from then on the lease that
// the answer gives it, as after a beat.
func TestGrantedLeaseCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tab := newTable(1, 1, neverJammed)
		ctx, stop := context.WithCancel(t.Context())
		go tab.watch(ctx)
		s := newStarter(func(_ context.Context, refs []firjob.AttemptRef) (firjob.StartReply, error) {
			if c := tab.census(time.Now(), 0); len(c.waiting) != 1 {
				t.Errorf("while it asks it does not wait: %+v", c)
			}
			time.Sleep(time.Second)
			return firjob.StartReply{Granted: []bool{true}, Lease: firjob.Duration(10 * time.Second)}, nil
		}, tab.renew, slog.New(slog.DiscardHandler))
		go s.run(ctx)
		p := &pool{table: tab, clock: newServerClock(time.Now()), permit: s.ask, report: func(firjob.Result) {}, values: ctx}

		a, asked := testAttempt(1, 2*time.Second), time.Now()
		a.exclusive, a.task.base = true, slog.New(slog.DiscardHandler)
		a.handler = func(ctx context.Context, _ *Task) error {
			if after := time.Since(asked); after != time.Second || len(tab.census(time.Now(), 0).waiting) != 0 {
				t.Errorf("began %v after the question, waiting %v", after, tab.census(time.Now(), 0).waiting)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}
		tab.accept([]*attempt{a}, time.Now())
		p.run(<-tab.queue)
		if after := time.Since(asked); after != 8*time.Second || !errors.Is(a.stopped, ErrLeaseLost) {
			t.Errorf("granted 10s of lease, it ended %v after the question for %v", after, a.stopped)
		}
		stop()
	})
}

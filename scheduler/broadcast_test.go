package scheduler

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// station is a line whose store takes broadcasts.
type station struct {
	*line
	down     error
	targets  [][]string // of each call
	attempts []firjob.AttemptRef
	announce []firjob.Due // what follows from a call, and what was told of it
	told     []firjob.Due
	takes    time.Duration // of each call
	running  int           // calls under way, and at the most
	most     int
}

func newStation(t *testing.T, addresses ...string) *station {
	t.Helper()
	s := &station{line: newLine(t, addresses...)}
	s.sending.store = s
	s.sending.follow = func(_ context.Context, f ports.Followed) {
		s.locked(func() { s.told = append(s.told, f.Announce...) })
	}
	return s
}

func (s *station) Broadcast(_ context.Context, attempt firjob.AttemptRef, targets []string) (ports.Followed, error) {
	s.locked(func() {
		s.attempts, s.targets = append(s.attempts, attempt), append(s.targets, targets)
		s.running++
		s.most = max(s.most, s.running)
	})
	time.Sleep(s.takes)
	s.locked(func() { s.running-- })
	return ports.Followed{Announce: s.announce}, s.down
}

// broadcasts returns n flights that are to be spread.
func (s *station) broadcasts(n int, selector map[string]string) []*flight {
	list := s.flights(n)
	for _, f := range list {
		f.Route = firjob.RouteBroadcast
		if selector != nil {
			f.Dispatch = &ports.Dispatch{Selector: selector}
		}
	}
	return list
}

func TestABroadcastGoesToEachExecutorThatFits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selector map[string]string
		want     [][]string
		released []string
	}{
		"all":     {nil, [][]string{{"a:1", "b:1", "d:1"}}, nil},
		"labels":  {map[string]string{"zone": "eu"}, [][]string{{"b:1", "d:1"}}, nil},
		"nobody":  {map[string]string{"zone": "us"}, nil, []string{"the only executor of app app with the labels zone=us is cordoned or draining"}},
		"no such": {map[string]string{"gpu": "yes"}, nil, []string{"no executor of app app has the labels gpu=yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t)
				for _, e := range []firjob.Executor{
					{Address: "d:1", Incarnation: "1", Labels: map[string]string{"zone": "eu"}, State: firjob.ExecutorActive},
					{Address: "b:1", Incarnation: "1", Labels: map[string]string{"zone": "eu"}, State: firjob.ExecutorActive},
					{Address: "b:1", Incarnation: "2", Labels: map[string]string{"zone": "eu"}, State: firjob.ExecutorActive}, // restarted
					{Address: "a:1", Incarnation: "1", State: firjob.ExecutorActive},
					{Address: "c:1", Incarnation: "1", Labels: map[string]string{"zone": "us"}, State: firjob.ExecutorDraining},
				} {
					e.App = "app"
					s.executors.seenNow(t.Context(), e)
				}
				f := s.broadcasts(1, c.selector)
				s.release(t.Context(), f)
				s.posts.Wait()
				if diff := cmp.Diff(c.want, s.targets); diff != "" {
					t.Errorf("targets (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(c.released, s.released); diff != "" {
					t.Errorf("given back (-want +got):\n%s", diff)
				}
				if s.handedOver != 1 || len(s.sends) != 0 {
					t.Errorf("%d flights left this replica's hands and %v were sent, want 1 and none", s.handedOver, s.sends)
				}
			})
		})
	}
}

// A breaker that is open takes nobody's shard away.
func TestABroadcastKnowsNoBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, "a:1", "b:1")
		s.executors.Sender = brokenSender{s}
		s.announce = []firjob.Due{{ID: firjob.Fire(1, s.clock.Now()).Shard(0)}}
		f := s.broadcasts(1, nil)
		s.release(t.Context(), f)
		s.posts.Wait()
		if diff := cmp.Diff([][]string{{"a:1", "b:1"}}, s.targets); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(s.announce, s.told); diff != "" {
			t.Errorf("what follows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]firjob.AttemptRef{f[0].ref()}, s.attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

// brokenSender has every breaker open.
type brokenSender struct{ Sender }

func (brokenSender) Ready(firjob.Executor) bool { return false }

// A store that cannot be reached may have spread it all the same: nothing is
// done that would contradict that, and the lease brings it back if not.
func TestABroadcastThatCannotBeSpreadIsLeftToItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, "a:1")
		s.down = errors.New("connection reset")
		s.announce = []firjob.Due{{}}
		s.release(t.Context(), s.broadcasts(1, nil))
		s.posts.Wait()
		if s.handedOver != 1 || len(s.released) != 0 || len(s.lostRefs) != 0 || len(s.told) != 0 {
			t.Errorf("%d left this replica's hands, %v given back, %v lost, %v told; want only the first", s.handedOver, s.released, s.lostRefs, s.told)
		}
	})
}

// A shard is sent like any other flight.
func TestAShardIsNotSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, "a:1")
		f := s.broadcasts(1, nil)
		f[0].Trigger.Shard, f[0].Target = &firjob.ShardOf{Index: 0, Total: 1}, "a:1"
		s.release(t.Context(), f)
		s.posts.Wait()
		if len(s.targets) != 0 || len(s.sends) != 1 {
			t.Errorf("spread over %v, sent to %v; want it sent", s.targets, s.sends)
		}
	})
}

// What a commit asks to be cancelled is cancelled at the executor that holds it, or
// at every executor of the app if none has named it, in one request each.
func TestFollowCancels(t *testing.T) {
	t.Parallel()
	l := newLine(t, "a:1", "b:1")
	asked := &cancelSender{Sender: l, attempts: map[string][]firjob.AttemptRef{}}
	at := func(address string) firjob.ExecutorKey {
		return firjob.ExecutorKey{App: "app", Address: address, Incarnation: "i-" + address}
	}
	var attempts []firjob.AttemptRef
	cancel := []ports.Cancel{{App: "another"}}
	for i := range 5 {
		a := firjob.AttemptRef{ID: firjob.Fire(firjob.JobID(i+1), l.clock.Now()), Token: int64(i + 1)}
		attempts = append(attempts, a)
		cancel = append(cancel, ports.Cancel{App: "app", Attempt: a})
	}
	store := &holdersStore{held: []ports.Held{{Executor: at("b:1"), Attempt: attempts[2]},
		{Executor: at("unseen:1"), Attempt: attempts[3]}, {Executor: at(callAddress), Attempt: attempts[4]}}}
	s := &Scheduler{store: store, executors: l.executors, sender: asked, clock: l.clock, log: l.log}
	s.follow(t.Context(), ports.Followed{Cancel: cancel})
	s.background.close()
	want := map[string][]firjob.AttemptRef{
		"a:1": attempts[:2], "b:1": {attempts[2], attempts[0], attempts[1]}, "unseen:1": {attempts[3]},
	}
	if diff := cmp.Diff(want, asked.attempts); diff != "" {
		t.Errorf("asked to cancel (-want +got):\n%s", diff)
	}
}

// While the store does not say who holds an attempt, every executor is asked.
func TestCancelWithoutTheStoreAsksEveryone(t *testing.T) {
	t.Parallel()
	l := newLine(t, "a:1", "b:1")
	asked := &cancelSender{Sender: l, attempts: map[string][]firjob.AttemptRef{}}
	s := &Scheduler{store: &holdersStore{err: errors.New("away")}, executors: l.executors, sender: asked, clock: l.clock, log: l.log}
	attempts := []firjob.AttemptRef{{ID: firjob.Fire(1, l.clock.Now()), Token: 1}}
	s.Cancel(t.Context(), "app", attempts...)
	s.background.close()
	if diff := cmp.Diff(map[string][]firjob.AttemptRef{"a:1": attempts, "b:1": attempts}, asked.attempts); diff != "" {
		t.Errorf("asked to cancel (-want +got):\n%s", diff)
	}
}

// holdersStore says who holds attempts.
type holdersStore struct {
	Store
	held []ports.Held
	err  error
}

func (h *holdersStore) Holders(context.Context, string, []firjob.AttemptRef) ([]ports.Held, error) {
	return h.held, h.err
}

// cancelSender notes which executor was asked to cancel what.
type cancelSender struct {
	Sender
	mu       sync.Mutex
	attempts map[string][]firjob.AttemptRef
}

func (c *cancelSender) Cancel(_ context.Context, to firjob.Executor, _ []byte, _ time.Time, attempts []firjob.AttemptRef) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts[to.Address] = append(c.attempts[to.Address], attempts...)
	return nil
}

func TestABatchIsBoundedByItsInputs(t *testing.T) {
	t.Parallel()
	flights := make([]*flight, 40)
	for i := range flights {
		flights[i] = &flight{Claimed: ports.Claimed{Trigger: firjob.Trigger{Inputs: make([]byte, firjob.MaxInputs)}}}
	}
	if n := fitting(flights); n*firjob.MaxInputs > maxPostBytes || n == 0 {
		t.Errorf("%d triggers of %d bytes go into one request, want at most %d bytes", n, firjob.MaxInputs, maxPostBytes)
	}
}

// Many broadcasts of one instant leave the store to others, too; those that it
// cannot spread before their leases end are given back and do not count as lost.
func TestBroadcastsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, "a:1")
		s.takes = time.Second
		const n = 100
		s.release(t.Context(), s.broadcasts(n, nil))
		s.posts.Wait()
		if s.most > spreadsAtATime {
			t.Errorf("%d broadcasts were spread at a time, want at most %d", s.most, spreadsAtATime)
		}
		if spread, back := len(s.attempts), len(s.released); spread == 0 || back == 0 || spread+back != n {
			t.Errorf("of %d broadcasts %d were spread and %d given back; want those spread that had time, and the others given back", n, spread, back)
		}
		if s.handedOver != n {
			t.Errorf("%d flights left this replica's hands, want %d", s.handedOver, n)
		}
	})
}

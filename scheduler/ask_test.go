package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
)

// asked is executors that say what they hold, a store that notes it, and a registry.
type asked struct {
	Sender
	askedStore
	says     map[string]func(context.Context) ([]firjob.AttemptRef, error) // by address
	young    []ports.Alive                                                 // known to the registry alone
	registry error
}

type askedStore struct {
	Store
	noted  []ports.Held
	holdOK error
}

// askedRegistry keeps the two Executors methods apart.
type askedRegistry struct {
	Registry
	*asked
}

func (r askedRegistry) Executors(_ context.Context, apps []string, _ time.Duration) ([]ports.Alive, error) {
	if diff := cmp.Diff([]string{"app"}, apps); diff != "" {
		return nil, errors.New("asked for other apps: " + diff)
	}
	return r.young, r.asked.registry
}

func (a *asked) Holding(ctx context.Context, to firjob.Executor, _ []byte, _ time.Time) ([]firjob.AttemptRef, error) {
	return a.says[to.Address](ctx)
}

func (a *askedStore) Hold(_ context.Context, held []ports.Held, _ time.Duration) (ports.HoldResult, error) {
	a.noted = append(a.noted, held...)
	return ports.HoldResult{}, a.holdOK
}

// scheduler returns a Scheduler whose view has executors at the addresses.
func (a *asked) scheduler(t *testing.T, addresses ...string) *Scheduler {
	t.Helper()
	view := newLine(t, addresses...).executors
	view.degraded = false
	view.Queue.degraded.Store(false)
	view.Registry = askedRegistry{asked: a}
	view.Store = awayStore{}
	s := &Scheduler{executors: view, sender: a, store: &a.askedStore, clock: newStoreClock(time.Now), log: slog.New(slog.DiscardHandler)}
	s.holds = groupcommit.New(groupcommit.Sizes{Limit: holdBatch, Calls: 1}, s.renew)
	return s
}

// awayStore has no snapshot of the registry.
type awayStore struct{ Store }

func (awayStore) Now(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") }

// What executors hold is on record before anything is given up; one that does not
// say, or whose word cannot be noted, leaves that open.
func TestExecutorsAreAskedWhatTheyHold(t *testing.T) {
	t.Parallel()
	ref := firjob.AttemptRef{ID: firjob.Fire(7, time.Now()), Token: 3}
	holds := func(context.Context) ([]firjob.AttemptRef, error) { return []firjob.AttemptRef{ref}, nil }
	nothing := func(context.Context) ([]firjob.AttemptRef, error) { return nil, nil }
	ended := func(context.Context) ([]firjob.AttemptRef, error) {
		return nil, &ports.Refused{Reason: "nobody listens"}
	}
	fails := func(context.Context) ([]firjob.AttemptRef, error) { return nil, errors.New("does not say") }
	hangs := func(ctx context.Context) ([]firjob.AttemptRef, error) { <-ctx.Done(); return nil, ctx.Err() }
	for name, c := range map[string]struct {
		other    func(context.Context) ([]firjob.AttemptRef, error)
		holdOK   error
		registry error
		want     bool
	}{
		"the other holds nothing": {nothing, nil, nil, true},
		"the other has ended":     {ended, nil, nil, true},
		"the other fails":         {fails, nil, nil, false},
		"the other hangs":         {hangs, nil, nil, false},
		"the store is away":       {nothing, errors.New("away"), nil, false},
		"the registry is away":    {nothing, nil, errors.New("away"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &asked{says: map[string]func(context.Context) ([]firjob.AttemptRef, error){"a:1": holds, "b:1": c.other, "c:1": holds}, registry: c.registry}
				a.holdOK = c.holdOK
				a.young = []ports.Alive{{Executor: firjob.Executor{App: "app", Address: "c:1", Incarnation: "i-c:1"}}}
				s := a.scheduler(t, "a:1", "b:1")
				defer s.holds.Close()
				if got := s.askExecutors(t.Context(), []string{"app"}); got != c.want {
					t.Errorf("all have said what they hold: %v, want %v", got, c.want)
				}
				var want []ports.Held
				for _, address := range []string{"a:1", "c:1"} {
					want = append(want, ports.Held{Executor: firjob.ExecutorKey{App: "app", Address: address, Incarnation: "i-" + address}, Attempt: ref})
				}
				if c.registry != nil {
					want = nil
				}
				slices.SortFunc(a.noted, func(a, b ports.Held) int { return strings.Compare(a.Executor.Address, b.Executor.Address) })
				if diff := cmp.Diff(want, a.noted); diff != "" {
					t.Errorf("noted (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// With nothing in question nobody is asked, and never all executors at once.
func TestAskingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		a := &asked{says: make(map[string]func(context.Context) ([]firjob.AttemptRef, error))}
		var addresses []string
		for i := range 4 * askAtATime {
			addresses = append(addresses, "a:"+strconv.Itoa(i))
			a.says[addresses[i]] = func(context.Context) ([]firjob.AttemptRef, error) {
				n := now.Add(1)
				defer now.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Millisecond)
				return nil, nil
			}
		}
		s := a.scheduler(t, addresses...)
		defer s.holds.Close()
		if !s.askExecutors(t.Context(), nil) || most.Load() != 0 {
			t.Errorf("with nothing in question %d executors are asked, want none", most.Load())
		}
		if !s.askExecutors(t.Context(), []string{"app"}) || most.Load() != askAtATime {
			t.Errorf("%d executors are asked at a time, want %d", most.Load(), askAtATime)
		}
	})
}

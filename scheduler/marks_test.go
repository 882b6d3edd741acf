package scheduler

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// marked is the view of a server whose store and registry the test plays.
type marked struct {
	*executors
	Registry

	mu     sync.Mutex
	stored []firjob.Mark
	during func() // called while the marks are read
	listed []ports.Alive
	nudges chan string
	sent   []string // nudges
	gone   []string
}

func newMarked(t *testing.T, addresses ...string) *marked {
	t.Helper()
	l := newLine(t, addresses...)
	m := &marked{executors: l.executors, nudges: make(chan string, 8)}
	m.executors.Store, m.executors.Registry, m.executors.Sender = markStore{m: m}, m, m
	m.Queue.degraded.Store(false)
	m.Gone = func(_ context.Context, key firjob.ExecutorKey, _ string) { m.gone = append(m.gone, key.Address) }
	for _, e := range l.executors.live {
		m.listed = append(m.listed, ports.Alive{Executor: e.Executor})
	}
	return m
}

// markStore is the store of a marked view.
type markStore struct {
	Store
	m *marked
}

func (s markStore) Marks(context.Context) ([]firjob.Mark, error) {
	s.m.mu.Lock()
	list := slices.Clone(s.m.stored)
	s.m.mu.Unlock()
	if s.m.during != nil {
		s.m.during()
	}
	return list, nil
}

func (m *marked) Executors(context.Context, []string, time.Duration) ([]ports.Alive, error) {
	return m.listed, nil
}

func (m *marked) Nudge(_ context.Context, app string) error {
	m.sent = append(m.sent, app)
	return nil
}

func (m *marked) Nudges(ctx context.Context) <-chan string {
	context.AfterFunc(ctx, func() { close(m.nudges) })
	return m.nudges
}

func (m *marked) Send(context.Context, firjob.Executor, []byte, time.Time, []firjob.Trigger) ([]firjob.Acceptance, error) {
	return nil, nil
}

func (m *marked) Cancel(context.Context, firjob.Executor, []byte, time.Time, []firjob.AttemptRef) error {
	return nil
}

func (m *marked) Probe(context.Context, firjob.Executor, []byte, time.Time) error {
	return &ports.Refused{Reason: "nobody listens"}
}

func (m *marked) Holding(context.Context, firjob.Executor, []byte, time.Time) ([]firjob.AttemptRef, error) {
	return nil, nil
}

func (m *marked) Ready(firjob.Executor) bool { return true }
func (m *marked) Forget(firjob.ExecutorKey)  {}

func (m *marked) Contact(firjob.ExecutorKey) ports.Contact { return ports.Contact{} }

func mark(address string, state firjob.ExecutorState) firjob.Mark {
	return firjob.Mark{App: "app", Address: address, State: state, Reason: "why", CreatedAt: noon}
}

// states returns what counts of each address.
func (m *marked) states() map[string]firjob.ExecutorState {
	got := make(map[string]firjob.ExecutorState)
	for _, v := range m.view("app") {
		got[v.Address] = v.Counts
	}
	return got
}

func TestTheStricterStateCounts(t *testing.T) {
	t.Parallel()
	const a, c, d = firjob.ExecutorActive, firjob.ExecutorCordoned, firjob.ExecutorDraining
	for _, tt := range []struct{ own, mark, want firjob.ExecutorState }{
		{a, a, a}, {a, c, c}, {a, d, d}, {c, a, c}, {c, c, c}, {c, d, d}, {d, a, d}, {d, c, d}, {d, d, d},
	} {
		m := newMarked(t, "a:1")
		m.change("a:1", func(e *firjob.Executor) { e.State = tt.own })
		m.setMark(mark("a:1", tt.mark))
		if got := m.states()["a:1"]; got != tt.want {
			t.Errorf("own %s, marked %s: %s counts, want %s", tt.own, tt.mark, got, tt.want)
		}
		if got := m.goesTo(routed(firjob.RouteRandom)) != ""; got != (tt.want == a) {
			t.Errorf("own %s, marked %s: gets something new: %t", tt.own, tt.mark, got)
		}
	}
}

// A mark is about whoever is at the address, now or later.
func TestMarksSurviveTheExecutor(t *testing.T) {
	t.Parallel()
	m := newMarked(t, "a:1")
	m.stored = []firjob.Mark{mark("a:1", firjob.ExecutorCordoned), mark("b:1", firjob.ExecutorDraining)}
	m.refreshMarks(t.Context())
	m.seenNow(t.Context(), firjob.Executor{App: "app", Address: "a:1", Incarnation: "again", State: firjob.ExecutorActive})
	want := map[string]firjob.ExecutorState{"a:1": firjob.ExecutorCordoned, "b:1": firjob.ExecutorDraining}
	if diff := cmp.Diff(want, m.states()); diff != "" {
		t.Errorf("after a restart of a:1 (-want +got):\n%s", diff)
	}
	m.seenNow(t.Context(), firjob.Executor{App: "app", Address: "b:1", Incarnation: "first", State: firjob.ExecutorActive})
	if diff := cmp.Diff(want, m.states()); diff != "" {
		t.Errorf("after the first beat of b:1 (-want +got):\n%s", diff)
	}
	m.stored = nil
	m.refreshMarks(t.Context())
	want = map[string]firjob.ExecutorState{"a:1": firjob.ExecutorActive, "b:1": firjob.ExecutorActive}
	if diff := cmp.Diff(want, m.states()); diff != "" {
		t.Errorf("after the marks were taken away elsewhere (-want +got):\n%s", diff)
	}
}

// What was read before a mark was set must not undo it.
func TestAMarkIsNotUndoneByAnOlderReading(t *testing.T) {
	t.Parallel()
	m := newMarked(t, "a:1")
	m.during = func() { m.setMark(mark("a:1", firjob.ExecutorCordoned)) }
	m.refreshMarks(t.Context())
	if got := m.states()["a:1"]; got != firjob.ExecutorCordoned {
		t.Errorf("a:1 is %s, want cordoned", got)
	}
	m.during = nil
	m.refreshMarks(t.Context())
	if got := m.states()["a:1"]; got != firjob.ExecutorActive {
		t.Errorf("a:1 is %s after a later reading without the mark, want active", got)
	}
}

func TestViewOfExecutors(t *testing.T) {
	t.Parallel()
	m := newMarked(t, "b:1", "a:1")
	m.setMark(mark("b:1", firjob.ExecutorCordoned))
	m.setMark(mark("c:1", firjob.ExecutorDraining))
	m.setMark(firjob.Mark{App: "other", Address: "d:1", State: firjob.ExecutorDraining})
	cordon, drain := mark("b:1", firjob.ExecutorCordoned), mark("c:1", firjob.ExecutorDraining)
	type row struct {
		Address string
		Own     firjob.ExecutorState
		Mark    *firjob.Mark
		Counts  firjob.ExecutorState
		Live    bool
	}
	var got []row
	for _, v := range m.view("app") {
		got = append(got, row{v.Address, v.State, v.Mark, v.Counts, v.Live})
	}
	want := []row{
		{"a:1", firjob.ExecutorActive, nil, firjob.ExecutorActive, true},
		{"b:1", firjob.ExecutorActive, &cordon, firjob.ExecutorCordoned, true},
		{"c:1", "", &drain, firjob.ExecutorDraining, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
}

// Another server's nudge makes this one read the marks and the app's executors,
// and ask in person who is not there any more.
func TestNudgesAreObeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMarked(t, "a:1", "b:1", "c:1")
		m.listed = slices.DeleteFunc(m.listed, func(a ports.Alive) bool { return a.Address == "c:1" })
		for i := range m.listed {
			if m.listed[i].Address == "b:1" {
				m.listed[i].State = firjob.ExecutorDraining
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { m.obey(ctx) })
		synctest.Wait()
		time.Sleep(time.Millisecond) // what is listed was said later than what is known
		m.mu.Lock()
		m.stored = []firjob.Mark{mark("a:1", firjob.ExecutorCordoned)}
		m.mu.Unlock()
		m.nudges <- "app"
		m.nudges <- "app"
		synctest.Wait()
		want := map[string]firjob.ExecutorState{"a:1": firjob.ExecutorCordoned, "b:1": firjob.ExecutorDraining}
		if diff := cmp.Diff(want, m.states()); diff != "" {
			t.Errorf("after a nudge (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"c:1"}, m.gone); diff != "" {
			t.Errorf("gone (-want +got):\n%s", diff)
		}
		cancel()
		loop.Wait()
	})
}

// A beat that says another state than the one before is worth a nudge.
func TestBeatsTurn(t *testing.T) {
	t.Parallel()
	m := newMarked(t, "a:1")
	for i, tt := range []struct {
		address string
		state   firjob.ExecutorState
		want    bool
	}{
		{"a:1", firjob.ExecutorActive, false},
		{"a:1", firjob.ExecutorDraining, true},
		{"a:1", firjob.ExecutorDraining, false},
		{"a:1", firjob.ExecutorActive, true},
		{"b:1", firjob.ExecutorActive, false},
		{"c:1", firjob.ExecutorCordoned, true},
	} {
		e := firjob.Executor{App: "app", Address: tt.address, Incarnation: "i-" + tt.address, State: tt.state}
		if got := m.seenNow(t.Context(), e); got != tt.want {
			t.Errorf("beat %d, %s of %s: turned %t, want %t", i, tt.state, tt.address, got, tt.want)
		}
	}
}

// What waits for an executor that is cordoned meanwhile goes to another.
func TestWaitingFlightsLeaveACordonedExecutor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		flights := l.flights(11)
		for _, f := range flights {
			f.Route = firjob.RouteFirst
		}
		l.release(t.Context(), flights[:1])
		synctest.Wait()                     // it is under way
		l.release(t.Context(), flights[1:]) // behind it
		l.executors.setMark(mark("a:1", firjob.ExecutorCordoned))
		l.posts.Wait()
		if diff := cmp.Diff([]string{"a:1", "b:1"}, l.sends); diff != "" {
			t.Errorf("requests went (-want +got):\n%s", diff)
		}
		if l.handedOver != 11 || len(l.released) != 0 {
			t.Errorf("%d handed over, %v given back; want 11 and none", l.handedOver, l.released)
		}
	})
}

// One whose outcome is unknown stays with its process also when that is cordoned.
func TestAnUnknownOutcomeStaysWithACordonedProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, "a:1", "b:1")
		l.executors.setMark(mark("a:1", firjob.ExecutorDraining))
		f := l.flights(1)
		f[0].pinned = &firjob.ExecutorKey{App: "app", Address: "a:1", Incarnation: "i-a:1"}
		l.release(t.Context(), f)
		l.posts.Wait()
		if diff := cmp.Diff([]string{"a:1"}, l.sends); diff != "" {
			t.Errorf("requests went (-want +got):\n%s", diff)
		}
	})
}

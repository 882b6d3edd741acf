package scheduler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// half is a view whose executors all answer at their ports, and of which some
// do not beat.
type half struct {
	*marked
	beating map[string]bool
	saved   []firjob.Executor // beats that only the snapshot has
	away    error             // of Postgres
}

type halfStore struct {
	markStore
	h *half
}

func (s halfStore) SigningKeys(context.Context) (map[string][]byte, error) {
	return map[string][]byte{"app": []byte("key")}, nil
}

func (s halfStore) Executors(context.Context, time.Duration) ([]firjob.Executor, error) {
	return s.h.saved, s.h.away
}

func (h *half) Probe(context.Context, firjob.Executor, []byte, time.Time) error { return nil }

func (h *half) Executors(context.Context, []string, time.Duration) ([]ports.Alive, error) {
	var list []ports.Alive
	for _, a := range h.listed {
		if h.beating[a.Address] {
			a.LastBeat = time.Now()
			list = append(list, a)
		}
	}
	return list, nil
}

// newHalf returns a view that has refreshed for a time during which only some of
// its executors have beaten.
func newHalf(t *testing.T, silence time.Duration, beating string, addresses ...string) *half {
	t.Helper()
	h := &half{marked: newMarked(t, addresses...), beating: map[string]bool{}}
	for _, a := range strings.Fields(beating) {
		h.beating[a] = true
	}
	h.executors.Store, h.executors.Registry, h.executors.Sender = halfStore{markStore{m: h.marked}, h}, h, h
	h.executors.degraded = false
	h.pass(t, silence)
	return h
}

func (h *half) pass(t *testing.T, d time.Duration) {
	for range d / refreshInterval {
		time.Sleep(refreshInterval)
		h.refresh(t.Context())
	}
}

// Whatever the route, an executor whose beats do not arrive gets nothing new while
// another fits. It stays in the list, for it may still run what it has.
func TestAMuteExecutorGetsNothingNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, 4*time.Second, "b:1", "a:1", "b:1")
		h.memory.note(1, "a:1", time.Now())
		for _, route := range firjob.Routes() {
			for _, how := range []func(*flight){
				func(*flight) {},
				func(f *flight) { f.Target = "a:1" },
				func(f *flight) { f.known.chosen = "a:1" },
				func(f *flight) { f.Last = "a:1"; with(ports.Dispatch{RetryOn: firjob.RetrySame})(f) },
				with(ports.Dispatch{RouteOrder: []string{"a:1", "b:1"}}),
			} {
				if got := h.goesTo(routed(route, how)); got != "b:1" {
					t.Errorf("%s goes to %q, want b:1", route, got)
				}
			}
		}
		if diff := cmp.Diff([]string{"b:1"}, h.audience(routed(firjob.RouteBroadcast))); diff != "" {
			t.Errorf("a broadcast goes to (-want +got):\n%s", diff)
		}
		got := map[string]bool{}
		for _, v := range h.view("app") {
			got[v.Address] = v.Live && v.Mute
		}
		if diff := cmp.Diff(map[string]bool{"a:1": true, "b:1": false}, got); diff != "" {
			t.Errorf("live and mute (-want +got):\n%s", diff)
		}
		if len(h.gone) > 0 {
			t.Errorf("%v are taken to be gone, and lose what they hold", h.gone)
		}
	})
}

// An executor that nobody has heard for less than three beats is not mute, and one
// beat is enough to be heard again.
func TestMutenessBeginsAndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, firjob.DeadAfter, "", "a:1")
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "a:1" {
			t.Errorf("after %v of silence it goes to %q, want a:1", firjob.DeadAfter, got)
		}
		h.pass(t, time.Second)
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "" {
			t.Errorf("the only executor is mute, and it goes to %q; want that it waits", got)
		}
		if why := h.why(routed(firjob.RouteFirst)); !strings.Contains(why, "a:1") || !strings.Contains(why, "mute") {
			t.Errorf("the reason is %q, want that it names the mute a:1", why)
		}
		h.beating["a:1"] = true
		h.pass(t, refreshInterval)
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "a:1" {
			t.Errorf("after a beat it goes to %q, want a:1", got)
		}
	})
}

// A row of the snapshot may be of a beat that is known, so it does not put off that
// the executor is mute.
func TestALateSaveIsNoBeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, time.Second, "", "a:1")
		saved := h.listed[0].Executor
		saved.LastBeat = h.Clock.Now() // a second after the beat
		h.saved = []firjob.Executor{saved}
		h.pass(t, 3*time.Second)
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "" {
			t.Errorf("it goes to %q, want that a:1 is mute", got)
		}
	})
}

// A beat that went to a server without Redis counts, and a server that can read
// neither store takes nobody to be mute.
func TestBeatsOfTheSnapshotAreHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, 2*time.Second, "", "a:1")
		saved := h.listed[0].Executor
		saved.LastBeat = h.Clock.Now().Add(2 * time.Second)
		h.saved = []firjob.Executor{saved}
		h.pass(t, 3*time.Second)
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "a:1" {
			t.Errorf("with a beat in the snapshot it goes to %q, want a:1", got)
		}
		h.saved, h.away = nil, context.DeadlineExceeded
		h.pass(t, 10*time.Second)
		if got := h.goesTo(routed(firjob.RouteFirst)); got != "a:1" {
			t.Errorf("while Postgres is away it goes to %q, want a:1", got)
		}
	})
}

// Executors that share an address are found, and nobody else is in doubt.
func TestThoseThatShareAnAddressAreInDoubt(t *testing.T) {
	t.Parallel()
	m := newMarked(t, "c:1", "a:1", "b:1")
	m.seenNow(t.Context(), firjob.Executor{App: "app", Address: "b:1", Incarnation: "again", State: firjob.ExecutorActive})
	got := map[string]bool{}
	for _, d := range m.doubtful() {
		got[d.Address+" "+d.Incarnation] = true
	}
	if diff := cmp.Diff(map[string]bool{"b:1 i-b:1": true, "b:1 again": true}, got); diff != "" {
		t.Errorf("in doubt (-want +got):\n%s", diff)
	}
}

// The time for each executor is the same, however many there are.
func BenchmarkDoubtful(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			addresses := make([]string, n)
			for i := range addresses {
				addresses[i] = fmt.Sprintf("10.0.%d.%d:9999", i/256, i%256)
			}
			view := newLine(b, addresses...).executors
			for b.Loop() {
				view.doubtful()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/executor")
		})
	}
}

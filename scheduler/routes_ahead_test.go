package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// redisOfAll is what servers share, as far as routes ask for it.
type redisOfAll struct {
	Registry
	wait time.Duration // that each answer takes
	err  error

	mu      sync.Mutex
	turns   map[ports.Ring]uint64
	choices []ports.Choice
}

func (r *redisOfAll) answer(ctx context.Context) error {
	if !sleep(ctx, r.wait) {
		return context.Cause(ctx)
	}
	return r.err
}

func (r *redisOfAll) Turns(ctx context.Context, counts map[ports.Ring]int) (map[ports.Ring]uint64, error) {
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	firsts := make(map[ports.Ring]uint64)
	for ring, n := range counts {
		firsts[ring] = r.turns[ring]
		r.turns[ring] += uint64(n)
	}
	return firsts, nil
}

// Choose picks the lowest address.
func (r *redisOfAll) Choose(ctx context.Context, choices []ports.Choice) ([]string, error) {
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.choices = append(r.choices, choices...)
	picks := make([]string, len(choices))
	for i, c := range choices {
		picks[i] = slices.Min(c.Among)
	}
	return picks, nil
}

// server is a line with what comes before its hold.
type replica struct {
	*line
	*ahead
	background background
}

func newReplica(t *testing.T, redis *redisOfAll, addresses ...string) *replica {
	t.Helper()
	r := &replica{line: newLine(t, addresses...)}
	queue := &guardedQueue{metrics: newMetrics(nil), log: slog.New(slog.DiscardHandler)}
	r.ahead = &ahead{registry: redis, queue: queue, executors: r.line.executors, hold: r.line.hold, background: &r.background}
	return r
}

// soon returns n flights of a route that are due in the lead of a claim.
func (r *replica) soon(route firjob.Route, n int) []*flight {
	list := r.flights(n)
	for _, f := range list {
		f.Route, f.DueAt = route, f.DueAt.Add(lead)
		f.Trigger.JobID = f.Trigger.ID.Job()
	}
	return list
}

// held returns how many flights are in the hold.
func (r *replica) held() int {
	r.line.hold.mu.Lock()
	defer r.line.hold.mu.Unlock()
	return len(r.line.hold.waiting)
}

// Three servers take turns: over all of them each executor gets exactly its
// share, however unevenly the servers claim.
func TestRoundRobinIsExactOverReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &redisOfAll{turns: make(map[ports.Ring]uint64), wait: time.Millisecond}
		var replicas []*replica
		for range 3 {
			replicas = append(replicas, newReplica(t, redis, "a:1", "b:1", "c:1", "d:1"))
		}
		got := make(map[string]int)
		for round := range 10 {
			for i, r := range replicas {
				r.enter(t.Context(), r.soon(firjob.RouteRoundRobin, 1+(round*3+i)%7))
			}
			time.Sleep(lead)
			for _, r := range replicas {
				flights := r.line.hold.empty()
				for _, box := range r.line.executors.targets(flights) {
					got[box.to.Address]++
				}
			}
		}
		taken := int(redis.turns[ports.Ring{App: "app"}])
		for address, n := range got {
			if n != taken/4 && n != taken/4+1 {
				t.Errorf("%s got %d of %d turns, want a quarter: %v", address, n, taken, got)
			}
		}
		if len(got) != 4 {
			t.Errorf("executors %v, want four", got)
		}
	})
}

// A flight that is due at once waits for no turn of its own, and what it did not
// wait for is used by the next.
func TestTurnsThatComeTooLateAreForTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &redisOfAll{turns: make(map[ports.Ring]uint64), wait: 50 * time.Millisecond}
		r := newReplica(t, redis, "a:1", "b:1", "c:1")
		var got []string
		for range 7 {
			f := r.soon(firjob.RouteRoundRobin, 1)
			r.enter(t.Context(), f)
			got = append(got, r.line.executors.goesTo(f[0])) // at once
			time.Sleep(time.Second)
		}
		if diff := cmp.Diff([]string{"a:1", "b:1", "c:1", "a:1", "b:1", "c:1"}, got[1:]); diff != "" {
			t.Errorf("after the first flight (-want +got):\n%s", diff)
		}
	})
}

// Jobs with a selector take turns of their own.
func TestTurnsBySelector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &redisOfAll{turns: make(map[ports.Ring]uint64)}
		r := newReplica(t, redis, "a:1", "b:1")
		for _, address := range []string{"a:1", "b:1"} {
			r.line.executors.change(address, func(e *firjob.Executor) { e.Labels = map[string]string{"zone": "eu"} })
		}
		got := make(map[bool][]string)
		for range 4 {
			flights := r.soon(firjob.RouteRoundRobin, 2)
			flights[1].Dispatch = &ports.Dispatch{Selector: map[string]string{"zone": "eu"}}
			r.enter(t.Context(), flights)
			synctest.Wait()
			for i, f := range flights {
				got[i == 1] = append(got[i == 1], r.line.executors.goesTo(f))
			}
		}
		want := []string{"a:1", "b:1", "a:1", "b:1"}
		if diff := cmp.Diff(map[bool][]string{false: want, true: want}, got); diff != "" {
			t.Errorf("in turn, without and with a selector (-want +got):\n%s", diff)
		}
	})
}

// Only flights of routes that remember wait for Redis, within the lead, whatever
// Redis does.
func TestFlightsAreHeldInTime(t *testing.T) {
	t.Parallel()
	for name, redis := range map[string]*redisOfAll{
		"answers": {wait: time.Millisecond},
		"hangs":   {wait: time.Hour},
		"fails":   {err: errors.New("connection refused")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				redis.turns = make(map[ports.Ring]uint64)
				r := newReplica(t, redis, "b:1", "a:1")
				flights := slices.Concat(r.soon(firjob.RouteRoundRobin, 3), r.soon(firjob.RouteSticky, 2), r.soon(firjob.RouteRandom, 1))
				began := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					r.enter(t.Context(), flights)
				}()
				synctest.Wait()
				if got := r.held(); redis.err == nil && got != 4 {
					t.Errorf("%d flights are in the hold before Redis answers, want the 4 that ask nothing", got)
				}
				<-done
				if took := time.Since(began); took >= lead || r.held() != 6 {
					t.Errorf("after %v %d flights are in the hold, want 6 within %v", took, r.held(), lead)
				}
				if got := r.ahead.queue.degraded.Load(); got != (redis.err != nil) {
					t.Errorf("degraded: %t", got)
				}
				if chosen := flights[3].known.chosen; (chosen == "a:1") != (name == "answers") {
					t.Errorf("chosen for a sticky flight: %q", chosen)
				}
				r.background.close()
			})
		})
	}
}

// Redis is asked for those that could take a flight, and not at all where it is
// clear who does.
func TestChoicesAskedOfRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &redisOfAll{}
		r := newReplica(t, redis, "a:1", "b:1", "c:1")
		r.line.open = map[string]bool{"c:1": true}
		flights := slices.Concat(r.soon(firjob.RouteLeastRecent, 2), r.soon(firjob.RouteSticky, 2))
		for i, on := range []firjob.RetryOn{firjob.RetryAny, firjob.RetryOther, firjob.RetrySame} {
			flights[i+1].Dispatch, flights[i+1].Last = &ports.Dispatch{RetryOn: on}, "b:1"
		}
		flights = append(flights, r.soon(firjob.RouteSticky, 1)...)
		flights[4].Dispatch = &ports.Dispatch{Selector: map[string]string{"zone": "eu"}}
		r.enter(t.Context(), flights)
		for i := range redis.choices {
			slices.Sort(redis.choices[i].Among)
		}
		want := []ports.Choice{
			{App: "app", Job: 1, Route: firjob.RouteLeastRecent, Among: []string{"a:1", "b:1"}},
			{App: "app", Job: 2, Route: firjob.RouteLeastRecent, Among: []string{"a:1", "b:1"}},
			{App: "app", Job: 1, Route: firjob.RouteSticky, Among: []string{"a:1"}},
		}
		if diff := cmp.Diff(want, redis.choices); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		if r.held() != 5 {
			t.Errorf("%d flights are held, want 5", r.held())
		}
	})
}

// A turn is asked for where one will be taken, and no other: not for a call that
// the server makes itself, nor again for flights that found nobody to take them.
func TestTurnsAreAskedForAsNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &redisOfAll{turns: make(map[ports.Ring]uint64)}
		r := newReplica(t, redis)
		calls := r.soon(firjob.RouteRoundRobin, 5)
		for _, f := range calls {
			f.Dispatch = &ports.Dispatch{HTTP: &firjob.HTTPCall{}}
		}
		r.enter(t.Context(), calls)
		for range 50 {
			flights := r.soon(firjob.RouteRoundRobin, 3)
			r.enter(t.Context(), flights)
			synctest.Wait()
			r.line.executors.targets(flights)
		}
		if got := redis.turns[ports.Ring{App: "app"}]; got != 3 {
			t.Errorf("%d turns were taken, want the 3 that flights in the hold were to use", got)
		}
	})
}

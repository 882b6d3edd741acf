package scheduler

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// routed returns a flight of job 1 with a route.
func routed(route firjob.Route, change ...func(*flight)) *flight {
	f := &flight{Claimed: ports.Claimed{App: "app", Route: route, Trigger: firjob.Trigger{JobID: 1}}}
	for _, c := range change {
		c(f)
	}
	return f
}

// goesTo returns the address that a flight goes to, "" for none.
func (x *executors) goesTo(f *flight) string {
	if box := x.targets([]*flight{f})[0]; box != nil {
		return box.to.Address
	}
	return ""
}

// spreadOf returns how often each address is picked for n flights of a route.
func (x *executors) spreadOf(route firjob.Route, n int) map[string]int {
	got := make(map[string]int)
	for range n {
		got[x.goesTo(routed(route))]++
	}
	return got
}

// change edits what an executor said of itself in its latest beat.
func (x *executors) change(address string, edit func(*firjob.Executor)) {
	for _, e := range x.live {
		if e.Address == address {
			edit(&e.Executor)
			e.count()
		}
	}
}

func refusedBy(address string, full bool) func(*flight) {
	return func(f *flight) {
		f.tried = append(f.tried, refusal{by: firjob.ExecutorKey{App: "app", Address: address, Incarnation: "i-" + address}, full: full})
	}
}

func with(d ports.Dispatch) func(*flight) { return func(f *flight) { f.Dispatch = &d } }

func lostBy(address string) func(*flight) {
	return func(f *flight) { f.Last, f.LostBy = address, "i-"+address }
}

func lastRanOn(address string) func(*flight) { return func(f *flight) { f.Last = address } }

func TestEveryRouteHasItsRule(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(slices.Sorted(slices.Values(firjob.Routes())), slices.Sorted(maps.Keys(routes()))); diff != "" {
		t.Errorf("routes (-declared +with a rule):\n%s", diff)
	}
}

func TestRoutesSpread(t *testing.T) {
	t.Parallel()
	even := map[string]int{"a:1": 10, "b:1": 10, "c:1": 10}
	for _, route := range []firjob.Route{firjob.RouteRoundRobin, firjob.RouteLeastRecent, firjob.RouteLeastFrequent} {
		if diff := cmp.Diff(even, newLine(t, "a:1", "b:1", "c:1").executors.spreadOf(route, 30)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", route, diff)
		}
	}
	for _, route := range []firjob.Route{firjob.RouteRandom, firjob.RouteLeastBusy, firjob.RouteBroadcast} {
		if got := newLine(t, "a:1", "b:1", "c:1").executors.spreadOf(route, 300); len(got) != 3 {
			t.Errorf("%s went to %v, want each executor some time", route, got)
		}
	}
	for route, want := range map[firjob.Route]string{firjob.RouteFirst: "a:1", firjob.RouteLast: "c:1", firjob.RouteFailover: "a:1"} {
		if got := newLine(t, "c:1", "a:1", "b:1").executors.spreadOf(route, 30); !maps.Equal(got, map[string]int{want: 30}) {
			t.Errorf("%s went to %v, want %s alone", route, got, want)
		}
	}
	for _, route := range []firjob.Route{firjob.RouteSticky, firjob.RouteConsistentHash} {
		if got := newLine(t, "a:1", "b:1", "c:1").executors.spreadOf(route, 30); len(got) != 1 {
			t.Errorf("%s went to %v, want one executor", route, got)
		}
	}
}

// The one with the most room of the latest beat, less what was sent since.
func TestLeastBusy(t *testing.T) {
	t.Parallel()
	view := newLine(t, "a:1", "b:1", "c:1").executors
	view.change("b:1", func(e *firjob.Executor) { e.Running = -5 })
	if diff := cmp.Diff(map[string]int{"b:1": 5}, view.spreadOf(firjob.RouteLeastBusy, 5)); diff != "" {
		t.Errorf("while b:1 has more room (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"a:1": 3, "b:1": 3, "c:1": 3}, view.spreadOf(firjob.RouteLeastBusy, 9)); diff != "" {
		t.Errorf("from then on (-want +got):\n%s", diff)
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	order := with(ports.Dispatch{RouteOrder: []string{"x:1", "c:1", "b:1"}})
	target := func(address string) func(*flight) { return func(f *flight) { f.Target = address } }
	other, same := with(ports.Dispatch{RetryOn: firjob.RetryOther}), with(ports.Dispatch{RetryOn: firjob.RetrySame})
	tests := map[string]struct {
		flight *flight
		open   string // a breaker
		cordon string
		want   string
	}{
		"failover goes by its order":               {routed(firjob.RouteFailover, order), "", "", "c:1"},
		"failover: the first has refused":          {routed(firjob.RouteFailover, order, refusedBy("c:1", true)), "", "", "b:1"},
		"failover: the first has an open breaker":  {routed(firjob.RouteFailover, order), "c:1", "", "b:1"},
		"failover: the first is cordoned":          {routed(firjob.RouteFailover, order), "", "c:1", "b:1"},
		"failover: then by address":                {routed(firjob.RouteFailover, order, refusedBy("c:1", true), refusedBy("b:1", false)), "", "", "a:1"},
		"first waits for room":                     {routed(firjob.RouteFirst, refusedBy("a:1", true)), "", "", ""},
		"first has another reason to refuse":       {routed(firjob.RouteFirst, refusedBy("a:1", false)), "", "", "b:1"},
		"first is cordoned":                        {routed(firjob.RouteFirst), "", "a:1", "b:1"},
		"first, with an open breaker":              {routed(firjob.RouteFirst), "a:1", "", "b:1"},
		"last waits for room":                      {routed(firjob.RouteLast, refusedBy("c:1", true)), "", "", ""},
		"last is cordoned":                         {routed(firjob.RouteLast), "", "c:1", "b:1"},
		"others take what one has no room for":     {routed(firjob.RouteRandom, refusedBy("a:1", true), refusedBy("c:1", true)), "", "", "b:1"},
		"nobody has room":                          {routed(firjob.RouteRandom, refusedBy("a:1", true), refusedBy("b:1", true), refusedBy("c:1", true)), "", "", ""},
		"a shard goes to its executor":             {routed(firjob.RouteBroadcast, target("b:1")), "", "", "b:1"},
		"a shard waits for room":                   {routed(firjob.RouteBroadcast, target("b:1"), refusedBy("b:1", true)), "", "", ""},
		"a shard waits for a breaker":              {routed(firjob.RouteBroadcast, target("b:1")), "b:1", "", ""},
		"a shard of a gone executor":               {routed(firjob.RouteBroadcast, target("x:1"), refusedBy("a:1", true), refusedBy("b:1", true)), "", "", "c:1"},
		"a shard of a cordoned executor":           {routed(firjob.RouteBroadcast, target("c:1"), refusedBy("a:1", true)), "", "c:1", "b:1"},
		"a shard that its executor cannot run":     {routed(firjob.RouteBroadcast, target("c:1"), refusedBy("c:1", false), refusedBy("a:1", true)), "", "", "b:1"},
		"a retry on the same":                      {routed(firjob.RouteFirst, same, lastRanOn("b:1")), "", "", "b:1"},
		"a retry on the same waits for room":       {routed(firjob.RouteFirst, same, lastRanOn("b:1"), refusedBy("b:1", true)), "", "", ""},
		"a retry on the same, which is gone":       {routed(firjob.RouteFirst, same, lastRanOn("x:1")), "", "", "a:1"},
		"a retry on another":                       {routed(firjob.RouteFirst, other, lastRanOn("a:1")), "", "", "b:1"},
		"a retry on another, which refused":        {routed(firjob.RouteFailover, other, lastRanOn("a:1"), refusedBy("b:1", true)), "", "", "c:1"},
		"a retry on another, but there is none":    {routed(firjob.RouteFailover, other, lastRanOn("a:1"), refusedBy("b:1", true), refusedBy("c:1", true)), "", "", "a:1"},
		"a retry on any":                           {routed(firjob.RouteFirst, with(ports.Dispatch{}), lastRanOn("a:1")), "", "", "a:1"},
		"a lost attempt goes to another":           {routed(firjob.RouteFirst, lostBy("a:1")), "", "", "b:1"},
		"a lost attempt, and no other takes it":    {routed(firjob.RouteFirst, lostBy("a:1"), refusedBy("b:1", false), refusedBy("c:1", false)), "", "", "a:1"},
		"a lost attempt of a sticky job":           {routed(firjob.RouteSticky, lostBy("b:1"), func(f *flight) { f.known.chosen = "b:1" }, refusedBy("a:1", true)), "", "", "c:1"},
		"a lost attempt of a shard":                {routed(firjob.RouteBroadcast, target("b:1"), lostBy("b:1"), refusedBy("a:1", true)), "", "", "c:1"},
		"a shard whose executor has restarted":     {routed(firjob.RouteBroadcast, target("b:1"), lostBy("b:1 before")), "", "", "b:1"},
		"the first attempt of a retry on another":  {routed(firjob.RouteFirst, other), "", "", "a:1"},
		"a choice of Redis":                        {routed(firjob.RouteSticky, func(f *flight) { f.known.chosen = "b:1" }), "", "", "b:1"},
		"a choice of Redis that is gone":           {routed(firjob.RouteSticky, func(f *flight) { f.known.chosen = "x:1" }, refusedBy("a:1", true), refusedBy("b:1", true)), "", "", "c:1"},
		"a choice of Redis that is cordoned since": {routed(firjob.RouteSticky, func(f *flight) { f.known.chosen = "c:1" }, refusedBy("a:1", true)), "", "c:1", "b:1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, "a:1", "b:1", "c:1")
			l.open = map[string]bool{tt.open: true}
			if tt.cordon != "" {
				l.executors.setMark(firjob.Mark{App: "app", Address: tt.cordon, State: firjob.ExecutorCordoned})
			}
			if got := l.executors.goesTo(tt.flight); got != tt.want {
				t.Errorf("goes to %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	view := newLine(t, "a:1", "b:1", "c:1").executors
	view.change("a:1", func(e *firjob.Executor) { e.Labels = map[string]string{"zone": "eu", "gpu": "yes"} })
	view.change("b:1", func(e *firjob.Executor) { e.Labels = map[string]string{"zone": "eu"} })
	for want, selector := range map[string]map[string]string{
		"a:1":         {"zone": "eu", "gpu": "yes"},
		"a:1 b:1":     {"zone": "eu"},
		"":            {"zone": "us"},
		"a:1 b:1 c:1": {},
	} {
		for _, route := range firjob.Routes() {
			got := make(map[string]int)
			for range 200 {
				got[view.goesTo(routed(route, with(ports.Dispatch{Selector: selector})))]++
			}
			for address := range got {
				if !strings.Contains(want, address) {
					t.Errorf("%s with the selector %v goes to %v, want none but %s", route, selector, got, want)
				}
			}
			if route == firjob.RouteRoundRobin && len(got) != max(1, len(strings.Fields(want))) {
				t.Errorf("%s with the selector %v goes to %v, want all of %s", route, selector, got, want)
			}
		}
	}
}

// The reason of what waits names what there is too little of.
func TestWhyNobodyTakesIt(t *testing.T) {
	t.Parallel()
	eu := with(ports.Dispatch{Selector: map[string]string{"zone": "eu", "gpu": "yes"}})
	mark := func(l *line, state firjob.ExecutorState, addresses ...string) {
		for _, a := range addresses {
			l.executors.setMark(firjob.Mark{App: "app", Address: a, State: state})
		}
	}
	label := func(l *line, addresses ...string) {
		for _, a := range addresses {
			l.executors.change(a, func(e *firjob.Executor) { e.Labels = map[string]string{"zone": "eu", "gpu": "yes"} })
		}
	}
	tests := map[string]struct {
		addresses []string
		set       func(*line)
		flight    *flight
	}{
		"no executor of app app is alive":                       {nil, func(*line) {}, routed("")},
		"no executor of app app has the labels gpu=yes,zone=eu": {[]string{"a:1"}, func(*line) {}, routed("", eu)},
		"the only executor of app app is cordoned or draining":  {[]string{"a:1"}, func(l *line) { mark(l, firjob.ExecutorDraining, "a:1") }, routed("")},
		"all 2 executors of app app are cordoned or draining":   {[]string{"a:1", "b:1"}, func(l *line) { mark(l, firjob.ExecutorCordoned, "a:1", "b:1") }, routed("")},
		"the breakers of the 2 executors of app app that take triggers are open: a:1: status 500; b:1": {[]string{"a:1", "b:1", "c:1"}, func(l *line) {
			mark(l, firjob.ExecutorCordoned, "c:1")
			l.open = map[string]bool{"a:1": true, "b:1": true}
			l.errors = map[string]string{"a:1": "status 500"}
		}, routed("")},
		"the breaker of the only executor of app app that takes triggers is open: a:1: connection refused": {[]string{"a:1"}, func(l *line) {
			l.open = map[string]bool{"a:1": true}
			l.errors = map[string]string{"a:1": "connection refused"}
		}, routed("")},
		"all 2 executors of app app with the labels gpu=yes,zone=eu are cordoned or draining": {[]string{"a:1", "b:1", "c:1"}, func(l *line) {
			label(l, "a:1", "b:1")
			mark(l, firjob.ExecutorCordoned, "a:1", "b:1")
		}, routed("", eu)},
	}
	for want, tt := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			l := newLine(t, tt.addresses...)
			tt.set(l)
			l.release(t.Context(), []*flight{tt.flight})
			l.posts.Wait()
			if diff := cmp.Diff([]string{want}, l.released); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

// Flights enter the hold, turns are asked for and come or do not come, flights
// leave with a turn or without. A turn is used once, in the order in which they
// came; and what is kept is bounded by what is needed.
func TestTurnsAreUsedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, ring := make(turns), ports.Ring{App: "app"}
		var next uint64 // of the cluster
		var held, most, asked int
		var reserved []uint64
		enter := func(t *rapid.T) {
			n := rapid.IntRange(1, 20).Draw(t, "flights")
			held += n
			most = max(most, held)
			asked += all.expect(ring, n)
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": enter,
			"come": func(t *rapid.T) {
				if asked == 0 {
					t.Skip("nothing was asked for")
				}
				next += uint64(rapid.IntRange(0, 3).Draw(t, "turns of others"))
				all.add(ring, next, asked)
				for ; asked > 0; asked-- {
					reserved = append(reserved, next)
					next++
				}
			},
			"miss": func(*rapid.T) {
				all.miss(ring, asked)
				asked = 0
			},
			"take": func(t *rapid.T) {
				held = max(0, held-1)
				got := all.take(ring)
				if len(reserved) > 0 && got != reserved[0] {
					t.Fatalf("took turn %d, want %d", got, reserved[0])
				}
				reserved = reserved[min(1, len(reserved)):]
			},
			"leave": func(*rapid.T) {
				held = max(0, held-1)
				all.leave(ring)
			},
			"": func(t *rapid.T) {
				if kept := len(reserved) + asked; kept > most+maxSpare {
					t.Fatalf("%d turns are kept or asked for, for %d flights at most", kept, most)
				}
			},
		})
	})
}

// What a flight that was refused by some goes by is its own turn still.
func TestARefusedFlightKeepsItsTurn(t *testing.T) {
	t.Parallel()
	view := newLine(t, "a:1", "b:1", "c:1").executors
	view.turns.add(ports.Ring{App: "app"}, 0, 4)
	f := routed(firjob.RouteRoundRobin)
	if got := view.goesTo(f); got != "a:1" {
		t.Fatalf("turn 0 goes to %s, want a:1", got)
	}
	refusedBy("a:1", true)(f)
	if got := view.goesTo(f); got != "b:1" {
		t.Errorf("turn 0 goes to %s after a:1 has refused it, want b:1", got)
	}
	if got := view.goesTo(routed(firjob.RouteRoundRobin)); got != "b:1" {
		t.Errorf("the flight after that goes to %s, want b:1 by turn 1", got)
	}
}

// An executor that goes moves its own keys only, and one that comes takes keys
// from the others and moves none between them.
func TestConsistentHashMovesLittle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		addresses := rapid.SliceOfNDistinct(rapid.StringMatching(`10\.0\.[0-9]{1,2}\.[0-9]{1,2}:9999`), 2, 12, rapid.ID).Draw(t, "addresses")
		without := rapid.SampledFrom(addresses).Draw(t, "without")
		var all, rest []*executor
		for _, a := range addresses {
			e := &executor{Executor: firjob.Executor{Address: a}, hash: hashOf(a)}
			if all = append(all, e); a != without {
				rest = append(rest, e)
			}
		}
		for range 50 {
			f := routed(firjob.RouteConsistentHash)
			f.Trigger.JobID = firjob.JobID(rapid.Uint32().Draw(t, "job"))
			before, after := hashed(nil, f, all), hashed(nil, f, rest)
			if before.Address != without && before != after {
				t.Fatalf("job %d moved from %s to %s when %s went", f.Trigger.JobID, before.Address, after.Address, without)
			}
		}
	})
}

func TestConsistentHashIsEven(t *testing.T) {
	t.Parallel()
	view := newLine(t, "10.0.0.1:9999", "10.0.0.2:9999", "10.0.0.3:9999", "10.0.0.4:9999").executors
	got := make(map[string]int)
	for job := range 4000 {
		got[view.goesTo(routed(firjob.RouteConsistentHash, func(f *flight) { f.Trigger.JobID = firjob.JobID(job) }))]++
	}
	for address, n := range got {
		if n < 850 || n > 1150 {
			t.Errorf("%s has %d of 4000 keys, want about 1000: %v", address, n, got)
		}
	}
}

// Params that mean the same go to the same executor.
func TestRouteKeyOfParams(t *testing.T) {
	t.Parallel()
	keyed := func(params, key string) *flight {
		return routed(firjob.RouteConsistentHash, with(ports.Dispatch{RouteKey: key}), func(f *flight) { f.Trigger.Params = []byte(params) })
	}
	byJob := routed(firjob.RouteConsistentHash).hash()
	for name, same := range map[string][]string{
		"text":       {`{"tenant":"a"}`, `{ "x":1, "tenant" : "\u0061" }`},
		"number":     {`{"tenant":12}`, `{"tenant":12.0}`, `{"tenant":120e-1}`},
		"zero":       {`{"tenant":0}`, `{"tenant":-0}`, `{"tenant":0.0}`},
		"big number": {`{"tenant":9007199254740993}`, `{"tenant":9007199254740993 }`},
		"object":     {`{"tenant":{"a":[1,2.0],"b":null}}`, `{"tenant":{"b":null,"a":[1.0,2]}}`},
		"null":       {`{"tenant":null}`, `{"tenant": null}`},
	} {
		for _, params := range same {
			f := keyed(params, "tenant")
			if want := keyed(same[0], "tenant").hash(); f.hash() != want || want == byJob {
				t.Errorf("%s: %s has another hash than %s, or that of the job", name, params, same[0])
			}
		}
	}
	if keyed(`{"tenant":9007199254740993}`, "tenant").hash() == keyed(`{"tenant":9007199254740992}`, "tenant").hash() {
		t.Error("large numbers are taken for one another")
	}
	for _, params := range []string{``, `null`, `[1]`, `{"other":1}`, `{"a":{"tenant":1}}`} {
		if keyed(params, "tenant").hash() != byJob {
			t.Errorf("params %q without the key do not go by the job", params)
		}
	}
}

// While Redis is away this replica remembers by itself, whatever executors there
// are at each pick.
func TestLocalMemory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m memory
		last, count, n := map[string]int{}, map[string]int{}, 0
		for range rapid.IntRange(1, 30).Draw(t, "picks") {
			var able []*executor
			for _, a := range rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Fields("a b c d")), 1, 4, rapid.ID).Draw(t, "able") {
				able = append(able, &executor{Executor: firjob.Executor{Address: a}})
			}
			for route, worse := range map[firjob.Route]func(than, it string) bool{
				firjob.RouteLeastRecent:   func(than, it string) bool { return last[it] > last[than] },
				firjob.RouteLeastFrequent: func(than, it string) bool { return count[it] > count[than] },
				firjob.RouteSticky:        func(than, it string) bool { return last[it] < last[than] },
			} {
				got := m.pick(route, 7, able).Address
				for _, e := range able {
					if worse(e.Address, got) {
						t.Fatalf("%s picks %s although %s is better; last %v, count %v", route, got, e.Address, last, count)
					}
				}
			}
			address := able[0].Address
			m.note(7, address, noon)
			n++
			last[address], count[address] = n, count[address]+1
		}
	})
}

func TestLocalMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m memory
	for job := range 3 * memoryJobs {
		m.note(firjob.JobID(job), "a:1", noon)
	}
	if len(m.jobs) > memoryJobs+1 {
		t.Errorf("%d jobs are remembered, want at most %d", len(m.jobs), memoryJobs)
	}
	m.note(1, "a:1", noon.Add(25*time.Hour))
	if len(m.jobs) != 1 {
		t.Errorf("%d jobs are remembered after a day, want one", len(m.jobs))
	}
}

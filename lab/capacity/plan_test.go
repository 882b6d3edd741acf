package capacity_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob/lab/capacity"
)

// aLoad is a load whose numbers are easy to follow by hand.
func aLoad() capacity.Load {
	return capacity.Load{
		Rate: 100_000, Jobs: 1_000_000, Retention: capacity.Span(30 * 24 * time.Hour), Params: 1000,
		HandlerTime: capacity.Span(50 * time.Millisecond), Horizon: capacity.Span(time.Minute),
		ScanInterval: capacity.Span(10 * time.Second), Lease: capacity.Span(10 * time.Second),
		Spare: 1, Use: 0.5, ServerCores: 4, ExecutorCores: 4,
		Limits: capacity.Limits{Cores: 64, WAL: 500e6, Disk: 30e12, Network: 1250e6},
	}
}

func someCosts() capacity.Costs {
	return capacity.Costs{Source: "test", Rate: 10_000, ExecutorRate: 1000,
		CPU: capacity.PerComponent{Postgres: 50, Redis: 10, Servers: 20, Executors: 8},
		RSS: capacity.PerComponent{Servers: 100, Executors: 50}}
}

func made(t rapid.TB, load capacity.Load) capacity.Plan {
	t.Helper()
	plan, err := capacity.Make(load, someCosts())
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func value(t rapid.TB, plan capacity.Plan, part, name string) float64 {
	t.Helper()
	for _, l := range plan.Lines {
		if l.Part == part && l.Name == name {
			return l.Value
		}
	}
	t.Fatalf("the plan has no line %s %s", part, name)
	return 0
}

// Each number as it follows by hand from the load and the costs above.
func TestPlanByHand(t *testing.T) {
	t.Parallel()
	plan := made(t, aLoad())
	tests := []struct {
		part, name string
		want       float64
	}{
		{"servers", "cores", 4},     // 100,000 × 20 µs ÷ 0.5
		{"servers", "number", 5},    // 4 by what a server may hold claimed, + 1
		{"executors", "cores", 1.6}, // 100,000 × 8 µs ÷ 0.5
		{"executors", "handlers at a time", 5000},
		{"executors", "number", 80},                                          // ⌈5000 ÷ 0.5 ÷ 128⌉ + 1
		{"servers", "memory each", 100 * (1 << 20) * 2.5},                    // 25,000/s in place of 10,000
		{"executors", "memory each", 50 * (1 << 20) * 100_000.0 / 79 / 1000}, // of 79 without the spare, in place of 1000/s
		{"redis", "cores", 2},
		{"redis", "primaries", 2},
		{"redis", "replicas", 2},
		{"redis", "memory", 100_000 * 60 * 145},
		{"redis", "member operations", 500_000},
		{"redis", "shards", 64}, // 8 × 5, up to a power of two
		{"postgres", "cores", 10},
		{"postgres", "rows written", 100_000*3.05 + 100_000}, // a beat names one in twenty; every job is moved on each 10 s
		{"postgres", "connections", 80},
		{"network", "Redis", 15_200_000},
	}
	for _, tt := range tests {
		if got := value(t, plan, tt.part, tt.name); math.Abs(got-tt.want) > 1e-6*tt.want {
			t.Errorf("%s %s = %v, want %v", tt.part, tt.name, got, tt.want)
		}
	}
}

func TestTopology(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		change    func(*capacity.Load)
		kind      string
		primaries int
		standbys  int
		why       string
	}{
		{"small", func(l *capacity.Load) { l.Rate, l.Spare = 1000, 0 }, capacity.OnePrimary, 1, 0, "no machine is to be spared"},
		{"small, one to spare", func(l *capacity.Load) { l.Rate = 1000 }, capacity.Standbys, 1, 2, "any of them"},
		{"as much as one holds", func(l *capacity.Load) { l.Retention = capacity.Span(24 * time.Hour) }, capacity.Standbys, 1, 2, "any of them"},
		{"beyond its disk", func(*capacity.Load) {}, capacity.Distributed, 5, 10, "Postgres disk"},
		{"beyond its cores", func(l *capacity.Load) { l.Limits.Cores, l.Limits.Disk = 4, 1e18 }, capacity.Distributed, 3, 6, "Postgres CPU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			load := aLoad()
			tt.change(&load)
			got := made(t, load).Topology
			if got.Kind != tt.kind || got.Primaries != tt.primaries || got.Standbys != tt.standbys || !strings.Contains(got.Why, tt.why) {
				t.Errorf("got %+v, want %s with %d primaries and %d standbys, because of %q", got, tt.kind, tt.primaries, tt.standbys, tt.why)
			}
		})
	}
}

// What is full first stands first; at the rate that a part is said to hold it is
// not overfull, and a little beyond that it is.
func TestFills(t *testing.T) {
	t.Parallel()
	plan := made(t, aLoad())
	for i, f := range plan.Fills {
		if i > 0 && f.Rate < plan.Fills[i-1].Rate {
			t.Errorf("%s is full at %.0f/s and stands behind %s, at %.0f/s", f.Part, f.Rate, plan.Fills[i-1].Part, plan.Fills[i-1].Rate)
		}
		for rate, over := range map[float64]bool{f.Rate: false, f.Rate + 1: true} {
			load := aLoad()
			load.Rate = capacity.Count(rate)
			if share := fillOf(t, made(t, load), f.Part).Share; share > 1 != over {
				t.Errorf("%s holds %.0f/s, and is used to %v at %.0f/s", f.Part, f.Rate, share, rate)
			}
		}
	}
}

func fillOf(t *testing.T, plan capacity.Plan, part string) capacity.Fill {
	t.Helper()
	for _, f := range plan.Fills {
		if f.Part == part {
			return f
		}
	}
	t.Fatalf("the plan says nothing of %s", part)
	return capacity.Fill{}
}

// The retention that is offered in place of more disk fits, and a day more does not.
func TestOfferedRetentionFits(t *testing.T) {
	t.Parallel()
	for days, kind := range map[int]string{5: capacity.Standbys, 6: capacity.Distributed} {
		load := aLoad()
		load.Retention = capacity.Span(time.Duration(days) * 24 * time.Hour)
		plan := made(t, load)
		then := fillOf(t, plan, "Postgres disk").Then
		if plan.Topology.Kind != kind || !strings.Contains(then, "holds 5d") {
			t.Errorf("%d days: got %s and %q, want %s and 5d", days, plan.Topology.Kind, then, kind)
		}
	}
}

// More work never needs less, and every number is one.
func TestMoreNeedsNoLess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		less := aLoad()
		less.Rate = capacity.Count(rapid.Int64Range(1, 500_000_000).Draw(t, "rate"))
		less.Jobs = capacity.Count(rapid.Int64Range(1, 1_000_000_000).Draw(t, "jobs"))
		less.Result = capacity.Bytes(rapid.Int64Range(0, 1e6).Draw(t, "result"))
		less.HandlerTime = capacity.Span(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "handler time"))
		more := less
		more.Rate *= 2
		a, b := made(t, less), made(t, more)
		for i, l := range a.Lines {
			if got := b.Lines[i].Value; got < l.Value || math.IsNaN(got) || math.IsInf(got, 0) || l.From == "" {
				t.Fatalf("%s %s: %v at %v/s, %v at twice that (%s)", l.Part, l.Name, l.Value, less.Rate, got, l.From)
			}
		}
		if b.Topology.Primaries < a.Topology.Primaries {
			t.Fatalf("%d primaries, and %d at twice the rate", a.Topology.Primaries, b.Topology.Primaries)
		}
	})
}

// A server that is lost leaves enough.
func TestSpareIsBeyondTheNeed(t *testing.T) {
	t.Parallel()
	load := aLoad()
	one := made(t, load)
	load.Spare = 3
	three := made(t, load)
	for _, part := range []string{"servers", "executors"} {
		if a, b := value(t, one, part, "number"), value(t, three, part, "number"); b != a+2 {
			t.Errorf("%s: %v with 1 spare, %v with 3; want 2 more", part, a, b)
		}
	}
}

func TestLoadIsValidated(t *testing.T) {
	t.Parallel()
	load := aLoad()
	load.Rate, load.Jobs, load.Retention, load.Use, load.Spare, load.Limits.Cores = 0, 3e9, 0, 1.5, -1, 0
	load.HandlerCPU, load.ScanInterval, load.Lease, load.Limits.WAL = load.HandlerTime+1, load.Horizon, 0, 0
	_, err := capacity.Make(load, someCosts())
	if err == nil {
		t.Fatal("a load that is wrong in everything was planned")
	}
	for _, want := range []string{"rate is 0", "jobs is 3000000000", "retention", "use is 1.5", "spare is -1", "postgres-cores", "handler-cpu", "horizon", "lease-ttl", "postgres-wal"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
}

// A plan is readable by programs.
func TestPlanAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(made(t, aLoad()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"handler_time":"50ms"`, `"part":"postgres","name":"WAL"`, `"kind":"distributed Postgres"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

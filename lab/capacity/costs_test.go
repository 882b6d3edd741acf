package capacity_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lab/capacity"
)

const aMeasurement = `{"bench": "throughput", "executions": 200000, "seconds": 10, "lost": 0,
	"cpu_seconds": {"postgres": 10, "redis": 2, "servers": 5, "workers": 3}, "rss_mb": {"servers": 160, "workers": 90, "postgres": 900},
	"settings": {"servers": 2, "workers": 3}, "runs": [{"executions": 1}]}`

func TestReadCosts(t *testing.T) {
	t.Parallel()
	got, err := capacity.ReadCosts(strings.NewReader(aMeasurement), "bench.json")
	want := capacity.Costs{Source: "bench.json", Rate: 10_000, ExecutorRate: 20_000.0 / 3,
		CPU: capacity.PerComponent{Postgres: 50, Redis: 10, Servers: 25, Executors: 15},
		RSS: capacity.PerComponent{Servers: 80, Executors: 30}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestReadCostsRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, from, to, want string }{
		{"no JSON", aMeasurement, "run 1 of 1", "does not hold what"},
		{"nothing", aMeasurement, "", "does not hold what"},
		{"two", aMeasurement, aMeasurement + aMeasurement, "more than one"},
		{"another benchmark", `"throughput"`, `"herd"`, `"herd"; want throughput`},
		{"nothing done", `"executions": 200000`, `"executions": 0`, "no executions"},
		{"a component lacks", `"redis": 2,`, ``, "lacks cpu_seconds.redis"},
		{"a figure below 0", `"redis": 2,`, `"redis": -2,`, "lacks cpu_seconds.redis"},
		{"no memory", `"workers": 90`, `"workers": 0`, "lacks rss_mb.workers"},
		{"a lost one", `"lost": 0`, `"lost": 7`, "7 lost"},
		{"text for a number", `"seconds": 10`, `"seconds": "10"`, "does not hold what"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(aMeasurement, tt.from, tt.to, 1)
			got, err := capacity.ReadCosts(strings.NewReader(text), "bench.json")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "bench.json") {
				t.Errorf("got %+v, %v; want an error with bench.json and %q", got, err, tt.want)
			}
		})
	}
}

// The record is whole: a component that was left at 0 would need no machine.
func TestRecordedIsWhole(t *testing.T) {
	t.Parallel()
	c := capacity.Recorded()
	for name, v := range map[string]float64{"Postgres": c.CPU.Postgres, "Redis": c.CPU.Redis, "servers": c.CPU.Servers, "executors": c.CPU.Executors,
		"memory of servers": c.RSS.Servers, "memory of executors": c.RSS.Executors, "rate": c.Rate, "rate of executors": c.ExecutorRate} {
		if v <= 0 {
			t.Errorf("%s is %v, want above 0", name, v)
		}
	}
	if !strings.Contains(c.Source, "firjob bench throughput") {
		t.Errorf("the source is %q; want it to name its command", c.Source)
	}
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	type text interface{ UnmarshalText([]byte) error }
	var count capacity.Count
	var size capacity.Bytes
	var span capacity.Span
	tests := []struct {
		into text
		text string
		want float64 // -1: refused
	}{
		{&count, "2500", 2500}, {&count, "100k", 1e5}, {&count, "1.5M", 1.5e6}, {&count, "2G", 2e9},
		{&count, "", -1}, {&count, "-1", -1}, {&count, "1m", -1}, {&count, "1 k", -1}, {&count, "1e6", -1}, {&count, "0.5", -1}, {&count, "1.5.k", -1}, {&count, "k", -1}, {&count, "0x10", -1}, {&count, "1_000", -1},
		{&size, "0B", 0}, {&size, "1KB", 1000}, {&size, "1.5MB", 1.5e6}, {&size, "30TB", 3e13},
		{&size, "1000", -1}, {&size, "1kb", -1}, {&size, "1KiB", -1}, {&size, "0.0001KB", -1}, {&size, "NaN", -1},
		{&span, "50ms", 0.05}, {&span, "30d", 30 * 86400}, {&span, "1h30m", 5400}, {&span, "0s", 0},
		{&span, "30", -1}, {&span, "-1s", -1}, {&span, "1.5d", -1}, {&span, "d", -1}, {&span, "1w", -1}, {&span, "99999999999d", -1}, {&span, "-3d", -1},
	}
	for _, tt := range tests {
		count, size, span = 0, 0, 0
		err := tt.into.UnmarshalText([]byte(tt.text))
		got := float64(count) + float64(size) + time.Duration(span).Seconds()
		switch {
		case tt.want < 0 && (err == nil || !strings.Contains(err.Error(), "such as")):
			t.Errorf("%T of %q: got %v, %v; want an error that says what is wanted", tt.into, tt.text, got, err)
		case tt.want >= 0 && (err != nil || got != tt.want):
			t.Errorf("%T of %q: got %v, %v; want %v", tt.into, tt.text, got, err, tt.want)
		}
	}
}

// The model's bytes of JSON are those of the wire's types, give or take a quarter
// for the lengths of names.
func TestWireSizes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 6, 0, 0, 123_000_000, time.UTC)
	id := firjob.Fire(1_234_567, at)
	trigger := firjob.Trigger{ID: id, JobID: 1_234_567, Job: "nightly-report-of-branches", Handler: "report", ScheduledAt: at,
		Attempt: 1, Token: 12_345_678_901, Timeout: firjob.Duration(time.Minute), Lease: firjob.Duration(10 * time.Second)}
	result := firjob.Result{ID: id, Token: trigger.Token, Outcome: firjob.OutcomeSucceeded, StartedAt: at, FinishedAt: at.Add(time.Second)}
	sizes := capacity.WireSizes()
	for name, parts := range map[string][]any{
		"trigger": {trigger, firjob.Accepted},
		"result":  {result, firjob.ReceiptRecorded},
		"attempt": {firjob.AttemptRef{ID: id, Token: trigger.Token}},
	} {
		n := 0
		for _, part := range parts {
			text, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			n += len(text) + len(",")
		}
		if want := sizes[name]; float64(n) < 0.75*want || float64(n) > 1.25*want {
			t.Errorf("a %s takes %d bytes, and the model says %.0f: correct it in recorded.go", name, n, want)
		}
	}
}

package scheduler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// watched is a store whose report is what a test says.
type watched struct {
	twoSides
	report  ports.StuckReport
	fails   error
	removed int64
}

func (w *watched) Stuck(context.Context, ports.StuckBounds, int) (ports.StuckReport, error) {
	return w.report, w.fails
}

func (w *watched) Removed() int64 { return w.removed }

func suspectsOf(n int) ports.Suspects { return ports.Suspects{Count: n} }

func TestHealthGauges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{report: ports.StuckReport{Overdue: suspectsOf(3), Orphaned: suspectsOf(2), Stuck: suspectsOf(1)}}
		degraded := false
		h := newHealth(Options{HealthStore: w, HealthQueue: w, LeaseTTL: 10 * time.Second, Horizon: time.Minute, Local: time.Now},
			func() bool { return degraded }, newTroubles(slog.New(slog.DiscardHandler), time.Now))
		want := func(want map[string]float64) {
			t.Helper()
			if diff := cmp.Diff(want, gathered(t, h)); diff != "" {
				t.Errorf("gauges (-want +got):\n%s", diff)
			}
		}
		time.Sleep(5 * time.Second)
		want(map[string]float64{
			`firjob_health_age_seconds{executions}`: 5, `firjob_health_age_seconds{index}`: 5,
		})
		h.pass(t.Context())
		want(map[string]float64{
			"firjob_overdue_executions": 3, "firjob_orphaned_executions": 2, "firjob_stuck_running": 1,
			`firjob_index_drift{unknown}`: 0, `firjob_index_drift{ended}`: 0, `firjob_index_drift{missing}`: 0,
			`firjob_health_age_seconds{executions}`: 0, `firjob_health_age_seconds{index}`: 0,
		})
		// A look that fails leaves the values, and their age grows.
		w.fails, degraded, w.report = errors.New("away"), true, ports.StuckReport{}
		time.Sleep(time.Minute)
		h.pass(t.Context())
		want(map[string]float64{
			"firjob_overdue_executions": 3, "firjob_orphaned_executions": 2, "firjob_stuck_running": 1,
			`firjob_index_drift{unknown}`: 0, `firjob_index_drift{ended}`: 0, `firjob_index_drift{missing}`: 0,
			`firjob_health_age_seconds{executions}`: 60, `firjob_health_age_seconds{index}`: 60,
		})
		w.fails = nil
		h.pass(t.Context())
		want(map[string]float64{
			"firjob_overdue_executions": 0, "firjob_orphaned_executions": 0, "firjob_stuck_running": 0,
			`firjob_index_drift{unknown}`: 0, `firjob_index_drift{ended}`: 0, `firjob_index_drift{missing}`: 0,
			`firjob_health_age_seconds{executions}`: 0, `firjob_health_age_seconds{index}`: 60,
		})
	})
}

// gathered returns the values of a collector by name and label.
func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "{" + l.GetValue() + "}"
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

func TestNoteStart(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_800_000_000_000)
	tests := map[string]struct {
		started time.Time
		receipt firjob.Receipt
		want    float64
	}{
		"on time":                {at, firjob.ReceiptRecorded, 0},
		"late":                   {at.Add(time.Second), firjob.ReceiptRecorded, 0},
		"early":                  {at.Add(-time.Millisecond), firjob.ReceiptRecorded, 1},
		"early, and told before": {at.Add(-time.Millisecond), firjob.ReceiptDuplicate, 0},
		"never started":          {time.Time{}, firjob.ReceiptRecorded, 0},
	}
	for name, tt := range tests {
		m := newMetrics(nil)
		m.noteStart(firjob.Result{ID: firjob.Fire(1, at), StartedAt: tt.started}, tt.receipt)
		if got := gathered(t, m.early)["firjob_early_starts_total"]; got != tt.want {
			t.Errorf("%s: counted %v, want %v", name, got, tt.want)
		}
	}
}

func TestRepairs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := newMetrics(nil)
		r := newRepairs(m.repairs, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		if n := len(gathered(t, m.repairs)); n != len(repairKinds()) {
			t.Errorf("%d kinds are exported from the start, want %d", n, len(repairKinds()))
		}
		warnings := func() int { return strings.Count(log.String(), "more was repaired than normal") }
		pass := func(n int) {
			r.add(repairOverdue, n)
			r.review(t.Context())
			time.Sleep(2 * time.Second)
		}
		for range 60 {
			pass(1) // some, now and then, is normal
		}
		if warnings() != 0 {
			t.Errorf("a warning for a few repairs:\n%s", log.String())
		}
		for range 60 {
			pass(50)
		}
		if warnings() != 1 || !strings.Contains(log.String(), repairOverdue+"=") {
			t.Errorf("want one warning that names the kind, got:\n%s", log.String())
		}
		time.Sleep(repairSilent)
		pass(repairNormal + 1)
		if warnings() != 2 {
			t.Errorf("want another warning after a while, got:\n%s", log.String())
		}
		if got := gathered(t, m.repairs)["firjob_sweep_repairs_total{"+repairOverdue+"}"]; got != 60+3000+101 {
			t.Errorf("counted %v repairs, want 3161", got)
		}
	})
}

// sweptStore answers a sweep.
type sweptStore struct {
	Store
	fails error
}

func (s *sweptStore) ExpireLeases(context.Context, int) (ports.Followed, error) {
	return ports.Followed{Lost: 2, TimedOut: 1}, s.fails
}

func (s *sweptStore) Overdue(context.Context, time.Duration, int) ([]firjob.Due, error) {
	return nil, nil
}

// sweptQueue answers a sweep, too.
type sweptQueue struct {
	Queue
	fails error
}

func (q *sweptQueue) Reap(context.Context, []int, int) (int, error) { return 3, q.fails }

func TestSweepTellsOfItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		store, queue, watch := &sweptStore{}, &sweptQueue{}, &watched{removed: 4}
		registry := prometheus.NewPedanticRegistry()
		s, err := New(Options{Store: store, Queue: queue, Registry: struct{ Registry }{}, Sender: struct{ Sender }{},
			Replica: "r1", Shards: 4, HealthStore: watch, HealthQueue: watch, Metrics: registry, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		want := func(age time.Duration, repaired map[string]float64) {
			t.Helper()
			if got := s.sweep.age(); got != age {
				t.Errorf("the age of the sweep: got %v, want %v", got, age)
			}
			got := gathered(t, s.metrics.repairs)
			for kind, n := range repaired {
				if got := got["firjob_sweep_repairs_total{"+kind+"}"]; got != n {
					t.Errorf("%s: got %v repairs, want %v", kind, got, n)
				}
			}
		}
		s.sweep.pass(t.Context()) // believes no lease yet
		want(0, map[string]float64{repairLeaseExpired: 0, repairReaped: 3, repairStrangers: 4})
		for range 6 {
			time.Sleep(sweepInterval)
			s.sweep.pass(t.Context())
		}
		want(0, map[string]float64{repairLeaseExpired: 4, repairTimedOut: 2, repairReaped: 21, repairStrangers: 4})

		store.fails = errors.New("away")
		time.Sleep(sweepInterval)
		s.sweep.pass(t.Context())
		want(sweepInterval, nil)
		store.fails, queue.fails = nil, errors.New("away")
		time.Sleep(sweepInterval)
		s.sweep.pass(t.Context())
		want(2*sweepInterval, nil)
		time.Sleep(sweepInterval) // it goes on without Redis
		s.sweep.pass(t.Context())
		want(0, nil)
	})
}

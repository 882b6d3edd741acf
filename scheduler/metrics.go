package scheduler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob"
)

// metrics are the scheduler's own. None carries a job or an address as a label.
type metrics struct {
	planned  prometheus.Counter
	claimed  prometheus.Counter
	released prometheus.Counter
	late     prometheus.Histogram
	sent     *prometheus.CounterVec
	results  *prometheus.CounterVec
	lost     prometheus.Counter
	overdue  prometheus.Counter
	early    prometheus.Counter
	repairs  *prometheus.CounterVec
	rebuilds prometheus.Counter
	degraded prometheus.Gauge
}

// newMetrics makes the metrics and registers them; registerer may be nil.
func newMetrics(registerer prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		planned: counter("firjob_planned_total", "Executions recorded ahead of their time."),
		claimed: counter("firjob_claimed_total", "Attempts whose claim was committed."),
		released: counter("firjob_released_total",
			"Attempts given back unsent, for want of an executor or at shutdown."),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "firjob_dispatch_lateness_seconds",
			Help:    "From the due instant to the start of sending, by the store's clock.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firjob_dispatch_total", Help: "Triggers sent, by app and answer."}, []string{"app", "answer"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firjob_results_total", Help: "Results that executors reported, by outcome and receipt."},
			[]string{"outcome", "receipt"}),
		lost:    counter("firjob_attempts_lost_total", "Attempts that ended without an answer."),
		overdue: counter("firjob_overdue_total", "Overdue executions that this server took to the claim past Redis."),
		early: counter("firjob_early_starts_total",
			"Recorded results whose handler began before its scheduled time. Must stay 0."),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firjob_sweep_repairs_total", Help: "What was left behind or lost and then repaired, by kind."},
			[]string{"kind"}),
		rebuilds: counter("firjob_redis_rebuilds_total", "Rebuilds of the delay queue from Postgres."),
		degraded: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "firjob_degraded", Help: "1 while Redis is out of reach."}),
	}
	if registerer != nil {
		registerer.MustRegister(m.planned, m.claimed, m.released, m.late, m.sent, m.results, m.lost, m.overdue, m.early,
			m.repairs, m.rebuilds, m.degraded)
	}
	return m
}

// noteStart counts a recorded result whose handler began too early, which none may.
func (m *metrics) noteStart(r firjob.Result, receipt firjob.Receipt) {
	if receipt == firjob.ReceiptRecorded && !r.StartedAt.IsZero() && r.StartedAt.Before(r.ID.ScheduledAt()) {
		m.early.Inc()
	}
}

func (m *metrics) observeLateness(now time.Time, flights []*flight) {
	for _, f := range flights {
		if f.pinned == nil {
			m.late.Observe(now.Sub(f.DueAt).Seconds())
		}
	}
}

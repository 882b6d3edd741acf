package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob/internal/ports"
)

// Numbers of the health gauges.
const (
	healthInterval = 20 * time.Second
	healthTimeout  = 10 * time.Second // for one look; a scrape never waits for it
	stuckLimit     = 1000             // up to which each gauge counts
)

// StuckBoundsOf returns for how long each state may last before it is a fault,
// where attempts are held for lease. The sweep runs each 2 s and, after it could not
// reach the store, waits for one lease before it believes that leases have ended;
// the rest is for its batches.
func StuckBoundsOf(lease time.Duration) ports.StuckBounds {
	return ports.StuckBounds{
		Overdue:  10 * time.Second,
		Orphaned: lease + 10*time.Second,
		Overtime: lease + 10*time.Second,
		Silent:   max(time.Minute, lease+10*time.Second),
	}
}

// HealthStore is what the health gauges ask of Postgres.
type HealthStore interface {
	AuditStore
	// Stuck returns what should not be there, up to limit of each kind.
	Stuck(ctx context.Context, bounds ports.StuckBounds, limit int) (ports.StuckReport, error)
}

// HealthQueue is what the health gauges ask of Redis.
type HealthQueue interface {
	AuditQueue
	// Removed returns how many members that are none of ours were taken out.
	Removed() int64
}

// health looks now and then for what must not be, and is a collector of the
// gauges that say what it has found. A look that fails leaves the values as they
// are and lets their age grow. Every server looks at everything, so that no
// gauge depends on one of them; the looks are few and bounded.
type health struct {
	store    HealthStore
	audit    *IndexAudit
	bounds   ports.StuckBounds
	degraded func() bool
	local    func() time.Time
	troubles *troubles

	mu     sync.Mutex
	stuck  ports.StuckReport
	drift  ports.IndexDrift
	looked map[string]time.Time // local, by check: the last look that went well; at first, the start
	known  map[string]bool      // checks that have looked
}

// The checks, as the label of the ages names them.
const (
	checkExecutions = "executions"
	checkIndex      = "index"
)

func newHealth(o Options, degraded func() bool, troubles *troubles) *health {
	now := o.Local()
	return &health{
		store:  o.HealthStore,
		audit:  &IndexAudit{Store: o.HealthStore, Queue: o.HealthQueue, Horizon: o.Horizon},
		bounds: StuckBoundsOf(o.LeaseTTL), degraded: degraded, local: o.Local, troubles: troubles,
		looked: map[string]time.Time{checkExecutions: now, checkIndex: now},
		known:  make(map[string]bool),
	}
}

// watch makes what tells whether the loops do their work, and registers it.
func (s *Scheduler) watch(o Options) {
	collectors := []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "firjob_sweep_age_seconds",
		Help: "Since all parts of a sweep of this server last went well. It sweeps each 2 s."},
		func() float64 { return s.sweep.age().Seconds() })}
	if o.HealthStore != nil {
		s.health = newHealth(o, s.queue.degraded.Load, s.troubles)
		collectors = append(collectors, s.health)
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(collectors...)
	}
}

// pass looks once.
func (h *health) pass(ctx context.Context) {
	var stuck ports.StuckReport
	err := h.timely(ctx, func(ctx context.Context) (err error) {
		stuck, err = h.store.Stuck(ctx, h.bounds, stuckLimit)
		return err
	})
	if h.troubles.report(ctx, "look for what is stuck", err) {
		h.note(checkExecutions, func() { h.stuck = stuck })
	}
	if h.degraded() {
		return // there is nothing to compare; the age says so
	}
	var drift ports.IndexDrift
	err = h.timely(ctx, func(ctx context.Context) (err error) {
		drift, err = h.audit.Look(ctx)
		return err
	})
	if h.troubles.report(ctx, "compare the delay queue with postgres", err) {
		h.note(checkIndex, func() { h.drift = drift })
	}
}

// timely gives a look its time.
func (h *health) timely(ctx context.Context, look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return look(ctx)
}

func (h *health) note(check string, set func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set()
	h.looked[check], h.known[check] = h.local(), true
}

var (
	overdueDesc = prometheus.NewDesc("firjob_overdue_executions",
		"Planned executions that were due over 10 s ago and wait for no rule. Must be 0; counts to 1000.", nil, nil)
	orphanedDesc = prometheus.NewDesc("firjob_orphaned_executions",
		"Running executions that nobody holds and the sweep has not ended. Must be 0; counts to 1000.", nil, nil)
	stuckDesc = prometheus.NewDesc("firjob_stuck_running",
		"Running executions that are past their timeout and its grace, or on an executor that is gone. Must be 0; "+
			"counts to 1000.", nil, nil)
	driftDesc = prometheus.NewDesc("firjob_index_drift",
		"Sampled executions about which Redis and Postgres disagree: unknown or ended in Postgres, or missing in "+
			"Redis. Must be 0.", []string{"kind"}, nil)
	ageDesc = prometheus.NewDesc("firjob_health_age_seconds",
		"Since the gauges of this check were last computed; beyond a minute they say nothing.", []string{"check"}, nil)
)

// Describe implements prometheus.Collector.
func (h *health) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{overdueDesc, orphanedDesc, stuckDesc, driftDesc, ageDesc} {
		descs <- d
	}
}

// Collect implements prometheus.Collector. What was never computed is left out.
func (h *health) Collect(metrics chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if h.known[checkExecutions] {
		gauge(overdueDesc, float64(h.stuck.Overdue.Count))
		gauge(orphanedDesc, float64(h.stuck.Orphaned.Count))
		gauge(stuckDesc, float64(h.stuck.Stuck.Count))
	}
	if h.known[checkIndex] {
		gauge(driftDesc, float64(len(h.drift.Unknown)), "unknown")
		gauge(driftDesc, float64(len(h.drift.Ended)), "ended")
		gauge(driftDesc, float64(len(h.drift.Missing)), "missing")
	}
	for check, at := range h.looked {
		gauge(ageDesc, h.local().Sub(at).Seconds(), check)
	}
}

// errHalfHealth is the error of options that name only one of the two.
var errHalfHealth = errors.New("the health gauges need both, a HealthStore and a HealthQueue")

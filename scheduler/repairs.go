package scheduler

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the sweep, and what else ends or finds what was left behind, has repaired.
const (
	repairOverdue      = "overdue_claimed"  // planned, due, and not announced: claimed past Redis
	repairLate         = "fires_late"       // jobs whose next fire was past when it was planned
	repairLeaseExpired = "lease_expired"    // attempts whose lease had ended
	repairTimedOut     = "timed_out"        // attempts whose deadline had passed without a word
	repairExecutor     = "executor_gone"    // attempts on an executor that is gone
	repairReplica      = "replica_gone"     // attempts that a server that is gone had not sent
	repairReaped       = "claim_reaped"     // claims of the queue that nobody acknowledged
	repairStrangers    = "stranger_removed" // members of the queue that are none of ours
)

func repairKinds() []string {
	return []string{repairOverdue, repairLate, repairLeaseExpired, repairTimedOut, repairExecutor, repairReplica,
		repairReaped, repairStrangers}
}

// Numbers of the warning.
const (
	repairWindow = time.Minute
	repairNormal = 100              // in a window: what one executor that dies leaves behind
	repairSilent = 10 * time.Minute // between two warnings
)

// repairs counts what was repaired, and says so when it is more than normal. It
// is safe for concurrent use.
type repairs struct {
	total *prometheus.CounterVec
	log   *slog.Logger
	local func() time.Time

	mu     sync.Mutex
	counts map[string]int // since the window began
	began  time.Time
	warned time.Time
}

func newRepairs(total *prometheus.CounterVec, log *slog.Logger, local func() time.Time) *repairs {
	for _, kind := range repairKinds() {
		total.WithLabelValues(kind) // so that each is there from the start, at 0
	}
	return &repairs{total: total, log: log, local: local, counts: make(map[string]int), began: local()}
}

func (r *repairs) add(kind string, n int) {
	if n <= 0 {
		return
	}
	r.total.WithLabelValues(kind).Add(float64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[kind] += n
}

// review warns, now and then at most, when the present window has more repairs
// than normal, and begins the next one in time.
func (r *repairs) review(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, sum := r.local(), 0
	var said []any
	for _, kind := range repairKinds() {
		if n := r.counts[kind]; n > 0 {
			sum += n
			said = append(said, slog.Int(kind, n))
		}
	}
	if sum > repairNormal && (r.warned.IsZero() || now.Sub(r.warned) >= repairSilent) {
		r.warned = now
		r.log.WarnContext(ctx, "more was repaired than normal",
			slices.Concat([]any{"within", now.Sub(r.began).Round(time.Second), "repairs", sum}, said)...)
	}
	if now.Sub(r.began) >= repairWindow {
		clear(r.counts)
		r.began = now
	}
}

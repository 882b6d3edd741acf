package scheduler

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// counted returns the value of a counter without labels.
func counted(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// gaveUp is a store in which attempts have ended without an answer.
type gaveUp struct {
	Store
	followed ports.Followed
}

func (g gaveUp) Lose(context.Context, []firjob.AttemptRef, string) (ports.Followed, error) {
	return g.followed, nil
}

func (g gaveUp) LoseReplica(context.Context, string, time.Time, string) (ports.Followed, error) {
	return g.followed, nil
}

// The counter of lost attempts counts attempts: not the passes that found them, nor
// those that ended at their deadline.
func TestLostAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	m := newMetrics(registry)
	store := gaveUp{followed: ports.Followed{Lost: 3, TimedOut: 2}}
	s := &Scheduler{store: store, metrics: m, log: log, repairs: newRepairs(m.repairs, log, time.Now),
		backfills: newBackfills(store, nil, nil)}
	s.lose(t.Context(), []firjob.AttemptRef{{}, {}, {}, {}, {}}, "gone")
	if err := s.replicaGone(t.Context(), "b", noon); err != nil {
		t.Error(err)
	}
	if got := counted(t, registry, "firjob_attempts_lost_total"); got != 6 {
		t.Errorf("%v attempts are counted as lost, want 6", got)
	}
}

// The counter of overdue executions counts those that this server takes to the claim:
// not those of other servers, nor those for which it has no room.
func TestOverdueExecutionsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, f := newOrphans("a", "b")
		registry := prometheus.NewRegistry()
		f.metrics = newMetrics(registry)
		for job := range firjob.JobID(64) {
			o.overdue = append(o.overdue, firjob.Due{ID: firjob.Fire(job+1, time.Now()), At: time.Now()})
		}
		time.Sleep(2 * overdueSlack)
		w := newSweep(sweepParts{store: orphanStore{o}, queue: f.queue, clock: f.clock, peers: f.peers, fire: f,
			metrics: f.metrics, repairs: f.repairs})
		f.flights.Store(maxFlights)
		if err := w.overdue(t.Context()); err != nil {
			t.Error(err)
		}
		f.flights.Store(0)
		if err := w.overdue(t.Context()); err != nil {
			t.Error(err)
		}
		f.commits.Wait()
		got := counted(t, registry, "firjob_overdue_total")
		if len(o.claimed) == 0 || len(o.claimed) == 64 || got != float64(len(o.claimed)) {
			t.Errorf("%v are counted, want the %d of 64 that are claimed", got, len(o.claimed))
		}
	})
}

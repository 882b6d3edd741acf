package cluster_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/internal/localstack"
)

// Each test here does one bad thing to a cluster of real processes under load
// and then looks for every single fire, in Postgres and in what the executors
// saw.

const (
	calm  = 4 * time.Second // load before a fault
	after = 7 * time.Second // load after it has healed
)

// survive runs the load of a stage around a fault and verifies it. The fault
// returns when it has healed.
func survive(t *testing.T, s *stage, fault func()) {
	t.Helper()
	from := time.Now().Add(time.Second)
	s.run(calm)
	fault()
	healed := time.Now()
	s.run(after)
	s.verify(from, healed.Add(after-time.Second), healed)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// redis sends one command to the stage's Redis.
func (s *stage) redis(command string) {
	s.t.Helper()
	_, err := localstack.Ask(s.t.Context(), s.Redis.Addr(), strings.Fields(command)...)
	must(s.t, err)
}

func TestSurvivesFlushAll(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(10, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() { s.redis("FLUSHALL") })
}

func TestSurvivesScriptFlush(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	s.load(10, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() { s.redis("SCRIPT FLUSH") })
}

func TestSurvivesRedisRestartedEmpty(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(10, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() {
		must(t, s.Redis.Kill())
		must(t, s.Redis.Restart(t.Context()))
	})
}

func TestSurvivesAMinuteWithoutRedis(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(5, time.Second, "noop", nil)
	from := time.Now().Add(time.Second)
	s.run(calm)
	must(t, s.Redis.Kill())
	down := time.Now()
	s.run(time.Minute)
	// What was due in that minute must have run in that minute.
	s.verify(from, time.Now().Add(-recovery), down)
	must(t, s.Redis.Restart(t.Context()))
	back := time.Now()
	s.run(after)
	s.verify(down, back.Add(after-time.Second), back)
}

func TestSurvivesRedisThatHangs(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(10, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() {
		must(t, s.Redis.Pause())
		s.run(8 * time.Second)
		must(t, s.Redis.Resume())
	})
}

func TestSurvivesPostgresRestart(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(10, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() {
		must(t, s.Postgres.Kill())
		s.run(2 * time.Second)
		must(t, s.Postgres.Restart(t.Context()))
	})
}

func TestSurvivesAKilledReplica(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	s.load(20, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() { must(t, s.Servers[0].Kill()) })
}

func TestSurvivesARollingRestart(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(20, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() {
		for _, p := range s.Servers {
			must(t, p.Stop(t.Context()))
			must(t, p.Start())
			must(t, s.AwaitReady(t.Context(), p))
		}
	})
}

func TestSurvivesAKilledExecutor(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 2})
	s.load(10, 500*time.Millisecond, "sleep", map[string]string{"for": "300ms"})
	survive(t, s, func() { must(t, s.Workers[0].Kill()) })
}

func TestSurvivesAnExecutorThatComesBackAtItsAddress(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
	s.load(10, 500*time.Millisecond, "sleep", map[string]string{"for": "300ms"})
	survive(t, s, func() {
		must(t, s.Workers[0].Kill())
		must(t, s.Workers[0].Start())
	})
}

func TestSurvivesAPausedReplica(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 3, Workers: 2})
	s.load(20, 500*time.Millisecond, "noop", nil)
	survive(t, s, func() {
		must(t, s.Servers[0].Pause())
		s.run(12 * time.Second) // beyond its leases
		must(t, s.Servers[0].Resume())
	})
}

func TestSurvivesAReplicaWhoseClockIsOff(t *testing.T) {
	for name, offset := range map[string]string{"ahead": "30s", "behind": "-30s"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, cluster.Options{Servers: 2, Workers: 1, Env: map[string][]string{"server-1": {"FIRJOB_CLOCK_OFFSET=" + offset}}})
			s.load(10, 500*time.Millisecond, "noop", nil)
			survive(t, s, func() {})
		})
	}
}

// Promise 6: without Postgres nothing new is claimed, and what runs goes on.
func TestHandlersGoOnWithoutPostgres(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*stage) error }{
		"killed": {
			func(s *stage) error { return s.Postgres.Kill() },
			func(s *stage) error { return s.Postgres.Restart(s.t.Context()) },
		},
		"hanging": {
			func(s *stage) error { return s.Postgres.Pause() },
			func(s *stage) error { return s.Postgres.Resume() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, cluster.Options{Servers: 2, Workers: 1})
			job := s.create(map[string]any{"app": cluster.App, "name": "long", "handler": "sleep", "params": map[string]string{"for": "18s"},
				"schedule": map[string]any{"kind": "manual"}, "delivery": "at_most_once"})
			var e firjob.Execution
			s.mustCall(http.StatusCreated, http.MethodPost, jobPath(job.ID, "/trigger"), nil, &e)
			s.until(10*time.Second, "the handler has started", func() bool { return len(s.starts()[e.ID]) == 1 })
			s.run(2 * time.Second)
			must(t, fault.begin(s))
			s.run(13 * time.Second) // beyond the lease
			must(t, fault.end(s))
			s.until(20*time.Second, "the execution has succeeded", func() bool { return s.execution(e.ID).State == firjob.StateSucceeded })
			if n := len(s.starts()[e.ID]); n != 1 {
				t.Errorf("the handler was started %d times, want once", n)
			}
		})
	}
}

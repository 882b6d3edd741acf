package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/firjob/firjob/internal/cluster"
)

// Whatever is killed comes back, private stores included, and work goes on.
func TestSuperviseRestartsWhatIsKilled(t *testing.T) {
	s := newStage(t, cluster.Options{Servers: 1, Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan string, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Supervise(ctx, 100*time.Millisecond, func(text string) { reports <- text })
	}()
	defer func() { cancel(); <-ended }()

	for _, p := range []struct {
		name string
		pid  func() int
	}{
		{"redis", s.Redis.PID}, {"postgres", s.Postgres.PID}, {"server-1", s.Servers[0].PID}, {"worker-1", s.Workers[0].PID},
	} {
		old := p.pid()
		must(t, syscall.Kill(old, syscall.SIGKILL))
		s.awaitReport(reports, fmt.Sprintf("%s (pid %d) has ended; it starts again in 100ms", p.name, old))
		back := s.awaitReport(reports, p.name+" is back as pid ")
		if want := fmt.Sprintf("%s is back as pid %d", p.name, p.pid()); back != want || p.pid() == old {
			t.Errorf("pid %d was killed, then reported: %q, want %q and another pid", old, back, want)
		}
	}
	must(t, s.AwaitReady(ctx, s.Servers[0]))
	s.load(1, 500*time.Millisecond, "noop", nil)
	s.run(2 * time.Second)
	s.settle(time.Now())
}

// awaitReport waits for the report that begins so. A start that failed, as that of a
// Postgres whose old processes are still going, is told and tried again.
func (s *stage) awaitReport(reports <-chan string, start string) string {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-reports:
			if strings.HasPrefix(got, start) {
				return got
			}
			s.t.Logf("reported: %s", got)
		case <-deadline:
			s.t.Fatalf("waited in vain for the report %q", start)
		}
	}
}

package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// benchRoutes runs a benchmark for a full batch, by route and by the number of
// executors.
func benchRoutes(b *testing.B, run func(b *testing.B, l *line, batch func() []*flight)) {
	for _, route := range []firjob.Route{firjob.RouteRoundRobin, firjob.RouteRandom, firjob.RouteLeastBusy} {
		for _, executors := range []int{3, 50} {
			b.Run(fmt.Sprintf("%s/%d", route, executors), func(b *testing.B) {
				addresses := make([]string, executors)
				for i := range addresses {
					addresses[i] = fmt.Sprintf("10.0.0.%d:9999", i)
				}
				b.ReportAllocs()
				run(b, newLine(b, addresses...), func() []*flight { return batchOf(route) })
			})
		}
	}
}

func batchOf(route firjob.Route) []*flight {
	now := time.Now()
	list := make([]*flight, firjob.MaxBatch)
	for i := range list {
		list[i] = &flight{leaseEnd: now.Add(time.Hour), Claimed: ports.Claimed{App: "app", Route: route, DueAt: now,
			Trigger: firjob.Trigger{ID: firjob.Fire(firjob.JobID(i+1), now), JobID: firjob.JobID(i + 1), Token: 1, ScheduledAt: now}}}
	}
	return list
}

// Which executor each flight goes to.
func BenchmarkPick(b *testing.B) {
	benchRoutes(b, func(b *testing.B, l *line, batch func() []*flight) {
		for b.Loop() {
			b.StopTimer()
			flights := batch()
			b.StartTimer()
			l.executors.targets(flights)
		}
	})
}

// The whole way from the hold to the answers of executors that answer at once.
func BenchmarkPlace(b *testing.B) {
	benchRoutes(b, func(b *testing.B, l *line, batch func() []*flight) {
		l.instant = true
		for b.Loop() {
			b.StopTimer()
			flights := batch()
			b.StartTimer()
			l.place(b.Context(), flights, "")
			l.posts.Wait()
		}
	})
}

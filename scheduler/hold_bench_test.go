package scheduler

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firjob/firjob"
)

// As many flights as the hold can have leave at one instant: how long it is until
// the first request and until the last begins to be sent, by the number of
// executors. They were claimed batch by batch, as in BenchmarkPlace.
func BenchmarkHerd(b *testing.B) {
	for _, executors := range []int{1, 3, 10} {
		b.Run(fmt.Sprint(executors), func(b *testing.B) {
			addresses := make([]string, executors)
			for i := range addresses {
				addresses[i] = fmt.Sprintf("10.0.0.%d:9999", i)
			}
			l := newLine(b, addresses...)
			l.instant = true
			var first, last time.Duration
			var requests int
			for b.Loop() {
				b.StopTimer()
				for range maxFlights / firjob.MaxBatch {
					l.hold.add(batchOf(firjob.RouteRoundRobin))
				}
				b.StartTimer()
				h := l.leave()
				first, last, requests = first+h.first, last+h.last, requests+h.requests
			}
			b.ReportMetric(float64(first.Microseconds())/float64(b.N), "first-µs/op")
			b.ReportMetric(float64(last.Microseconds())/float64(b.N), "last-µs/op")
			b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
		})
	}
}

// herd is when requests began, and how many.
type herd struct {
	first, last time.Duration
	requests    int
}

// leave runs the hold until all that is in it was sent.
func (l *line) leave() (h herd) {
	var gone atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	l.answer = func(_ firjob.Executor, triggers []firjob.Trigger) ([]firjob.Acceptance, error) {
		l.locked(func() {
			h.last = time.Since(began)
			if h.requests++; h.requests == 1 {
				h.first = h.last
			}
		})
		if gone.Add(int64(len(triggers))) == maxFlights {
			cancel()
		}
		return repeated(firjob.Accepted, len(triggers)), nil
	}
	var wait sync.WaitGroup
	wait.Go(func() { l.hold.run(ctx, func(due []*flight) { l.release(context.Background(), due) }) })
	wait.Wait()
	l.posts.Wait()
	return h
}

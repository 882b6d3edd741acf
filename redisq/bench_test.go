package redisq_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
	"github.com/firjob/firjob/internal/ports"
)

// BenchmarkQueue takes batches of 512 through the queue, spread over the shards
// or all in one, and reports ids a second of each step.
func BenchmarkQueue(b *testing.B) {
	h := newHarness(b, stacktest.Redis(b).URL())
	for name, jobs := range map[string]int{"one shard": 1, "four shards": 512} {
		b.Run(name, func(b *testing.B) { benchmarkQueue(b, h, jobs) })
	}
}

func benchmarkQueue(b *testing.B, h harness, jobs int) {
	const batch = 512
	ctx := b.Context()
	var announcing, claiming, acking time.Duration
	step := func(took *time.Duration, do func() error) {
		started := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		*took += time.Since(started)
	}
	due := make([]firjob.Due, batch)
	for b.Loop() {
		at := time.Now().Add(-time.Second)
		for i := range due {
			due[i] = firjob.Due{ID: firjob.NewExecutionID(firjob.JobID(i%jobs), at, firjob.KindManual, uint32(i)), At: at}
		}
		step(&announcing, func() error { return h.Announce(ctx, due) })
		var got ports.Batch
		step(&claiming, func() (err error) { got, err = h.Claim(ctx, allShards(), batch, 0, time.Minute); return })
		if len(got.IDs) != batch {
			b.Fatal(fmt.Errorf("claimed %d of %d", len(got.IDs), batch))
		}
		step(&acking, func() error { return h.Ack(ctx, got.IDs) })
	}
	perSecond := func(d time.Duration) float64 { return float64(batch*b.N) / d.Seconds() }
	b.ReportMetric(perSecond(announcing), "announced/s")
	b.ReportMetric(perSecond(claiming), "claimed/s")
	b.ReportMetric(perSecond(acking), "acked/s")
	b.ReportMetric(perSecond(announcing+claiming+acking), "through/s")
}

package codec_test

import (
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
)

const benchBatch = 128

func BenchmarkTriggers(b *testing.B) {
	batch := firjob.TriggerBatch{App: "bench", SentAt: time.UnixMicro(1800000000000123).UTC()}
	for i := range benchBatch {
		at := time.UnixMilli(1800000000000 + int64(i)).UTC()
		batch.Triggers = append(batch.Triggers, firjob.Trigger{ID: firjob.Fire(firjob.JobID(i+1), at), JobID: firjob.JobID(i + 1), Job: "bench-1234", Handler: "noop",
			ScheduledAt: at, Attempt: 1, Token: 123456789, Lease: firjob.Duration(9876543210)})
	}
	measure(b, batch)
}

func BenchmarkCallback(b *testing.B) {
	callback := firjob.Callback{App: "bench", Address: "127.0.0.1:9999", Incarnation: "7K2QHZ5W3JX4M6TANB8RCVDEFG"}
	for i := range benchBatch {
		at := time.UnixMicro(1800000000000123 + int64(i)).UTC()
		callback.Results = append(callback.Results, firjob.Result{ID: firjob.Fire(firjob.JobID(i+1), at), Token: 123456789, Outcome: firjob.OutcomeSucceeded,
			StartedAt: at, FinishedAt: at.Add(time.Millisecond)})
	}
	measure(b, callback)
}

func measure[M codec.Message](b *testing.B, m M) {
	for name, e := range map[string]codec.Encoding{"JSON": codec.JSON, "CBOR": codec.CBOR} {
		body, err := codec.Encode(e, &m)
		if err != nil {
			b.Fatal(err)
		}
		perItem := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/item")
			b.ReportMetric(float64(len(body))/benchBatch, "bytes/item")
		}
		b.Run(name+"/write", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Encode(e, &m); err != nil {
					b.Fatal(err)
				}
			}
			perItem(b)
		})
		b.Run(name+"/read", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var got M
				if err := codec.Decode(e, body, &got); err != nil {
					b.Fatal(err)
				}
			}
			perItem(b)
		})
	}
}

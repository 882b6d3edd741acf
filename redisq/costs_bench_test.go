package redisq_test

import (
	"bufio"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack/stacktest"
)

// BenchmarkCosts measures what one execution costs Redis: memory while it is in
// the index, commands inside scripts, and bytes on the wire. The coefficients of
// lab/capacity come from here:
//
//	go test ./redisq -run '^$' -bench 'Costs$' -benchtime 200x
//
// is 102,400 executions.
func BenchmarkCosts(b *testing.B) {
	h := newHarness(b, stacktest.Redis(b).URL())
	const batch = 512
	before := h.stats(b)
	announced := 0
	for b.Loop() {
		due := make([]firjob.Due, batch)
		at := time.Now().Add(time.Duration(announced) * time.Millisecond)
		for i := range due {
			due[i] = firjob.Due{ID: firjob.Fire(firjob.JobID(announced), at), At: at}
			announced++
		}
		if err := h.Announce(b.Context(), due); err != nil {
			b.Fatal(err)
		}
	}
	full := h.stats(b)
	for left := announced; left > 0; {
		got, err := h.Claim(b.Context(), allShards(), batch, 240*time.Hour, time.Minute)
		if err != nil || len(got.IDs) == 0 {
			b.Fatalf("claimed nothing of %d that are left: %v", left, err)
		}
		if err := h.Ack(b.Context(), got.IDs); err != nil {
			b.Fatal(err)
		}
		left -= len(got.IDs)
	}
	after := h.stats(b)
	each := func(s, e map[string]float64, names ...string) (sum float64) {
		for _, name := range names {
			sum += e[name] - s[name]
		}
		return sum / float64(announced)
	}
	b.ReportMetric(each(before, full, "used_memory"), "memory-B")
	b.ReportMetric(each(before, after, "total_net_input_bytes", "total_net_output_bytes"), "wire-B")
	b.ReportMetric(each(before, after, "total_commands_processed"), "commands")
}

// stats are the numbers of INFO.
func (h harness) stats(b *testing.B) map[string]float64 {
	b.Helper()
	text, err := h.raw.Info(b.Context()).Result()
	if err != nil {
		b.Fatal(err)
	}
	found := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			found[name] = number
		}
	}
	return found
}

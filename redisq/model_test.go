package redisq_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// TestQueueModel drives the queue at random beside a model of it. After every
// step both sets are as the model says, so that nothing is lost, nothing is in
// both, and nothing was claimed before it was due.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	for place, start := range places() {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			shared := newHarness(t, url)
			rapid.Check(t, func(rt *rapid.T) {
				m := newModel(rt, t, shared)
				rt.Repeat(map[string]func(*rapid.T){
					"announce": m.announce,
					"claim":    m.claim,
					"ack":      m.ack,
					"return":   m.giveBack,
					"reap":     m.reap,
					"forget":   m.forgetScripts,
					"lose":     m.loseAll,
					"":         m.check,
				})
			})
		})
	}
}

// span is when something is due or a lease ends: known exactly when the test
// says so, within a call's duration when Redis's clock does.
type span struct{ from, to int64 }

type model struct {
	harness
	ctx        context.Context
	pool       []firjob.ExecutionID
	due, lease map[firjob.ExecutionID]span
}

func newModel(rt *rapid.T, t *testing.T, h harness) *model {
	m := &model{harness: h, ctx: t.Context(), due: map[firjob.ExecutionID]span{}, lease: map[firjob.ExecutionID]span{}}
	for job := range firjob.JobID(12) {
		m.pool = append(m.pool, firjob.Fire(job, time.UnixMilli(1)), firjob.Fire(job, time.UnixMilli(2)))
	}
	m.clear(rt)
	return m
}

func (m *model) clear(rt *rapid.T) {
	clear(m.due)
	clear(m.lease)
	for shard := range shards {
		for _, set := range []string{"due", "lease"} {
			if err := m.raw.Del(m.ctx, m.setKey(shard, set)).Err(); err != nil {
				rt.Fatal(err)
			}
		}
	}
}

func (m *model) setKey(shard int, set string) string {
	return m.key("{s" + string(rune('0'+shard)) + "}:" + set)
}

// Times are far from each other, so that the test's own slowness changes no
// answer: past, within the longer lead, beyond it.
var (
	offsets = []time.Duration{-2 * time.Hour, -time.Hour, 30 * time.Minute, 45 * time.Minute, 10 * time.Hour}
	leads   = []time.Duration{0, time.Hour}
	leases  = []time.Duration{-2 * time.Hour, 10 * time.Hour} // one is over at once
)

func (m *model) drawDue(rt *rapid.T) []firjob.Due {
	now := time.Now()
	var list []firjob.Due
	for _, id := range m.drawIDs(rt) {
		jitter := time.Duration(rapid.IntRange(0, 5).Draw(rt, "jitter")) * time.Millisecond
		list = append(list, firjob.Due{ID: id, At: now.Add(rapid.SampledFrom(offsets).Draw(rt, "offset") + jitter)})
	}
	return list
}

func (m *model) drawIDs(rt *rapid.T) []firjob.ExecutionID {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(m.pool), 0, 8, rapid.ID).Draw(rt, "ids")
}

func (m *model) drawShards(rt *rapid.T) []int {
	return rapid.SliceOfDistinct(rapid.IntRange(0, shards-1), rapid.ID).Draw(rt, "shards")
}

func (m *model) announce(rt *rapid.T) {
	due := m.drawDue(rt)
	m.must(rt, m.Announce(m.ctx, due))
	for _, d := range due {
		delete(m.lease, d.ID)
		m.due[d.ID] = span{d.At.UnixMilli(), d.At.UnixMilli()}
	}
}

func (m *model) giveBack(rt *rapid.T) {
	due := m.drawDue(rt)
	m.must(rt, m.Return(m.ctx, due))
	for _, d := range due {
		delete(m.lease, d.ID)
		at := d.At.UnixMilli()
		if there, ok := m.due[d.ID]; ok {
			at = min(at, there.from)
		}
		m.due[d.ID] = span{at, at}
	}
}

func (m *model) ack(rt *rapid.T) {
	ids := m.drawIDs(rt)
	m.must(rt, m.Ack(m.ctx, ids))
	for _, id := range ids {
		delete(m.lease, id)
	}
}

func (m *model) claim(rt *rapid.T) {
	list, n := m.drawShards(rt), rapid.IntRange(1, 4).Draw(rt, "n")
	lead, lease := rapid.SampledFrom(leads).Draw(rt, "lead"), rapid.SampledFrom(leases).Draw(rt, "lease")
	from := time.Now().UnixMilli()
	got, err := m.Claim(m.ctx, list, n, lead, lease)
	m.must(rt, err)
	to := time.Now().UnixMilli()

	var want []firjob.ExecutionID
	full, next := false, int64(-1)
	for _, shard := range list {
		ids := m.first(m.due, shard)
		late := slices.IndexFunc(ids, func(id firjob.ExecutionID) bool { return m.due[id].from > to+lead.Milliseconds() })
		if late < 0 {
			late = len(ids)
		}
		want = append(want, ids[:min(n, late)]...)
		full = full || late > n
		if left := ids[min(n, late):]; len(left) > 0 && (next < 0 || m.due[left[0]].from < next) {
			next = m.due[left[0]].from
		}
	}
	if !slices.Equal(got.IDs, want) || got.Full != full {
		rt.Fatalf("claimed %v, full %t; want %v, %t", got.IDs, got.Full, want, full)
	}
	checkNext(rt, got.Next, next, from, to)
	for _, id := range want {
		at := m.due[id].from
		delete(m.due, id)
		m.lease[id] = span{max(at, from) + lease.Milliseconds(), max(at, to) + lease.Milliseconds()}
	}
}

func checkNext(rt *rapid.T, got time.Duration, next, from, to int64) {
	least, most := time.Duration(next-to-1)*time.Millisecond, time.Duration(next-from)*time.Millisecond
	switch {
	case next < 0 && got < 0:
	case next < 0 || got < max(0, least) || got > max(0, most):
		rt.Fatalf("next %v, want %v to %v (head %d)", got, least, most, next)
	}
}

func (m *model) reap(rt *rapid.T) {
	list, n := m.drawShards(rt), rapid.IntRange(1, 4).Draw(rt, "n")
	from := time.Now().UnixMilli()
	got, err := m.Reap(m.ctx, list, n)
	m.must(rt, err)
	to := time.Now().UnixMilli()

	want := 0
	for _, shard := range list {
		over := slices.DeleteFunc(m.first(m.lease, shard), func(id firjob.ExecutionID) bool { return m.lease[id].to >= from })
		for _, id := range over[:min(n, len(over))] {
			want++
			delete(m.lease, id)
			m.due[id] = span{from, to}
		}
	}
	if got != want {
		rt.Fatalf("reaped %d, want %d", got, want)
	}
}

func (m *model) forgetScripts(rt *rapid.T) {
	m.must(rt, m.raw.ScriptFlush(m.ctx).Err())
}

func (m *model) loseAll(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "luck") == 0 {
		m.clear(rt)
	}
}

// check compares Redis with the model, and takes over the instants that only
// Redis knew exactly.
func (m *model) check(rt *rapid.T) {
	for set, want := range map[string]map[firjob.ExecutionID]span{"due": m.due, "lease": m.lease} {
		got := map[firjob.ExecutionID]span{}
		for shard := range shards {
			list, err := m.raw.ZRangeWithScores(m.ctx, m.setKey(shard, set), 0, -1).Result()
			m.must(rt, err)
			for _, z := range list {
				id, err := firjob.ParseExecutionID(z.Member.(string))
				m.must(rt, err)
				got[id] = span{int64(z.Score), int64(z.Score)}
			}
		}
		if missing, extra := without(want, got), without(got, want); len(missing)+len(extra) > 0 {
			rt.Fatalf("%s: missing %v, too many %v", set, missing, extra)
		}
		for id, at := range got {
			if at.from < want[id].from || at.to > want[id].to {
				rt.Fatalf("%s of %v is %d, want %d to %d", set, id, at.from, want[id].from, want[id].to)
			}
		}
		maps.Copy(want, got)
	}
}

func without(a, b map[firjob.ExecutionID]span) []firjob.ExecutionID {
	var list []firjob.ExecutionID
	for id := range a {
		if _, ok := b[id]; !ok {
			list = append(list, id)
		}
	}
	return list
}

// first lists a shard's executions as Redis sorts them.
func (m *model) first(set map[firjob.ExecutionID]span, shard int) []firjob.ExecutionID {
	var list []firjob.ExecutionID
	for id := range set {
		if id.Job().Shard(shards) == shard {
			list = append(list, id)
		}
	}
	slices.SortFunc(list, func(a, b firjob.ExecutionID) int {
		return cmp.Or(cmp.Compare(set[a].from, set[b].from), cmp.Compare(a.String(), b.String()))
	})
	return list
}

func (m *model) must(rt *rapid.T, err error) {
	if err != nil {
		rt.Fatal(err)
	}
}

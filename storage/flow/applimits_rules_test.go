package flow

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/firjob/firjob"
)

// Whatever comes and waits: no more get in than there is room for, and nobody
// before one of a better rank.
func TestGateLetsTheBestRankedIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := &gate{app: "a", tokens: rapid.Float64Range(0, 20).Draw(t, "tokens"),
			limits:  firjob.AppLimits{MaxRunning: rapid.IntRange(0, 10).Draw(t, "max running"), MaxPerSecond: rapid.SampledFrom([]float64{0, 0.5, 20}).Draw(t, "rate")},
			running: rapid.IntRange(0, 12).Draw(t, "running")}
		ranks := rapid.SliceOfNDistinct(rapid.IntRange(1, 1000), 0, 30, rapid.ID).Draw(t, "ranks")
		var line []waiter
		var newcomers []Queued
		for _, rank := range ranks {
			q := Queued{firjob.Fire(firjob.JobID(rank), time.UnixMilli(0)), int64(rank)}
			if rapid.Bool().Draw(t, "waits") {
				line = append(line, waiter{q, rapid.IntRange(0, 3).Draw(t, "gone") == 0})
			} else {
				newcomers = append(newcomers, q)
			}
		}
		slices.SortFunc(line, func(a, b waiter) int { return ByRank(a.Queued, b.Queued) })
		slices.SortFunc(newcomers, ByRank)

		room := g.room()
		started, gone, in := g.admit(line, newcomers)
		entered := map[firjob.ExecutionID]bool{}
		worst := int64(math.MinInt64)
		for _, id := range started {
			entered[id] = true
			worst = max(worst, int64(id.Job()))
		}
		for _, q := range newcomers[:in] {
			worst = max(worst, q.Rank)
		}
		n := len(started) + in
		if n > room {
			t.Fatalf("%d entered, there was room for %d", n, room)
		}
		left := 0
		for _, w := range line {
			if !entered[w.ID] && !slices.Contains(gone, w.ID) {
				left++
				if !w.gone && w.Rank < worst {
					t.Fatalf("one of rank %d waits on, one of rank %d entered", w.Rank, worst)
				}
			}
		}
		for _, q := range newcomers[in:] {
			left++
			if q.Rank < worst {
				t.Fatalf("a newcomer of rank %d waits, one of rank %d entered", q.Rank, worst)
			}
		}
		if n < room && left > 0 {
			t.Fatalf("%d entered, %d wait, though there was room for %d", n, left, room)
		}
		if g.room() < 0 || g.limits.MaxPerSecond > 0 && g.tokens < -tokenDust {
			t.Fatalf("overdrawn: %+v", g)
		}
	})
}

// In every span of time no more start than its rate allows, after one burst; and
// who asks all the time gets what the rate allows.
func TestGateKeepsTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.1, 0.5, 1, 3, 10, 250.5}).Draw(t, "rate")
		began := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
		g := &gate{limits: firjob.AppLimits{MaxPerSecond: rate}, tokens: math.Inf(1), refilledAt: began, now: began}
		var starts []time.Time
		for _, ms := range rapid.SliceOfN(rapid.IntRange(-50, 2000), 1, 100).Draw(t, "pauses") {
			g.now = g.now.Add(time.Duration(ms) * time.Millisecond) // clocks step back, too
			g.refill()
			for g.room() > 0 {
				g.enter()
				starts = append(starts, g.refilledAt)
			}
		}
		for i := range starts {
			for j := i; j < len(starts); j++ {
				allowed := g.burst() + starts[j].Sub(starts[i]).Seconds()*rate + 0.01
				if n := float64(j - i + 1); n > allowed {
					t.Fatalf("%v started within %v at %v per second", n, starts[j].Sub(starts[i]), rate)
				}
			}
		}
		if elapsed := g.refilledAt.Sub(began).Seconds(); float64(len(starts)) < min(1, elapsed*rate)-1 {
			t.Fatalf("%d started in %vs at %v per second", len(starts), elapsed, rate)
		}
	})
}

// Under a backlog that never ends, of whatever priorities, each one's turn comes
// before anything that was scheduled twenty steps of priority later.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		began := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
		draw := func(name string, after time.Duration) Queued {
			at := began.Add(after + time.Duration(rapid.IntRange(0, 3_600_000).Draw(t, name))*time.Millisecond)
			id := firjob.NewExecutionID(1, at, firjob.KindManual, rapid.Uint32().Draw(t, name+"'s nonce")&0xffffff)
			return Queued{id, RankOf(id, at, rapid.IntRange(firjob.MinPriority, firjob.MaxPriority).Draw(t, name+"'s priority"))}
		}
		one, other := draw("one", 0), draw("other", 0)
		most := time.Duration(firjob.MaxPriority-firjob.MinPriority) * firjob.PrioritySpan
		if other.ID.ScheduledAt().Sub(one.ID.ScheduledAt()) > most && ByRank(one, other) > 0 {
			t.Fatalf("%v goes after %v, which is scheduled more than %v later", one, other, most)
		}
		if ByRank(one, other) != -ByRank(other, one) {
			t.Fatalf("%v and %v have no order", one, other)
		}
	})
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	live := firjob.Fire(1, at)
	if RankOf(live, at, 5) >= RankOf(firjob.Fire(2, at), at, 4) {
		t.Error("a higher priority does not go first")
	}
	if old := firjob.NewExecutionID(1, at.AddDate(0, -1, 0), firjob.KindBackfill, 1); RankOf(old, at.Add(time.Second), 0) < RankOf(live, at, 0) {
		t.Error("the fires of a backfill go before those that are due")
	}
}

func TestGateTellsWhenTimeHelps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gate gate
		want time.Duration
	}{
		"a token is there":         {gate{limits: firjob.AppLimits{MaxPerSecond: 5}, tokens: 1.5}, 0},
		"a fifth of a second":      {gate{limits: firjob.AppLimits{MaxPerSecond: 5}}, 200 * time.Millisecond},
		"half a token":             {gate{limits: firjob.AppLimits{MaxPerSecond: 5}, tokens: 0.5}, 100 * time.Millisecond},
		"a very slow rate":         {gate{limits: firjob.AppLimits{MaxPerSecond: 1e-9}}, never},
		"only an end helps":        {gate{limits: firjob.AppLimits{MaxRunning: 2}, running: 2}, never},
		"an end first, then time":  {gate{limits: firjob.AppLimits{MaxRunning: 2, MaxPerSecond: 5}, running: 2}, never},
		"others could not be seen": {gate{limits: firjob.AppLimits{MaxRunning: 2}, running: 2, more: true}, 0},
	} {
		if got := c.gate.next(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

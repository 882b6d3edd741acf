package redisq_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/redisq"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	everywhere(t, map[string]func(*testing.T, harness){
		"turns are unique and dense":          turnsDense,
		"rings are counted apart":             ringsApart,
		"what is no count begins anew":        turnsBeginAnew,
		"lru takes the longest unused":        lruInTurn,
		"lru forgets after a day":             lruForgets,
		"lfu counts are exact":                lfuExact,
		"lfu lets the new one catch up":       lfuCatchesUp,
		"sticky stays":                        stickyStays,
		"memories live a day":                 memoriesLiveADay,
		"choices are answered in their order": choicesInOrder,
		"a choice that cannot be is refused":  choicesRefused,
	})
}

// choicesOf asks all three routes that remember.
func choicesOf(job firjob.JobID, among ...string) []ports.Choice {
	var list []ports.Choice
	for _, route := range []firjob.Route{firjob.RouteLeastRecent, firjob.RouteLeastFrequent, firjob.RouteSticky} {
		list = append(list, ports.Choice{App: "billing", Job: job, Route: route, Among: among})
	}
	return list
}

func (h harness) choose(t *testing.T, route firjob.Route, job firjob.JobID, among ...string) string {
	t.Helper()
	picks, err := h.Choose(t.Context(), []ports.Choice{{App: "billing", Job: job, Route: route, Among: among}})
	must(t, err)
	return picks[0]
}

// Several servers take turns at once: together they get every number from 0 on,
// each once.
func turnsDense(t *testing.T, h harness) {
	const replicas, batches = 3, 40
	ring := ports.Ring{App: "billing"}
	var mu sync.Mutex
	seen := map[uint64]int{}
	g, ctx := errgroup.WithContext(t.Context())
	for r := range replicas {
		replica := open(t, redisq.Options{URL: h.url, Prefix: h.prefix, Shards: shards})
		g.Go(func() error {
			for i := range batches {
				n := 1 + (r+i)%7
				firsts, err := replica.Turns(ctx, map[ports.Ring]int{ring: n})
				if err != nil {
					return err
				}
				mu.Lock()
				for k := range n {
					seen[firsts[ring]+uint64(k)]++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	must(t, g.Wait())
	for n := range uint64(len(seen)) {
		if seen[n] != 1 {
			t.Fatalf("turn %d of %d was given %d times, want once", n, len(seen), seen[n])
		}
	}
}

func ringsApart(t *testing.T, h harness) {
	ctx := t.Context()
	all, eu, other := ports.Ring{App: "billing"}, ports.Ring{App: "billing", Selector: "zone=eu {x}"}, ports.Ring{App: "e-mail"}
	_, err := h.Turns(ctx, map[ports.Ring]int{all: 5, eu: 2})
	must(t, err)
	got, err := h.Turns(ctx, map[ports.Ring]int{all: 1, eu: 1, other: 1})
	must(t, err)
	if diff := cmp.Diff(map[ports.Ring]uint64{all: 5, eu: 2, other: 0}, got); diff != "" {
		t.Errorf("first turns (-want +got):\n%s", diff)
	}
	if ttl := h.raw.PTTL(ctx, h.key("turn:{billing}")).Val(); ttl > 0 {
		t.Errorf("the turns of an app live %v, want for good", ttl)
	}
	if ttl := h.raw.PTTL(ctx, h.key("turn:{billing}:zone=eu {x}")).Val(); ttl <= 0 || ttl > 24*time.Hour {
		t.Errorf("the turns of a selector live %v, want up to a day", ttl)
	}
	if _, err := h.Turns(ctx, map[ports.Ring]int{{App: "a}b"}: 1}); err == nil {
		t.Error("turns of app a}b: no error")
	}
}

func turnsBeginAnew(t *testing.T, h harness) {
	ctx := t.Context()
	bad, good := ports.Ring{App: "billing"}, ports.Ring{App: "e-mail"}
	for _, value := range []string{"many", "9223372036854775807", "-70"} {
		must(t, h.raw.Set(ctx, h.key("turn:{billing}"), value, 0).Err())
		got, err := h.Turns(ctx, map[ports.Ring]int{bad: 3, good: 1})
		must(t, err)
		if first, ok := got[bad]; !ok || first != 0 || len(got) != 2 {
			t.Errorf("turns counted by %q: %v, want 0 and those of the other", value, got)
		}
	}
	must(t, h.raw.Del(ctx, h.key("turn:{billing}")).Err())
	must(t, h.raw.ZAdd(ctx, h.key("turn:{billing}"), redis.Z{Member: "x"}).Err())
	if got, err := h.Turns(ctx, map[ports.Ring]int{bad: 3}); err != nil || got[bad] != 0 {
		t.Errorf("turns counted by a set: %v, %v; want 0", got, err)
	}
}

func lruInTurn(t *testing.T, h harness) {
	var got []string
	for range 4 {
		for range 3 { // within one millisecond, some of them
			got = append(got, h.choose(t, firjob.RouteLeastRecent, 42, "c:1", "a:1", "b:1"))
		}
	}
	if want := slices.Repeat([]string{"c:1", "a:1", "b:1"}, 4); !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
	if pick := h.choose(t, firjob.RouteLeastRecent, 42, "b:1", "a:1", "new:1"); pick != "new:1" {
		t.Errorf("picked %s, want the one that never ran it", pick)
	}
	if pick := h.choose(t, firjob.RouteLeastRecent, 42, "b:1", "a:1"); pick != "a:1" {
		t.Errorf("picked %s, want a:1, whose use is the longest ago", pick)
	}
	if pick := h.choose(t, firjob.RouteLeastRecent, 7, "b:1", "a:1"); pick != "b:1" {
		t.Errorf("picked %s for another job, want the first", pick)
	}
}

func lruForgets(t *testing.T, h harness) {
	ctx, key := t.Context(), h.key("lru:{billing}:42")
	must(t, h.raw.ZAdd(ctx, key,
		redis.Z{Score: float64(time.Now().Add(-25 * time.Hour).UnixMilli()), Member: "gone:1"},
		redis.Z{Score: float64(time.Now().Add(-23 * time.Hour).UnixMilli()), Member: "a:1"},
		redis.Z{Score: 1e300, Member: "absurd:1"}).Err())
	h.choose(t, firjob.RouteLeastRecent, 42, "b:1", "a:1")
	if got := h.raw.ZRange(ctx, key, 0, -1).Val(); !slices.Equal(got, []string{"a:1", "b:1"}) {
		t.Errorf("remembered %v, want a:1 and b:1", got)
	}
}

// Several servers choose at once: each executor gets the same number, and the
// counts are those of the picks.
func lfuExact(t *testing.T, h harness) {
	const replicas, picks = 3, 60
	among := []string{"a:1", "b:1", "c:1", "d:1"}
	var mu sync.Mutex
	picked := map[string]int{}
	g, ctx := errgroup.WithContext(t.Context())
	for range replicas {
		replica := open(t, redisq.Options{URL: h.url, Prefix: h.prefix, Shards: shards})
		g.Go(func() error {
			for range picks / 3 {
				ask := slices.Repeat([]ports.Choice{{App: "billing", Job: 42, Route: firjob.RouteLeastFrequent, Among: among}}, 4)
				list, err := replica.Choose(ctx, ask)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, a := range list {
					picked[a]++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	must(t, g.Wait())
	counted := map[string]int{}
	for _, z := range h.raw.ZRangeWithScores(t.Context(), h.key("lfu:{billing}:42"), 0, -1).Val() {
		counted[z.Member.(string)] = int(z.Score)
	}
	want := map[string]int{}
	for _, a := range among {
		want[a] = replicas * picks / 3 * 4 / len(among)
	}
	if !maps.Equal(picked, want) || !maps.Equal(counted, want) {
		t.Errorf("picked %v, counted %v; want both %v", picked, counted, want)
	}
}

func lfuCatchesUp(t *testing.T, h harness) {
	for range 3 {
		h.choose(t, firjob.RouteLeastFrequent, 42, "a:1")
	}
	var got []string
	for range 5 {
		got = append(got, h.choose(t, firjob.RouteLeastFrequent, 42, "a:1", "b:1"))
	}
	if want := []string{"b:1", "b:1", "b:1", "a:1", "b:1"}; !slices.Equal(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}

func stickyStays(t *testing.T, h harness) {
	tests := []struct {
		among []string
		want  string
	}{
		{[]string{"b:1", "a:1"}, "b:1"},
		{[]string{"a:1", "b:1"}, "b:1"},
		{[]string{"c:1", "a:1"}, "c:1"}, // b:1 takes nothing
		{[]string{"a:1", "b:1", "c:1"}, "c:1"},
	}
	for i, tt := range tests {
		if got := h.choose(t, firjob.RouteSticky, 42, tt.among...); got != tt.want {
			t.Errorf("pick %d among %v: %s, want %s", i, tt.among, got, tt.want)
		}
	}
}

func memoriesLiveADay(t *testing.T, h harness) {
	ctx := t.Context()
	keys := []string{h.key("lru:{billing}:42"), h.key("lfu:{billing}:42"), h.key("sticky:{billing}:42")}
	_, err := h.Choose(ctx, choicesOf(42, "a:1"))
	must(t, err)
	for _, key := range keys {
		must(t, h.raw.PExpire(ctx, key, time.Hour).Err())
	}
	_, err = h.Choose(ctx, choicesOf(42, "a:1"))
	must(t, err)
	for i, key := range keys {
		ttl, isLFU := h.raw.PTTL(ctx, key).Val(), i == 1
		if ttl <= 0 || ttl > 24*time.Hour || isLFU != (ttl <= time.Hour) {
			t.Errorf("%s lives %v more; want a day after the last use, of lfu after the first", key, ttl)
		}
	}
}

func choicesInOrder(t *testing.T, h harness) {
	var choices []ports.Choice
	var want []string
	for i := range 100 {
		address := fmt.Sprintf("10.0.0.%d:1", i)
		choices = append(choices, choicesOf(firjob.JobID(i), address)...)
		want = append(want, address, address, address)
	}
	must(t, h.raw.ScriptFlush(t.Context()).Err())
	got, err := h.Choose(t.Context(), choices)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("picks (-want +got):\n%s", diff)
	}
}

func choicesRefused(t *testing.T, h harness) {
	for name, choice := range map[string]ports.Choice{
		"route": {App: "billing", Route: firjob.RouteRandom, Among: []string{"a:1"}},
		"app":   {App: "a}b", Route: firjob.RouteSticky, Among: []string{"a:1"}},
		"none":  {App: "billing", Route: firjob.RouteSticky},
	} {
		if picks, err := h.Choose(t.Context(), []ports.Choice{choice}); err == nil {
			t.Errorf("%s: picked %v, want an error", name, picks)
		}
	}
}

// The routes that remember, beside models of them: whatever executors there are
// at each pick, lru takes the one unused for longest and lfu the least used.
func TestRoutesModel(t *testing.T) {
	t.Parallel()
	for place, start := range places() {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, start(t))
			job := firjob.JobID(0)
			rapid.Check(t, func(rt *rapid.T) {
				job++
				last, uses, bound := map[string]int{}, map[string]int{}, ""
				for i := range rapid.IntRange(1, 12).Draw(rt, "picks") {
					among := rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Fields("a:1 b:1 c:1 d:1")), 1, 4, rapid.ID).Draw(rt, "among")
					want := []string{least(among, last), least(among, uses), among[0]}
					if slices.Contains(among, bound) {
						want[2] = bound
					}
					got, err := h.Choose(t.Context(), choicesOf(job, among...))
					if err != nil || !slices.Equal(got, want) {
						rt.Fatalf("pick %d among %v: %v, %v; want %v", i, among, got, err, want)
					}
					last[want[0]], bound = i+1, want[2]
					uses[want[1]]++
				}
			})
		})
	}
}

func least(among []string, of map[string]int) string {
	return slices.MinFunc(among, func(a, b string) int { return of[a] - of[b] })
}

package groupcommit

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

func TestGroupCarriesConcurrentCallsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		g := New(Sizes{Limit: 100, Calls: 1}, func(_ context.Context, items []int) ([]int, error) {
			sizes = append(sizes, len(items))
			time.Sleep(10 * time.Millisecond) // in the bubble: no real time passes
			doubled := make([]int, len(items))
			for i, n := range items {
				doubled[i] = 2 * n
			}
			return doubled, nil
		})
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				got, err := g.Do(t.Context(), []int{i, i + 1000})
				if err != nil || len(got) != 2 || got[0] != 2*i || got[1] != 2*i+2000 {
					t.Errorf("Do(%d, %d) = %v, %v", i, i+1000, got, err)
				}
			})
		}
		wait.Wait()
		if len(sizes) > 3 {
			t.Errorf("20 calls at once were carried by %d transactions of sizes %v, want 2 or 3", len(sizes), sizes)
		}
	})
}

func TestGroupKeepsToItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Sizes{Limit: 5, Calls: 1}, func(_ context.Context, items []int) ([]int, error) {
			if len(items) > 5 {
				t.Errorf("one call carried %d items, limit 5", len(items))
			}
			time.Sleep(time.Millisecond)
			return items, nil
		})
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() { _, _ = g.Do(t.Context(), []int{1, 2}) })
		}
		wait.Wait()
	})
}

func TestGroupGivesEverybodyTheError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		g := New(Sizes{Limit: 100, Calls: 1}, func(context.Context, []int) ([]int, error) {
			time.Sleep(time.Millisecond)
			return nil, down
		})
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				if _, err := g.Do(t.Context(), []int{1}); !errors.Is(err, down) {
					t.Errorf("Do = %v, want %v", err, down)
				}
			})
		}
		wait.Wait()
	})
}

// A caller that goes away must not take the items of the others with it, nor
// its own: they may be under way already.
func TestGroupOutlivesTheCallerThatCarries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Sizes{Limit: 100, Calls: 1}, func(ctx context.Context, items []int) ([]int, error) {
			time.Sleep(10 * time.Millisecond)
			return items, ctx.Err()
		})
		first, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = g.Do(first, []int{1}) })
		synctest.Wait()
		cancel()
		if got, err := g.Do(t.Context(), []int{2}); err != nil || got[0] != 2 {
			t.Errorf("Do = %v, %v after another caller went away", got, err)
		}
		wait.Wait()
	})
}

func TestGroupForgetsCallersThatWentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		g := New(Sizes{Limit: 10, Calls: 1}, func(_ context.Context, items []int) ([]int, error) {
			<-hang
			return items, nil
		})
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = g.Do(t.Context(), []int{0}) })
		synctest.Wait()
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			wait.Go(func() { _, _ = g.Do(ctx, []int{1}) })
			synctest.Wait()
			cancel()
		}
		synctest.Wait()
		if n := len(g.waiting); n != 0 {
			t.Errorf("%d calls wait that nobody waits for", n)
		}
		close(hang)
		wait.Wait()
	})
}

// With room for two calls at a time, a caller whose items are under way must
// wait, not look for work again and again.
func TestGroupCallsOnlyForWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls, items := 0, 0
		g := New(Sizes{Limit: 100, Calls: 2, Enough: 10}, func(_ context.Context, list []int) ([]int, error) {
			mu.Lock()
			calls++
			items += len(list)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			return list, nil
		})
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() { _, _ = g.Do(t.Context(), []int{1}) })
		}
		wait.Wait()
		g.Close()
		if _, err := g.Do(t.Context(), []int{1}); firjob.CodeOf(err) != firjob.CodeUnavailable {
			t.Errorf("Do after close = %v, want %s", err, firjob.CodeUnavailable)
		}
		if items != 50 || calls > 4 || g.running != 0 {
			t.Errorf("50 items took %d calls that carried %d items, and %d carriers are left; want 3 calls, 50 items and none", calls, items, g.running)
		}
	})
}

// A second call beside the first is worth its while only when much waits.
func TestGroupLetsBatchesFillUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sizes Sizes
		most  int // calls at a time that are wanted
	}{
		"little waits": {Sizes{Limit: 100, Calls: 4, Enough: 50}, 1},
		"enough waits": {Sizes{Limit: 10, Calls: 4, Enough: 10}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var running, most atomic.Int32
				g := New(c.sizes, func(_ context.Context, items []int) ([]int, error) {
					if n := running.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(time.Millisecond)
					running.Add(-1)
					return items, nil
				})
				var wait sync.WaitGroup
				for range 40 {
					wait.Go(func() { _, _ = g.Do(t.Context(), []int{1}) })
				}
				wait.Wait()
				if got := int(most.Load()); got != c.most {
					t.Errorf("40 items made %d calls at a time, want %d", got, c.most)
				}
			})
		})
	}
}

func TestGroupPausesBetweenCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const gap = 5 * time.Millisecond
		g := New(Sizes{Limit: 100, Calls: 2, Enough: 50, Gap: gap}, func(_ context.Context, items []int) ([]int, error) {
			return items, nil
		})
		took := func(items int) time.Duration {
			began := time.Now()
			if _, err := g.Do(t.Context(), make([]int, items)); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		for _, step := range []struct {
			what  string
			quiet time.Duration // before it
			items int
			want  time.Duration
		}{
			{"the first", 0, 1, 0},
			{"the next", 0, 1, gap},
			{"a later one", 2 * time.Millisecond, 1, gap - 2*time.Millisecond},
			{"a large one", 0, 50, 0},
			{"one after a quiet time", gap, 1, 0},
		} {
			time.Sleep(step.quiet)
			if got := took(step.items); got != step.want {
				t.Errorf("%s took %v, want %v", step.what, got, step.want)
			}
		}
	})
}

func TestGroupSurvivesFaultsOfItsCall(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(context.Context, []int) ([]int, error){
		"a panic":      func(context.Context, []int) ([]int, error) { panic("out of cheese") },
		"too few":      func(context.Context, []int) ([]int, error) { return nil, nil },
		"too many":     func(context.Context, []int) ([]int, error) { return []int{1, 2, 3}, nil },
		"an honest no": func(context.Context, []int) ([]int, error) { return nil, errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := New(Sizes{Limit: 10, Calls: 1}, do)
			for range 2 { // the next call works as well
				if got, err := g.Do(t.Context(), []int{1}); err == nil || got != nil {
					t.Errorf("Do = %v, %v, want an error", got, err)
				}
			}
			g.Close()
		})
	}
}

// A call that waits for a lock must not keep those who come after it, the last one
// included.
func TestGroupGoesOnBesideASlowCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Sizes{Limit: 100, Calls: 2}, func(_ context.Context, items []time.Duration) ([]int, error) {
			time.Sleep(items[0])
			return make([]int, len(items)), nil
		})
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = g.Do(t.Context(), []time.Duration{10 * time.Second}) })
		synctest.Wait()
		for range 3 {
			began := time.Now()
			if _, err := g.Do(t.Context(), []time.Duration{time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 2*patience {
				t.Errorf("a call beside a slow one took %v, want %v and a little", took, patience)
			}
		}
		wait.Wait()
	})
}

package groupcommit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firjob/firjob"
)

func TestGroupCarriesConcurrentCallsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		g := New(100, 1, func(_ context.Context, items []int) ([]int, error) {
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
		g := New(5, 1, func(_ context.Context, items []int) ([]int, error) {
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
		g := New(100, 1, func(context.Context, []int) ([]int, error) {
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
		g := New(100, 1, func(ctx context.Context, items []int) ([]int, error) {
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
		g := New(10, 1, func(_ context.Context, items []int) ([]int, error) {
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
		g := New(100, 2, func(_ context.Context, list []int) ([]int, error) {
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

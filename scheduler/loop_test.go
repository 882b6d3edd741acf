package scheduler

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Loops of whatever interval wake at common instants, each about as often as it
// was asked to, however long its passes take.
func TestLoopsWakeTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const span = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), span)
		defer cancel()
		loops := map[time.Duration]struct {
			takes  time.Duration // a pass
			passes int           // at least, and a fifth more at most
		}{
			step:             {time.Millisecond, 235},
			2 * step:         {30 * time.Millisecond, 110},
			2 * time.Second:  {time.Second, 18},
			10 * time.Second: {0, 5},
			step / 2:         {step, 110}, // it cannot do what is asked of it
		}
		var wait sync.WaitGroup
		for interval, loop := range loops {
			wait.Go(func() {
				passes := -1 // the first is at once
				every(ctx, interval, func(context.Context) {
					passes++
					if at := time.Duration(time.Now().UnixNano()) - phase; passes > 0 && at%step != 0 {
						t.Errorf("the loop of %v woke %v after a step", interval, at%step)
					}
					time.Sleep(loop.takes)
				})
				if passes < loop.passes || passes > loop.passes*6/5 {
					t.Errorf("the loop of %v woke %d times within %v, want some %d", interval, passes, span, loop.passes)
				}
			})
		}
		wait.Wait()
	})
}

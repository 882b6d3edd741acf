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

// A loop that is paced wakes at each step as long as its pass takes less than that,
// and then at each second one.
func TestPacedLoopsKeepTheirPace(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]time.Duration{
		0:                            step,
		step * 3 / 5:                 step,
		step - time.Millisecond:      step,
		step + 10*time.Millisecond:   2 * step,
		2*step - 10*time.Millisecond: 2 * step,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var began []time.Time
			paced(ctx, func(context.Context) {
				if began = append(began, time.Now()); len(began) == 6 {
					cancel()
				}
				time.Sleep(takes)
			})
			for i := 2; i < len(began); i++ { // the first may begin between two steps
				if got := began[i].Sub(began[i-1]); got != want {
					t.Errorf("with passes of %v, pass %d began %v after the one before, want %v", takes, i, got, want)
				}
			}
		})
	}
}

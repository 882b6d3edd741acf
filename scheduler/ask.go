package scheduler

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// askTimeout bounds one round of questions, to askAtATime executors at a time. What an
// executor holds that does not answer is learned from its beats.
const (
	askTimeout = 500 * time.Millisecond
	askAtATime = 64
)

// askExecutors asks every live executor of the apps what it holds, notes the answers
// in the store, and reports whether all have answered. It reads the registry first: an
// executor that registered a moment ago may be known to other servers only.
func (s *Scheduler) askExecutors(ctx context.Context, apps []string) bool {
	if len(apps) == 0 {
		return true
	}
	if _, degraded, ok := s.executors.reread(ctx, apps); degraded || !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var silent atomic.Bool
	var asking errgroup.Group
	asking.SetLimit(askAtATime)
	for _, app := range apps {
		for _, e := range s.executors.list(app) {
			asking.Go(func() error {
				if err := s.askOne(ctx, e); err != nil {
					silent.Store(true)
					s.log.InfoContext(ctx, "an executor did not say what it holds; its beats will", "app", e.App,
						"executor", e.Address, "error", err)
				}
				return nil
			})
		}
	}
	_ = asking.Wait() // each has told its own error
	return !silent.Load()
}

func (s *Scheduler) askOne(ctx context.Context, e firjob.Executor) error {
	key, known := s.executors.key(e.App)
	if !known {
		return errors.New("the key of its app is not known yet")
	}
	refs, err := s.sender.Holding(ctx, e, key, s.clock.Now())
	if refused := new(ports.Refused); errors.As(err, &refused) {
		return nil // what was sent to a process that has ended is lost
	}
	if err != nil || len(refs) == 0 {
		return err
	}
	held := make([]ports.Held, len(refs))
	for i, ref := range refs {
		held[i] = ports.Held{Executor: e.Key(), Attempt: ref}
	}
	_, err = s.holdConfirmed(ctx, held)
	return err
}

package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob/lab/checker"
)

// inflict does the faults of a schedule, each at its time since began, and undoes
// them. It returns when all are undone. A fault that cannot be done is told and
// passed over; one that cannot be undone is an error.
func (s *stage) inflict(ctx context.Context, steps []Step, began time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	var all []underWay
	for _, step := range steps {
		if !passed(ctx, time.Until(began.Add(step.At))) {
			break
		}
		before, done := slices.Clone(all), make(chan struct{})
		all = append(all, underWay{step, done})
		group.Go(func() error {
			defer close(done)
			for _, earlier := range before {
				if clash(step, earlier.step) {
					<-earlier.done
				}
			}
			return s.do(ctx, step)
		})
	}
	return group.Wait()
}

// underWay is a fault that has its time. Undoing it may take longer than the
// schedule can know; what hits the same thing then waits.
type underWay struct {
	step Step
	done chan struct{}
}

// do does one fault, and undoes it after its time. What is done is undone also
// when ctx ends before.
func (s *stage) do(ctx context.Context, step Step) error {
	all := s.options.known()
	c := all[slices.IndexFunc(all, func(c class) bool { return c.name == step.Class })]
	e := checker.Event{Kind: checker.KindFault, Phase: checker.PhaseBegin, Fault: step.Class, Target: step.Target}
	s.options.Progress(step.String())
	s.recorder.Record(e)
	e.Phase = checker.PhaseOK
	heal, err := c.inject(ctx, s, step)
	if err != nil {
		e.Phase = checker.PhaseFailed
		s.options.Progress(fmt.Sprintf("          %s could not be done: %v", step.Class, err))
	} else {
		passed(ctx, step.For)
	}
	if heal != nil {
		if err := heal(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("undo %s of %s: %w", step.Class, step.Target, err)
		}
	}
	s.recorder.Record(e)
	return nil
}

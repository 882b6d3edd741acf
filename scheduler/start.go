package scheduler

import (
	"context"

	"github.com/firjob/firjob"
)

// Start grants an executor those of the attempts that it may begin. It returns
// after the commit; without the store nothing is granted, and the executor asks
// again.
func (s *Scheduler) Start(ctx context.Context, start firjob.Start) (firjob.StartReply, error) {
	by := firjob.ExecutorKey{App: start.App, Address: start.Address, Incarnation: start.Incarnation}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	granted, err := s.store.Start(ctx, by, start.Attempts, s.options.LeaseTTL)
	if err != nil {
		return firjob.StartReply{}, err
	}
	return firjob.StartReply{Granted: granted, Lease: firjob.Duration(s.options.LeaseTTL)}, nil
}

package scheduler

import "context"

// spreadsAtATime bounds how many broadcasts are being spread: each is a
// transaction of its own, and many may be due at one instant.
const spreadsAtATime = 4

// spread makes a broadcast into one shard for each executor that is there at its
// instant. From then on the store looks after it: each shard is claimed and sent
// like any execution, and the end of the last one ends the broadcast. When the
// store cannot be reached, the lease brings the broadcast back as it was.
func (s *sending) spread(ctx context.Context, f *flight) {
	s.spreads <- struct{}{}
	defer func() { <-s.spreads }()
	if len(s.sendable(ctx, []*flight{f})) == 0 {
		return // it has waited too long for its turn
	}
	targets := s.executors.audience(f)
	if len(targets) == 0 {
		s.giveBack(ctx, []*flight{f}, "")
		return
	}
	followed, err := s.store.Broadcast(ctx, f.ref(), targets)
	s.handed(1)
	if err != nil {
		s.log.WarnContext(ctx, "a broadcast cannot be spread; its lease brings it back", "execution", f.Trigger.ID,
			"executors", len(targets), "error", err)
		return
	}
	s.follow(ctx, followed)
}

// audience returns the addresses that get a shard of a broadcast, in their order:
// of each executor of the app that lives, takes triggers and fits. One whose
// breaker is open is among them: its shard waits for it.
func (x *executors) audience(f *flight) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var addresses []string
	for _, e := range x.apps[f.App] { // by address
		again := len(addresses) > 0 && addresses[len(addresses)-1] == e.Address // as another incarnation
		if e.takes() && e.Fits(f.selector()) && !again {
			addresses = append(addresses, e.Address)
		}
	}
	return addresses
}

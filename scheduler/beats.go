package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// beatTimeout bounds the Redis part of a beat. Without it every executor would look
// dead when Redis hangs.
const beatTimeout = 300 * time.Millisecond

// Beat takes an executor's beat: the executor lives, and it holds the attempts named.
func (s *Scheduler) Beat(ctx context.Context, beat firjob.Beat) (firjob.BeatReply, error) {
	executor := beat.Executor
	executor.LastBeat = s.clock.Now()
	executor.StartedAt = notAfter(executor.StartedAt, executor.LastBeat)
	turned := s.executors.seenNow(ctx, executor)
	s.beatRedis(ctx, executor)
	if turned {
		s.executors.nudge(ctx, executor.App)
	}
	reply := firjob.BeatReply{
		Interval: firjob.Duration(firjob.BeatInterval),
		// The store renews a lease when less than two thirds of it are left, so
		// that is what every attempt named now is sure to have.
		Lease:     firjob.Duration(s.options.LeaseTTL * 2 / 3),
		NameAfter: firjob.Duration(min(s.options.LeaseTTL/8, firjob.MaxNameAfter)),
	}
	if len(beat.Holding) == 0 {
		reply.Now = s.clock.Now()
		return reply, nil
	}
	held := make([]ports.Held, len(beat.Holding))
	waiting := make(map[firjob.AttemptRef]bool, len(beat.Waiting))
	for _, a := range beat.Waiting {
		waiting[a] = true
	}
	for i, a := range beat.Holding {
		held[i] = ports.Held{Executor: executor.Key(), Attempt: a, Waiting: waiting[a]}
	}
	answers, confirmed, err := s.holdOrTrust(ctx, held)
	reply.Unconfirmed = !confirmed
	if err != nil {
		return firjob.BeatReply{}, err
	}
	for i, answer := range answers {
		switch answer {
		case heldCancel:
			reply.Cancel = append(reply.Cancel, beat.Holding[i])
		case heldStale:
			reply.Stale = append(reply.Stale, beat.Holding[i])
		}
	}
	reply.Now = s.clock.Now() // last: the executor halves the time that the request took
	return reply, nil
}

// storeTimeout bounds the Postgres part of a beat. The executor waits hardly longer
// for its answer.
const storeTimeout = time.Second

// storeAway is how long Postgres must have been silent to be taken to be away.
const storeAway = 3 * clockInterval

// holdOrTrust renews the leases of held attempts. While Postgres is away, no server
// can take an attempt from its executor, and no lease is believed to have ended until
// one lease after Postgres is back (sweep.trustFrom). So the answer is as if every
// lease had been renewed, and work goes on. Postgres counts as away when it does not
// even tell the time. While it is only busy, a lease that was not renewed is not
// renewed. If this server alone is cut off from Postgres, its answer is wrong for one
// beat: the next beat goes to another server. confirmed is false then, and exclusive
// attempts are not renewed.
func (s *Scheduler) holdOrTrust(ctx context.Context,
	held []ports.Held) (answers []heldAnswer, confirmed bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	answers, err = s.holds.Do(bounded, held)
	s.troubles.report(ctx, "renew leases; meanwhile executors go on without", err)
	if err != nil && s.clock.Silent() > storeAway {
		return make([]heldAnswer, len(held)), false, nil
	}
	return answers, err == nil, err
}

// holdConfirmed renews the leases of attempts that nobody else reports, such as calls
// that this server makes. It believes nothing that Postgres has not confirmed: a server
// that is cut off would not learn that another has given its calls up.
func (s *Scheduler) holdConfirmed(ctx context.Context, held []ports.Held) ([]heldAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.holds.Do(ctx, held)
}

// notAfter returns a time that an executor reports, at most now. One that is ahead
// by more than a second is unknown, the zero time.
func notAfter(t, now time.Time) time.Time {
	switch {
	case t.After(now.Add(time.Second)):
		return time.Time{}
	case t.After(now):
		return now
	}
	return t
}

func (s *Scheduler) beatRedis(ctx context.Context, executor firjob.Executor) {
	if s.queue.degraded.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if err := s.registry.Beat(ctx, executor); err != nil && ctx.Err() == nil {
		s.queue.failed(ctx, "beat", err)
	}
}

// heldAnswer is what the store says of one attempt that an executor holds.
type heldAnswer uint8

const (
	heldCurrent heldAnswer = iota
	heldCancel             // somebody asked to cancel it
	heldStale              // not current any more
)

// renew renews the leases of a batch of held attempts.
func (s *Scheduler) renew(ctx context.Context, held []ports.Held) ([]heldAnswer, error) {
	result, err := s.store.Hold(ctx, held, s.options.LeaseTTL)
	if err != nil {
		return nil, err
	}
	said := make(map[ports.Held]heldAnswer, len(result.Cancel)+len(result.Stale))
	for _, h := range result.Cancel {
		said[h] = heldCancel
	}
	for _, h := range result.Stale {
		said[h] = heldStale
	}
	answers := make([]heldAnswer, len(held))
	for i, h := range held {
		answers[i] = said[h]
	}
	return answers, nil
}

// Leave takes an executor out of the registry. It has finished what it had, or
// given up on it: what it leaves behind is lost and sent elsewhere.
func (s *Scheduler) Leave(ctx context.Context, key firjob.ExecutorKey) error {
	if !s.queue.degraded.Load() {
		if err := s.registry.Leave(ctx, key); err != nil {
			s.queue.failed(ctx, "leave", err)
		}
	}
	if err := s.store.RemoveExecutor(ctx, key); err != nil {
		return err
	}
	s.executors.remove(context.WithoutCancel(ctx), key, "the executor left")
	s.executors.nudge(ctx, key.App)
	return nil
}

// Executors returns those of the live executors of an app, and of the addresses
// at which there is none but a mark, that the filter selects.
func (s *Scheduler) Executors(_ context.Context, app string,
	filter ports.ExecutorFilter) ([]ports.ExecutorView, error) {
	list := slices.DeleteFunc(s.executors.view(app), func(v ports.ExecutorView) bool { return !filter.Selects(v) })
	for i := range list {
		list[i].SeenBy = s.options.Replica
	}
	return list, nil
}

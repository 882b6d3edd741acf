package scheduler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
)

// How long the claims of a replica that is gone wait for executors that do not say
// what they hold.
const (
	// namingPatience bounds the wait for beats; an executor that has not beaten for
	// so long is in doubt itself.
	namingPatience = firjob.DeadAfter
	// namingTime is for the way of a trigger to its executor, and again for the
	// commit of a beat that names it.
	namingTime = 500 * time.Millisecond
	// settlingTime is from the first look that misses a replica to the question what
	// executors hold. Should it live and be cut off, it has sent by then what it had
	// claimed before (lead); two beats are no shorter.
	settlingTime = 2 * (replicaBeat - replicaBeat/10)
)

// absence is what is known of a replica that is missed.
type absence struct {
	replica string
	early   bool         // missed for its line only, before replicaDeadAfter
	cut     *atomic.Bool // an early one had no session with the store either, when last looked at
	spoken  *atomic.Bool // it had one: it is missed anew
	since   time.Time    // local: when it was first missed
	before  time.Time    // its claims were made before that, by the store's clock
	named   time.Time    // local: when beats were seen to have named what it had sent; zero: not yet
	waited  bool         // for those beats, their commit included, or for as long as is worth while
}

// judged returns those of the replicas that are gone, or whose line has ended, that
// have been missed for a while, so that the claims of each can be given up once it
// is known what it had sent. An executor that is asked says so at once: a trigger
// had half a second for its way, from the last instant at which the replica can have
// known itself to be alive (proofOfLife). Else beats say so, which name what has
// been held for firjob.MaxNameAfter.
func (p *peers) judged(gone, ended []string) (dead []absence) {
	now := p.local() // after the answer: the question says nothing of what it found
	missing := make(map[string]absence, len(gone)+len(ended))
	for i, replica := range append(gone[:len(gone):len(gone)], ended...) {
		early := i >= len(gone)
		a, known := p.missing[replica]
		if !known || a.spoken.Load() || a.early && !early && !a.cut.Load() {
			a = absence{replica: replica, cut: new(atomic.Bool), spoken: new(atomic.Bool), since: now,
				before: p.clock.Now()}
		}
		a.early = early
		if a.named.IsZero() && p.named(a.since.Add(firjob.MaxNameAfter+namingTime)) {
			a.named = now
		}
		a.waited = now.Sub(a.since) > namingPatience || !a.named.IsZero() && now.Sub(a.named) >= namingTime
		if now.Sub(a.since) >= settlingTime {
			dead = append(dead, a)
		}
		missing[replica] = a
	}
	p.missing = missing
	return dead
}

// bury gives up what a replica that is gone had claimed, once it is known what it
// had sent, and forgets it when a look, the next one mostly, finds nothing of it.
func (p *peers) bury(ctx context.Context, a absence) {
	if a.early && !p.cutOff(ctx, a) {
		return
	}
	n, apps, err := p.store.InQuestion(ctx, a.replica, a.before)
	switch {
	case err != nil:
	case n == 0:
		p.log.InfoContext(ctx, "replica gone; nothing of it is left", "gone", a.replica)
		if err := p.registry.ForgetReplica(ctx, a.replica); err != nil {
			p.queue.failed(ctx, "forget replica", err)
		}
		return
	case !a.waited && !p.ask(ctx, apps):
		return
	default:
		p.log.InfoContext(ctx, "replica gone; what executors do not have of it is given up", "gone", a.replica)
		err = p.gone(ctx, a.replica, a.before)
	}
	if err != nil {
		p.log.WarnContext(ctx, "the claims of a replica that is gone cannot be given up; trying again", "gone",
			a.replica, "error", err)
	}
}

// cutOff reports whether a replica is known to have no session with the store.
func (p *peers) cutOff(ctx context.Context, a absence) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	has, err := p.store.HasSession(ctx, a.replica)
	if err != nil {
		p.log.InfoContext(ctx,
			"whether a replica whose line has ended is connected to postgres cannot be told; its silence will tell",
			"replica", a.replica, "error", err)
	}
	a.spoken.Store(has)
	a.cut.Store(err == nil && !has)
	return a.cut.Load()
}

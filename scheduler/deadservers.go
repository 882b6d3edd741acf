package scheduler

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
)

// How long the claims of a dead server wait for executors that do not say what they
// hold.
const (
	// namingPatience bounds the wait for beats; an executor that has not beaten for
	// so long is in doubt itself.
	namingPatience = firjob.DeadAfter
	// namingTime is for the way of a trigger to its executor, and again for the
	// commit of a beat that names it.
	namingTime = 500 * time.Millisecond
	// settlingTime is the time from the first beat that misses a server to the question
	// what executors hold. If that server lives and is cut off, it has sent by then what
	// it had claimed before (lead); two beats are no shorter.
	settlingTime = 2 * (replicaBeat - replicaBeat/10)
)

// missingServer is what is known of a server whose beats are missed.
type missingServer struct {
	replica string
	early   bool         // only its connection to Redis has ended; replicaDeadAfter has not passed
	cut     *atomic.Bool // of an early one: it had no session with the store either, at the last look
	spoken  *atomic.Bool // of an early one: it had a session, so it is missed anew
	since   time.Time    // local: when it was first missed
	before  time.Time    // its claims were made before that, by the store's clock
	named   time.Time    // local: when beats were seen to have named what it had sent; zero: not yet
	waited  bool         // for those beats, their commit included, or for as long as is worth while
}

// confirmedDead returns the servers that have been missed for long enough that their
// claims may be given up: gone are silent, ended have lost their connection to Redis.
// What such a server had sent must be known first. An executor that is asked tells at
// once, for a trigger had half a second to arrive since the last instant at which the
// server can have known itself to be alive (proofOfLife). An executor that is not
// asked tells by beats, which name what it has held for firjob.MaxNameAfter.
func (p *peers) confirmedDead(gone, ended []string) (dead []missingServer) {
	now := p.local() // after the answer: the question says nothing of what it found
	missing := make(map[string]missingServer, len(gone)+len(ended))
	for i, replica := range append(gone[:len(gone):len(gone)], ended...) {
		early := i >= len(gone)
		a, known := p.missing[replica]
		if !known || a.spoken.Load() || a.early && !early && !a.cut.Load() {
			a = missingServer{replica: replica, cut: new(atomic.Bool), spoken: new(atomic.Bool), since: now,
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

// giveUpClaims gives up what a dead server had claimed, once it is known what the
// server had sent. It forgets the server when nothing of it is left, mostly at the
// next beat.
func (p *peers) giveUpClaims(ctx context.Context, a missingServer) {
	if a.early && !p.cutOff(ctx, a) {
		return
	}
	n, apps, err := p.store.InQuestion(ctx, a.replica, a.before)
	switch {
	case err != nil:
	case n == 0:
		p.log.InfoContext(ctx, "server is dead; it left no claims", "gone", a.replica)
		if err := p.registry.ForgetReplica(ctx, a.replica); err != nil {
			p.queue.failed(ctx, "forget replica", err)
		}
		return
	case !a.waited && !p.ask(ctx, apps):
		return
	default:
		p.log.InfoContext(ctx, "server is dead; its claims that no executor holds are given up", "gone", a.replica)
		err = p.gone(ctx, a.replica, a.before)
	}
	if err != nil {
		p.log.WarnContext(ctx, "the claims of a dead server cannot be given up; trying again", "gone",
			a.replica, "error", err)
	}
}

// cutOff reports whether a server is known to have no session with the store.
func (p *peers) cutOff(ctx context.Context, a missingServer) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	has, err := p.store.HasSession(ctx, a.replica)
	if err != nil {
		p.log.InfoContext(ctx,
			"a server has lost its connection to redis, and postgres does not say whether it is connected; its "+
				"silence will tell",
			"replica", a.replica, "error", err)
	}
	a.spoken.Store(has)
	a.cut.Store(err == nil && !has)
	return a.cut.Load()
}

package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/firjob/firjob"
)

// Timing of the replicas' beats.
const (
	replicaBeat      = 500 * time.Millisecond
	replicaDeadAfter = 3 * time.Second
)

// peers is what this replica knows of the others. The shards of the queue are
// shared by rendezvous hashing over those that live: each shard goes to the
// replica with the highest hash of both, so that a replica that comes or goes
// moves only the shards that it gains or loses. Nothing but speed depends on
// two replicas agreeing.
type peers struct {
	registry Registry
	queue    *guardedQueue
	replica  string
	total    int // shards
	gone     func(ctx context.Context, replica string) error
	named    func(since time.Time) bool // whether every executor has beaten since the local instant
	log      *slog.Logger

	local func() time.Time

	missing map[string]absence // replicas that are gone; only the loop uses it

	mu     sync.Mutex
	live   []string
	own    []int
	rest   []int
	beat   time.Time // local: when the latest beat that was answered was sent
	steady time.Time // local: since when no beat has failed
}

// pass beats and learns who else lives. What a replica that is gone had claimed
// and not sent is lost before it is forgotten; so somebody always does it.
func (p *peers) pass(ctx context.Context) {
	if p.queue.degraded.Load() {
		p.noted(time.Time{})
		return
	}
	sent := p.local()
	live, gone, err := p.registry.BeatReplica(ctx, p.replica, replicaDeadAfter)
	if err != nil {
		p.noted(time.Time{})
		p.queue.failed(ctx, "replica beat", err)
		return
	}
	p.share(live)
	if !p.noted(sent) {
		// Redis was away, or this replica paused, a moment ago: that the others
		// have not beaten since says nothing yet.
		p.missing = nil
		return
	}
	for _, replica := range p.judged(gone, sent) {
		p.log.InfoContext(ctx, "replica gone", "gone", replica)
		if err := p.gone(ctx, replica); err != nil {
			p.log.WarnContext(ctx, "the claims of a replica that is gone cannot be given up; trying again", "gone", replica, "error", err)
			continue
		}
		if err := p.registry.ForgetReplica(ctx, replica); err != nil {
			p.queue.failed(ctx, "forget replica", err)
		}
	}
}

// namingPatience bounds how long the claims of a replica that is gone wait for
// beats; an executor that has not beaten for so long is in doubt itself.
const namingPatience = firjob.DeadAfter

// absence is what is known of a replica that is gone.
type absence struct {
	since time.Time // local: when it was first missed
	named bool      // what it had sent was named when it was last missed
}

// judged returns those of the replicas that are gone whose claims can be given up,
// since what they had sent is named by now. A replica is first missed 2.5 s after
// its end or later (replicaDeadAfter less replicaBeat). Every executor has beaten
// since one second before that: those beats named what it had been holding for
// firjob.MaxNameAfter, which leaves half a second for the way of the triggers. That
// the replica is missed once more leaves another half for the beats' own commit.
func (p *peers) judged(gone []string, now time.Time) (list []string) {
	missing := make(map[string]absence, len(gone))
	for _, replica := range gone {
		a, known := p.missing[replica]
		if !known {
			a.since = now
		}
		if a.named || now.Sub(a.since) > namingPatience {
			list = append(list, replica)
		}
		a.named = a.named || p.named(a.since.Add(-firjob.MaxNameAfter))
		missing[replica] = a
	}
	p.missing = missing
	return list
}

// noted takes the instant of a beat, zero for one that failed, and reports
// whether beats have gone well for long enough to judge others by theirs.
func (p *peers) noted(sent time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sent.IsZero() || p.local().Sub(p.beat) > proofOfLife { // from the sending of the one to the answer of the other
		p.steady = p.local()
	}
	if sent.IsZero() {
		return false
	}
	p.beat = sent
	return sent.Sub(p.steady) > replicaDeadAfter+replicaBeat
}

// proofOfLife is how old the latest beat may be for no other replica to take
// this one to be gone yet.
const proofOfLife = replicaDeadAfter - replicaBeat

// provenAlive reports whether no other replica can have taken this one to be
// gone since the local instant: beats have gone well from then to now.
func (p *peers) provenAlive(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local().Sub(p.beat) < proofOfLife && since.After(p.steady)
}

// share divides the shards among the live replicas.
func (p *peers) share(live []string) {
	live = slices.Clone(live)
	if !slices.Contains(live, p.replica) {
		live = append(live, p.replica)
	}
	slices.Sort(live)
	var own, rest []int
	for shard := range p.total {
		if owner(live, shard) == p.replica {
			own = append(own, shard)
		} else {
			rest = append(rest, shard)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.own, p.rest = live, own, rest
}

func owner(live []string, shard int) string {
	var best string
	var high uint64
	for _, replica := range live {
		sum := sha256.Sum256([]byte(replica + "/" + strconv.Itoa(shard)))
		if weight := binary.BigEndian.Uint64(sum[:]); best == "" || weight > high {
			best, high = replica, weight
		}
	}
	return best
}

func (p *peers) shards() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own
}

func (p *peers) others() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rest
}

func (p *peers) replicas() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

func (p *peers) owns(shard int) bool { return slices.Contains(p.shards(), shard) }

func (p *peers) ownsJob(job firjob.JobID) bool { return p.owns(job.Shard(p.total)) }

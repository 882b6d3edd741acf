package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firjob/firjob"
)

// Timing of the replicas' beats.
const (
	replicaBeat      = step
	replicaDeadAfter = 3 * time.Second
	// replicaEndedAfter is the same for a replica whose line to Redis has ended and
	// that has no session with the store any more: a process that is killed takes
	// both along, one that is slow neither, one that is cut off from Redis one.
	replicaEndedAfter = 750 * time.Millisecond
)

// peers is what this replica knows of the others. The shards of the queue are
// shared by rendezvous hashing over those that live: each shard goes to the
// replica with the highest hash of both, so that a replica that comes or goes
// moves only the shards that it gains or loses. Nothing but speed depends on
// two replicas agreeing.
type peers struct {
	registry Registry
	store    Store
	queue    *guardedQueue
	replica  string
	total    int // shards
	clock    *storeClock
	gone     func(ctx context.Context, replica string, before time.Time) error
	ask      func(ctx context.Context, apps []string) bool // asks executors what they hold; whether all have said
	named    func(since time.Time) bool                    // whether every executor has beaten since the local instant
	log      *slog.Logger

	local func() time.Time

	gained     wake               // shards have become this server's
	background *background        // for what must not hold up the beats
	burying    atomic.Bool        // whether that is under way
	missing    map[string]absence // replicas that are gone; only the loop uses it

	mu     sync.Mutex
	live   []string
	own    []int
	rest   []int
	beat   time.Time // local: when the latest beat that was answered was sent
	proven time.Time // local: since when no other replica can have taken this one to be gone
	steady time.Time // local: since when beats have gone well enough to judge others by their silence
	brisk  time.Time // local: the same, by a short silence and the end of their line
}

// pass beats and learns who else lives. What a replica that is gone had claimed
// and not sent is lost before it is forgotten; so somebody always does it.
func (p *peers) pass(ctx context.Context) {
	if p.queue.degraded.Load() {
		p.noted(time.Time{})
		return
	}
	sent := p.local()
	live, gone, ended, err := p.registry.BeatReplica(ctx, p.replica, replicaDeadAfter, replicaEndedAfter)
	if err != nil {
		p.noted(time.Time{})
		p.queue.failed(ctx, "replica beat", err)
		return
	}
	p.share(live)
	steady, brisk := p.noted(sent)
	if !brisk {
		ended = nil
	}
	if !steady {
		// Redis was away, or this replica paused, a moment ago: that the others
		// have not beaten since says nothing yet.
		p.missing = nil
		return
	}
	if dead := p.judged(gone, ended); len(dead) > 0 && p.burying.CompareAndSwap(false, true) {
		p.background.Go(func() {
			defer p.burying.Store(false)
			for _, a := range dead {
				p.bury(ctx, a)
			}
		})
	}
}

// noted takes the instant of a beat, zero for one that failed, and reports whether
// beats have gone well for long enough to judge others by theirs: steady, those
// that have been silent for long; brisk, those whose line has ended, too.
func (p *peers) noted(sent time.Time) (steady, brisk bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.local()
	gap := now.Sub(p.beat) // from the sending of the one to the answer of the other
	if sent.IsZero() || gap > proofOfLife {
		p.proven = now
	}
	// What ails this one may ail the others.
	if sent.IsZero() || gap > replicaEndedAfter {
		p.brisk = now
	}
	if sent.IsZero() || gap > replicaDeadAfter-2*replicaBeat {
		p.steady = now
	}
	if sent.IsZero() {
		return false, false
	}
	p.beat = sent
	const since = replicaDeadAfter + replicaBeat
	return sent.Sub(p.steady) > since, sent.Sub(p.brisk) > since
}

// proofOfLife is how old the latest beat may be for a claim to be sent without
// asking the store. A replica that is cut off from all is missed replicaEndedAfter
// after its beat at the earliest, and executors are asked settlingTime after that
// what they hold. What it sends by then less namingTime has arrived: 0.75 + 0.45 -
// 0.5 = 0.7 s. One that keeps its line, or its session with the store, is missed
// after replicaDeadAfter.
const proofOfLife = replicaEndedAfter + settlingTime - namingTime

// provenAlive reports whether no other replica can have given up what this one
// claimed at the local instant: beats have gone well from then to now.
func (p *peers) provenAlive(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local().Sub(p.beat) < proofOfLife && since.After(p.proven)
}

// share divides the shards among the live replicas.
func (p *peers) share(live []string) {
	live = slices.Clone(live)
	if !slices.Contains(live, p.replica) {
		live = append(live, p.replica)
	}
	slices.Sort(live)
	own, rest := []int{}, []int{}
	for shard := range p.total {
		if owner(live, shard) == p.replica {
			own = append(own, shard)
		} else {
			rest = append(rest, shard)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own != nil && slices.ContainsFunc(own, func(shard int) bool { return !slices.Contains(p.own, shard) }) {
		p.gained.up()
	}
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

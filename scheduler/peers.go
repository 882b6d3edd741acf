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

// Timing of the servers' beats.
const (
	replicaBeat      = step
	replicaDeadAfter = 3 * time.Second
	// replicaEndedAfter is the same for a server whose connection to Redis has ended
	// and that has no session with the store any more. A process that is killed loses
	// both, a slow one neither, one that is cut off from Redis the first only.
	replicaEndedAfter = 750 * time.Millisecond
)

// peers is what this server knows of the others. The shards of the delay queue are
// divided among the live servers by rendezvous hashing: a shard belongs to the server
// for which the hash of both is highest. So a server that comes or goes moves only the
// shards that it gains or loses. If two servers disagree, only speed suffers.
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

	gained     wake                     // shards have become this server's
	background *background              // for what must not hold up the beats
	givingUp   atomic.Bool              // whether that is under way
	missing    map[string]missingServer // servers that are gone; only the loop uses it

	mu     sync.Mutex
	live   []string
	own    []int
	rest   []int
	beat   time.Time // local: when the latest beat was sent that was answered
	proven time.Time // local: since when no other server can have taken this one to be dead
	steady time.Time // local: since when beats have gone well enough to trust the silence of others
	brisk  time.Time // local: the same for a short silence and the end of a connection
}

// pass beats and learns which servers live. The claims of a dead server are given up
// before the server is forgotten, so one of the live servers always does it.
func (p *peers) pass(ctx context.Context) {
	if p.queue.degraded.Load() {
		p.noted(time.Time{})
		return
	}
	sent := p.local()
	live, gone, ended, err := p.registry.BeatReplica(ctx, p.replica, replicaDeadAfter, replicaEndedAfter)
	if err != nil {
		p.noted(time.Time{})
		p.queue.failed(ctx, "server beat", err)
		return
	}
	p.share(live)
	steady, brisk := p.noted(sent)
	if !brisk {
		ended = nil
	}
	if !steady {
		// A moment ago Redis was away, or this server paused. That the others have not
		// beaten since then proves nothing yet.
		p.missing = nil
		return
	}
	if dead := p.confirmedDead(gone, ended); len(dead) > 0 && p.givingUp.CompareAndSwap(false, true) {
		p.background.Go(func() {
			defer p.givingUp.Store(false)
			for _, a := range dead {
				p.giveUpClaims(ctx, a)
			}
		})
	}
}

// noted takes the instant of a beat, zero for one that failed. It reports whether this
// server's beats have gone well for long enough to draw conclusions from others'
// beats: steady, from a long silence; brisk, also from the end of a connection.
func (p *peers) noted(sent time.Time) (steady, brisk bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.local()
	gap := now.Sub(p.beat) // from the sending of the one to the answer of the other
	if sent.IsZero() || gap > proofOfLife {
		p.proven = now
	}
	// What disturbs this server may disturb the others, too.
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

// proofOfLife is how old the latest beat may be when a claim is sent without asking
// the store. A server that is cut off from everything is missed replicaEndedAfter after
// its beat at the earliest. Executors are asked settlingTime after that what they hold.
// What the server has sent namingTime before that has arrived: 0.75 + 0.45 - 0.5 =
// 0.7 s. A server that keeps one of its connections is missed after replicaDeadAfter.
const proofOfLife = replicaEndedAfter + settlingTime - namingTime

// provenAlive reports whether no other server can have given up what this server
// claimed at the local instant: its beats have gone well from then to now.
func (p *peers) provenAlive(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local().Sub(p.beat) < proofOfLife && since.After(p.proven)
}

// share divides the shards among the live servers.
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

package redisq

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// keys names every key. The part in braces is the hash tag: keys that share it
// lie in one slot of a cluster, so that one script may touch them. The prefix
// lets several installations share one Redis; "fj" unless told otherwise.
//
//	key                     type    written by                       lives
//	fj:{s0}:due             zset    announce, return, reap; claim    until claimed
//	fj:{s0}:lease           zset    claim; Ack, announce, return     until acknowledged or reaped
//	fj:beats:{app}          zset    beat, leave                      members: an hour after the last beat
//	fj:executor:{app}:addr  hash    beat, leave                      a minute after the last beat
//	fj:turn:{app}           string  Turns                            for good; of a selector: a day
//	fj:lru:{app}:42         zset    lru                              a day after the last use
//	fj:lfu:{app}:42         zset    lfu                              a day after the first use
//	fj:sticky:{app}:42      string  sticky                           a day after the last use
//	fj:replicas             zset    server; ForgetReplica           members: until forgotten
//	fj:meta                 hash    epoch                            for good
//	fj:wake                 channel Announce, Return, Reap
//	fj:nudge                channel Nudge
//	fj:line:{fj:replicas}:r channel nobody; HoldLine subscribes to it
type keys struct{ prefix string }

// due is a sorted set: execution id by due time. Tag {sN}, N the shard.
func (k keys) due(shard int) string { return k.prefix + ":{s" + strconv.Itoa(shard) + "}:due" }

// lease is a sorted set: execution id by the end of its lease. Tag {sN}.
func (k keys) lease(shard int) string { return k.prefix + ":{s" + strconv.Itoa(shard) + "}:lease" }

// beats is a sorted set: executor address by last beat. Tag {app}.
func (k keys) beats(app string) string { return k.prefix + ":beats:{" + app + "}" }

// executor is a hash: what the executor says of itself, and last_beat. Tag {app}.
func (k keys) executor(app, address string) string {
	return k.prefix + ":executor:{" + app + "}:" + address
}

// turn is a number: how many turns were taken among the executors of an app, or
// among those of them that a selector names. Tag {app}.
func (k keys) turn(ring ports.Ring) string {
	key := k.prefix + ":turn:{" + ring.App + "}"
	if ring.Selector != "" {
		key += ":" + ring.Selector
	}
	return key
}

// lru is a sorted set: address by the last use for the job. Tag {app}.
func (k keys) lru(app string, job firjob.JobID) string { return k.ofJob("lru", app, job) }

// lfu is a sorted set: address by the number of uses for the job. Tag {app}.
func (k keys) lfu(app string, job firjob.JobID) string { return k.ofJob("lfu", app, job) }

// sticky is the address that a job is bound to. Tag {app}.
func (k keys) sticky(app string, job firjob.JobID) string { return k.ofJob("sticky", app, job) }

func (k keys) ofJob(what, app string, job firjob.JobID) string {
	return k.prefix + ":" + what + ":{" + app + "}:" + strconv.FormatUint(uint64(job), 10)
}

// replicas is a sorted set: server by last beat. Alone in its slot.
func (k keys) replicas() string { return k.prefix + ":replicas" }

// meta is a hash: epoch, schema, shards. Alone in its slot.
func (k keys) meta() string { return k.prefix + ":meta" }

// wake is a channel of "shard due": a shard has a new earlier head, due then.
func (k keys) wake() string { return k.prefix + ":wake" }

// nudge is a channel of apps whose executors are to be looked at.
func (k keys) nudge() string { return k.prefix + ":nudge" }

// line is a channel of a server's own. The tag puts it where the servers are.
func (k keys) line(replica string) string {
	return k.prefix + ":line:{" + k.replicas() + "}:" + replica
}

// kind returns the type that a key of ours has.
func (k keys) kind(key string) string {
	switch own := strings.TrimPrefix(key, k.prefix); {
	case key == k.meta(), strings.HasPrefix(own, ":executor:"):
		return "hash"
	case strings.HasPrefix(own, ":turn:"), strings.HasPrefix(own, ":sticky:"):
		return "string"
	}
	return "zset"
}

// A brace in the prefix or in an app's name would move the hash tag.
var (
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)
	appForm    = regexp.MustCompile(`^[a-z0-9._-]+$`)
)

func checkApp(app string) error {
	if !appForm.MatchString(app) {
		return fmt.Errorf("%q is not an app's name: want a-z, 0-9, dot, dash, underscore", app)
	}
	return nil
}

package redisq

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
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
//	fj:replicas             zset    replica; ForgetReplica           members: until forgotten
//	fj:meta                 hash    epoch                            for good
//	fj:wake                 channel Announce, Return, Reap
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

// replicas is a sorted set: replica by last beat. Alone in its slot.
func (k keys) replicas() string { return k.prefix + ":replicas" }

// meta is a hash: epoch, schema, shards. Alone in its slot.
func (k keys) meta() string { return k.prefix + ":meta" }

// wake is a channel of "shard due": a shard has a new earlier head, due then.
func (k keys) wake() string { return k.prefix + ":wake" }

// kind returns the type that a key of ours has.
func (k keys) kind(key string) string {
	if key == k.meta() || strings.HasPrefix(key, k.prefix+":executor:") {
		return "hash"
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

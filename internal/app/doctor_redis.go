package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/storage"
)

// The bounds of Redis.
const (
	fullMemory = 0.8     // of maxmemory
	keysSeen   = 100_000 // that are looked through
)

// redis examines the servers, and reports whether they answer.
func (x *exam) redis(ctx context.Context, client *redisq.Client) (reached bool) {
	x.timed(ctx, "redis", 0, func(ctx context.Context) {
		servers, err := client.Check(ctx)
		if err != nil {
			x.fail("redis", err.Error(),
				"start Redis, or correct FIRJOB_REDIS_URL; until then fires come from Postgres, up to a second late")
			return
		}
		for _, server := range servers {
			x.redisServer(server)
			x.redisMemory(server)
			x.redisDisk(server)
		}
		reached = true
	})
	if reached {
		x.timed(ctx, "redis clock", 0, func(ctx context.Context) { x.clock(ctx, "redis clock", client.Now) })
	}
	return reached
}

func (x *exam) redisServer(s redisq.Server) {
	name := fmt.Sprintf("%s %s at %s", s.Software, s.Version, s.Address)
	major, _ := strconv.Atoi(strings.SplitN(s.Version, ".", 2)[0])
	switch {
	case s.Software == "miniredis":
		x.fail("redis", name+" is a stand-in that keeps nothing and is slow", "start a Redis or Valkey")
	case major < oldestRedis:
		x.fail("redis", name+" is too old", fmt.Sprintf("use Redis %d.0 or newer, or Valkey", oldestRedis))
	case s.Eviction == "":
		x.warn("redis", name+" does not tell its maxmemory-policy", "see that it is noeviction, or allow the user INFO")
	case s.Eviction != "noeviction":
		x.warn("redis", fmt.Sprintf("%s has maxmemory-policy %s: fires whose keys are evicted are late", name,
			s.Eviction),
			"redis-cli CONFIG SET maxmemory-policy noeviction")
	default:
		x.ok("redis", "%s answers, maxmemory-policy noeviction", name)
	}
}

func (x *exam) redisMemory(s redisq.Server) {
	const check = "redis memory"
	switch {
	case s.Eviction == "": // it does not tell, and that was said
	case s.MaxMemory == 0:
		x.ok(check, "%s uses %s, and has no bound", s.Address, megabytes(s.UsedMemory))
	case float64(s.UsedMemory) > fullMemory*float64(s.MaxMemory):
		x.warn(check, fmt.Sprintf(
			"%s uses %s of %s: when it is full it refuses announcements, and fires come from Postgres", s.Address,
			megabytes(s.UsedMemory), megabytes(s.MaxMemory)),
			"raise maxmemory, or see what else uses this Redis (redis-cli --bigkeys)")
	default:
		x.ok(check, "%s uses %s of %s", s.Address, megabytes(s.UsedMemory), megabytes(s.MaxMemory))
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// redisDisk tells what a restart costs. Keeping nothing is as good as any other
// setting, since nothing but punctuality hangs on it.
func (x *exam) redisDisk(s redisq.Server) {
	const check = "redis disk"
	switch {
	case s.Eviction == "":
	case s.SaveFault != "":
		x.warn(check, fmt.Sprintf(
			"%s cannot save to disk (%s), and may refuse writes for that: no fire is lost, but they come from "+
				"Postgres, up to a second late", s.Address, s.SaveFault),
			"make room on its disk, or let it save nothing: redis-cli CONFIG SET save '' and CONFIG SET appendonly no")
	case s.AppendOnly:
		x.ok(check, "%s logs writes to disk, which fir-job does not need", s.Address)
	default:
		x.ok(check, "%s does not log writes to disk: a restart costs lateness until the index is rebuilt, and "+
			"nothing else", s.Address)
	}
}

// keys looks for keys under our prefix that nothing reads.
func (x *exam) keys(ctx context.Context, db *storage.DB, client *redisq.Client, shards int) {
	const check = "redis keys"
	x.timed(ctx, check, 0, func(ctx context.Context) {
		apps, err := db.AppNames(ctx)
		if err != nil {
			x.tried(check, err)
			return
		}
		found, seen, all, err := client.Strays(ctx, shards, apps, keysSeen)
		if err != nil {
			x.warn(check, "not examined: "+err.Error(), "give doctor the URL of a user that may SCAN")
			return
		}
		for _, s := range found {
			x.warn(check, fmt.Sprintf("%d that nothing reads (%s), %s for one", s.Count, s.Why, s.First),
				"redis-cli UNLINK them, if no other installation shares this Redis")
		}
		of := strconv.Itoa(seen)
		if !all {
			of = "the first " + of
		}
		if len(found) == 0 {
			x.ok(check, "each of %s is read by somebody", of)
		}
	})
}

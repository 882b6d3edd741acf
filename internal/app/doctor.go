package app

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/storage"
)

// Finding is what one check found.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Check   string  `json:"check"` // "postgres", "schema", "redis" …
	Found   string  `json:"found"`
	Remedy  string  `json:"remedy,omitempty"`
}

// Verdict is what a finding means.
type Verdict string

// The verdicts.
const (
	Fine     Verdict = "ok"
	Doubtful Verdict = "warn" // it works, less well or less surely than it could
	Broken   Verdict = "fail" // a server does not work like this, or a promise does not hold
)

// The bounds of a healthy installation.
const (
	examPatience = 5 * time.Second        // for one check
	clockBound   = 250 * time.Millisecond // between two clocks: how far ahead fires are claimed
	oldestRedis  = 7                      // major version
)

// Examination says what to examine, and how the servers are set up. A store
// without a URL is not examined.
type Examination struct {
	DatabaseURL, RedisURL string

	MaxConns  int           // of each server to Postgres; 16 by default
	Retention time.Duration // 30 days by default
	Horizon   time.Duration // 60 s by default
	LeaseTTL  time.Duration // 10 s by default

	Local    func() time.Time   // this machine's clock
	Progress func(check string) // told of a check that takes more than two seconds; may be nil
	Pause    time.Duration      // between the two looks at the delay queue; 2 s by default
}

// Examine looks at the stores, and at what they hold, from this machine. Each
// check has 5 s. It writes nothing.
func Examine(ctx context.Context, o Examination) []Finding {
	o.MaxConns = cmp.Or(o.MaxConns, 16)
	o.Retention = cmp.Or(o.Retention, 30*24*time.Hour)
	o.Horizon = cmp.Or(o.Horizon, time.Minute)
	o.LeaseTTL = cmp.Or(o.LeaseTTL, 10*time.Second)
	o.Pause = cmp.Or(o.Pause, 2*time.Second)
	x := &exam{Examination: o}

	db := x.openPostgres(ctx)
	if db != nil {
		defer db.Close()
	}
	sound := db != nil && x.postgres(ctx, db)
	shards := 1 // only a database knows how many
	if sound {
		shards = x.shards(ctx, db)
	}
	queue := x.openRedis(ctx, shards)
	if queue != nil {
		defer func() { _ = queue.Close() }() // nothing was written
	}
	reached := queue != nil && x.redis(ctx, queue)
	if sound {
		x.work(ctx, db)
	}
	if sound && reached {
		x.index(ctx, db, queue)
		x.keys(ctx, db, queue, shards)
	}
	return x.findings
}

// exam collects findings.
type exam struct {
	Examination
	findings []Finding
}

func (x *exam) ok(check, format string, args ...any) {
	x.findings = append(x.findings, Finding{Fine, check, fmt.Sprintf(format, args...), ""})
}

func (x *exam) warn(check, found, remedy string) {
	x.findings = append(x.findings, Finding{Doubtful, check, found, remedy})
}

func (x *exam) fail(check, found, remedy string) {
	x.findings = append(x.findings, Finding{Broken, check, found, remedy})
}

// slowCheck is after how long a check is told of.
const slowCheck = 2 * time.Second

// timed gives a check its time, more by the given, and tells of it if that takes long.
func (x *exam) timed(ctx context.Context, check string, more time.Duration, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, examPatience+more)
	defer cancel()
	if x.Progress != nil {
		told := make(chan struct{})
		timer := time.AfterFunc(slowCheck, func() { x.Progress(check); close(told) })
		defer func() {
			if !timer.Stop() {
				<-told
			}
		}()
	}
	do(ctx)
}

// tried is for a check that could not be made though its store answers.
func (x *exam) tried(check string, err error) {
	x.warn(check, "not examined: "+err.Error(),
		"try again; if it stays, see that the user may read this and that the store is not overloaded")
}

func (x *exam) shards(ctx context.Context, db *storage.DB) int {
	shards := 1
	x.timed(ctx, "shards", 0, func(ctx context.Context) {
		value, err := db.Setting(ctx, "shards")
		if err != nil {
			x.tried("shards", err)
		}
		if n, err := strconv.Atoi(value); err == nil {
			shards = n
		}
	})
	return shards
}

func (x *exam) openPostgres(ctx context.Context) *storage.DB {
	if x.DatabaseURL == "" {
		x.warn("postgres", "not examined", "set FIRJOB_DATABASE_URL as the servers have it")
		return nil
	}
	db, err := storage.Open(ctx, storage.Options{URL: x.DatabaseURL, MaxConns: 4})
	if err != nil {
		x.fail("postgres", err.Error(), "correct FIRJOB_DATABASE_URL")
		return nil
	}
	return db
}

func (x *exam) openRedis(ctx context.Context, shards int) *redisq.Client {
	if x.RedisURL == "" {
		x.warn("redis", "not examined", "set FIRJOB_REDIS_URL as the servers have it")
		return nil
	}
	queue, err := redisq.Open(ctx, redisq.Options{URL: x.RedisURL, Shards: shards})
	if err != nil {
		x.fail("redis", err.Error(), "correct FIRJOB_REDIS_URL; docs/redis-keys.md has its forms")
		return nil
	}
	return queue
}

// clock compares a store's clock with this machine's. The store has read its
// clock within the time that the question took; the middle is off by half of
// that at most.
func (x *exam) clock(ctx context.Context, check string, read func(context.Context) (time.Time, error)) {
	asked := x.Local()
	at, err := read(ctx)
	if err != nil {
		x.fail(check, err.Error(), "try again")
		return
	}
	took := x.Local().Sub(asked)
	offset := at.Sub(asked.Add(took / 2))
	text := fmt.Sprintf("%v from this machine's, to within %v", offset.Round(10*time.Microsecond),
		(took / 2).Round(10*time.Microsecond))
	if offset.Abs() > clockBound+took/2 {
		x.warn(check, text, "let all machines follow the same NTP servers")
		return
	}
	x.ok(check, "%s", text)
}

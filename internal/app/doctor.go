package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	Broken   Verdict = "fail" // a server does not work like this
)

// The bounds of a healthy installation.
const (
	examPatience = 5 * time.Second        // for one store
	clockBound   = 250 * time.Millisecond // between two clocks: how far ahead fires are claimed
	oldestRedis  = 7                      // major version
)

// Examine checks the stores that the options name, from this machine, and the
// clocks of both against local. It writes nothing.
func Examine(ctx context.Context, databaseURL, redisURL string, local func() time.Time) []Finding {
	x := &exam{local: local}
	x.postgres(ctx, databaseURL)
	x.redis(ctx, redisURL)
	return x.findings
}

// exam collects findings.
type exam struct {
	local    func() time.Time
	findings []Finding
}

func (x *exam) ok(check, format string, args ...any) {
	x.findings = append(x.findings, Finding{Fine, check, fmt.Sprintf(format, args...), ""})
}

func (x *exam) warn(check, found, remedy string) {
	x.findings = append(x.findings, Finding{Doubtful, check, found, remedy})
}

func (x *exam) fail(check string, err error, remedy string) {
	x.findings = append(x.findings, Finding{Broken, check, err.Error(), remedy})
}

func (x *exam) postgres(ctx context.Context, url string) {
	if url == "" {
		x.warn("postgres", "not examined", "set FIRJOB_DATABASE_URL as the servers have it")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examPatience)
	defer cancel()
	db, err := storage.Open(ctx, storage.Options{URL: url, MaxConns: 4})
	if err != nil {
		x.fail("postgres", err, "correct FIRJOB_DATABASE_URL")
		return
	}
	defer db.Close()
	if _, err := db.Now(ctx); err != nil {
		x.fail("postgres", err, "start Postgres, or correct FIRJOB_DATABASE_URL")
		return
	}
	if err := db.SchemaReady(ctx); err != nil {
		x.ok("postgres", "answers")
		x.fail("schema", err, "firjob migrate up")
		return
	}
	if err := db.Ready(ctx); err != nil {
		x.fail("postgres", err, "let FIRJOB_DATABASE_URL lead to the primary")
		return
	}
	x.ok("postgres", "answers, and can be written")
	x.ok("schema", "is the one that this program needs")
	x.clock(ctx, "postgres clock", db.Now)
}

func (x *exam) redis(ctx context.Context, url string) {
	if url == "" {
		x.warn("redis", "not examined", "set FIRJOB_REDIS_URL as the servers have it")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, examPatience)
	defer cancel()
	client, err := redisq.Open(ctx, redisq.Options{URL: url, Shards: 1}) // none is looked at
	if err != nil {
		x.fail("redis", err, "correct FIRJOB_REDIS_URL; docs/redis-keys.md has its forms")
		return
	}
	defer func() { _ = client.Close() }() // nothing was written
	servers, err := client.Check(ctx)
	if err != nil {
		x.fail("redis", err, "start Redis, or correct FIRJOB_REDIS_URL; until then fires come from Postgres, up to a second late")
		return
	}
	for _, server := range servers {
		x.redisServer(server)
	}
	x.clock(ctx, "redis clock", client.Now)
}

func (x *exam) redisServer(s redisq.Server) {
	name := fmt.Sprintf("%s %s at %s", s.Software, s.Version, s.Address)
	major, _ := strconv.Atoi(strings.SplitN(s.Version, ".", 2)[0])
	switch {
	case s.Software == "miniredis":
		x.fail("redis", errors.New(name+" is a stand-in that keeps nothing and is slow"), "start a Redis or Valkey")
	case major < oldestRedis:
		x.fail("redis", fmt.Errorf("%s is too old", name), fmt.Sprintf("use Redis %d.0 or newer, or Valkey", oldestRedis))
	case s.Eviction == "":
		x.warn("redis", name+" does not tell its maxmemory-policy", "see that it is noeviction, or allow the user INFO")
	case s.Eviction != "noeviction":
		x.warn("redis", fmt.Sprintf("%s has maxmemory-policy %s: fires whose keys are evicted are late", name, s.Eviction),
			"redis-cli CONFIG SET maxmemory-policy noeviction")
	default:
		x.ok("redis", "%s answers, maxmemory-policy noeviction", name)
	}
}

// clock compares a store's clock with this machine's. The store has read its
// clock within the time that the question took; the middle is off by half of
// that at most.
func (x *exam) clock(ctx context.Context, check string, read func(context.Context) (time.Time, error)) {
	asked := x.local()
	at, err := read(ctx)
	if err != nil {
		x.fail(check, err, "try again")
		return
	}
	took := x.local().Sub(asked)
	offset := at.Sub(asked.Add(took / 2))
	text := fmt.Sprintf("%v from this machine's, to within %v", offset.Round(10*time.Microsecond), (took / 2).Round(10*time.Microsecond))
	if offset.Abs() > clockBound+took/2 {
		x.warn(check, text, "let all machines follow the same NTP servers")
		return
	}
	x.ok(check, "%s", text)
}

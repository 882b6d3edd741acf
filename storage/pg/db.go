// Package pg is what the rooms of storage share: two pools of connections,
// transactions that are tried again where that is right, the errors of Postgres in
// firjob's codes, partitions, and the spelling of ids, times and texts.
//
// Statements on the hot path (plan, claim, finish, hold) name their rows by
// primary key and carry whole batches as arrays. They never look for rows by
// their state: what the planner believes of states is wrong soon after each
// mass change, and a plan chosen on such belief can cost a hundred times more.
package pg

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Options says how to reach Postgres; storage.Options explains the fields.
type Options struct {
	URL      string
	MaxConns int
	Replica  string
	Log      *slog.Logger
}

// DB holds the two pools. It is safe for concurrent use.
type DB struct {
	Hot *Pool // the scheduler's
	API *Pool // everything that a person or a program asked for
	Log *slog.Logger
}

// Open makes the pools. It does not wait for a connection.
func Open(ctx context.Context, o Options) (*DB, error) {
	conns := max(o.MaxConns, 4)
	if o.MaxConns == 0 {
		conns = 16
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	api := max(conns/4, 2)
	settings := HotSettings()
	settings["application_name"] = sessionName(o.Replica)
	least := 0
	if o.Replica != "" {
		least = 1
	}
	hotPool, err := openPool(ctx, o.URL, least, conns-api, settings, hotPatience)
	if err != nil {
		return nil, err
	}
	apiPool, err := openPool(ctx, o.URL, 0, api, APISettings(), apiPatience)
	if err != nil {
		hotPool.Close()
		return nil, err
	}
	return &DB{Hot: hotPool, API: apiPool, Log: log.With("component", "storage")}, nil
}

// Close waits for what is under way and closes every connection.
func (db *DB) Close() {
	db.API.Close()
	db.Hot.Close()
}

// Now returns the store's clock.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := db.Hot.QueryRow(ctx, nowSQL).Scan(&now)
	return now, Classify("read the clock", err)
}

const nowSQL = `SELECT clock_timestamp()`

// HotSettings pin the plans of the hot path. Both sides of each of its joins
// are named by primary keys and hold a batch at most, so a hash join is right
// whatever the statistics say; a nested loop or a scan of the table never is.
func HotSettings() map[string]string {
	return map[string]string{
		"statement_timeout":                   "5s",
		"lock_timeout":                        "2s",
		"idle_in_transaction_session_timeout": "10s",
		"plan_cache_mode":                     "force_generic_plan",
		"enable_seqscan":                      "off",
		"enable_bitmapscan":                   "off",
		"enable_nestloop":                     "off",
		"enable_mergejoin":                    "off",
		"jit":                                 "off",
	}
}

// APISettings plan each statement for its values: a list has filters that are
// mostly absent.
func APISettings() map[string]string {
	return map[string]string{
		"application_name":                    "firjob-api",
		"statement_timeout":                   "15s",
		"lock_timeout":                        "3s",
		"idle_in_transaction_session_timeout": "15s",
		"plan_cache_mode":                     "force_custom_plan",
		"jit":                                 "off",
	}
}

// InTx runs fn in a transaction of the pool, and runs it again where another
// try is right: the server ended one of two transactions that stood in each
// other's way (then after a pause), the random part of an id was taken, or rows were for a day that has
// no partition yet, which is made first. fn must therefore build its results anew
// in each call.
func (db *DB) InTx(ctx context.Context, p *Pool, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	const tries = 4
	for i := 1; ; i++ {
		err := p.InTx(ctx, fn)
		var missing *missingDays
		switch {
		case err == nil:
			return nil
		case i == tries:
			return Classify(verb, err)
		case errors.As(err, &missing):
			if err := db.AddPartitions(ctx, missing.days); err != nil {
				return Classify(verb, err)
			}
		case isCollision(err):
			if !rest(ctx, collisionPause(i)) {
				return Classify(verb, err)
			}
		case !isTaken(err):
			return Classify(verb, err)
		}
	}
}

// collisionPause is how long a transaction that met another waits after its nth
// try: 10 ms, then 20, then 40, or up to half less, so that the two do not meet
// again in step.
func collisionPause(n int) time.Duration {
	most := 5 * time.Millisecond << n
	return most/2 + rand.N(most/2+1)
}

// rest waits for d and reports whether ctx still goes on.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isCollision reports a deadlock, a failure to serialize, or a change of parents
// that met another.
func isCollision(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, ErrFamilyBusy) || errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// isTaken reports that a new execution has the id of another: two triggers of a
// job in one millisecond drew the same nonce.
func isTaken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" &&
		(strings.HasPrefix(pg.TableName, "executions_") || pg.TableName == "later_triggers")
}

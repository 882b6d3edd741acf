// Package storage keeps jobs, executions and apps in Postgres, which decides
// everything: what must happen, who may do it, and what did happen. Each
// statement stands beside the code that reads its rows.
//
// Statements on the hot path (plan, claim, finish, hold) name their rows by
// primary key and carry whole batches as arrays. They never look for rows by
// their state: what the planner believes of states is wrong soon after each
// mass change, and a plan chosen on such belief can cost a hundred times more.
package storage

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/groupcommit"
	"github.com/firjob/firjob/internal/ports"
)

// Options says how to reach Postgres.
type Options struct {
	URL      string // postgres://user:password@host:port/database
	MaxConns int    // in all; 0 = 16; at least 4
	// Replica names the sessions of the scheduler, of which there is always one
	// then, for HasSession. "": they have no name of their own.
	Replica string
	Log     *slog.Logger
}

// DB is a handle on the database. It holds two pools, so that a slow question
// of the console never keeps a claim waiting. It is safe for concurrent use.
type DB struct {
	hot *pool // the scheduler's
	api *pool // everything that a person or a program asked for
	log *slog.Logger

	looks    int // looksPerPage
	apps     jobApps
	creates  *groupcommit.Group[firjob.Job, ports.StoredJob]
	triggers *groupcommit.Group[ports.TriggerRequest, ports.Triggered]
}

// Open makes the pools. It does not wait for a connection: a database that is down now may
// be up when it is first needed.
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
	hot := hotSettings()
	hot["application_name"] = sessionName(o.Replica)
	least := 0
	if o.Replica != "" {
		least = 1
	}
	hotPool, err := openPool(ctx, o.URL, least, conns-api, hot, hotPatience)
	if err != nil {
		return nil, err
	}
	apiPool, err := openPool(ctx, o.URL, 0, api, apiSettings(), apiPatience)
	if err != nil {
		hotPool.Close()
		return nil, err
	}
	db := &DB{hot: hotPool, api: apiPool, looks: looksPerPage, log: log.With("component", "storage")}
	db.creates = groupcommit.New(groupcommit.Sizes{Limit: createBatch, Calls: creators}, db.createEach)
	db.triggers = groupcommit.New(groupcommit.Sizes{Limit: triggerBatch, Calls: triggerers}, db.triggerEach)
	return db, nil
}

// Close waits for what is under way and closes every connection.
func (db *DB) Close() {
	db.creates.Close()
	db.triggers.Close()
	db.api.Close()
	db.hot.Close()
}

// Now returns the store's clock.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := db.hot.QueryRow(ctx, nowSQL).Scan(&now)
	return now, classify("read the clock", err)
}

const nowSQL = `SELECT clock_timestamp()`

// hotSettings pin the plans of the hot path. Both sides of each of its joins
// are named by primary keys and hold a batch at most, so a hash join is right
// whatever the statistics say; a nested loop or a scan of the table never is.
func hotSettings() map[string]string {
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

// apiSettings plan each statement for its values: a list has filters that are
// mostly absent.
func apiSettings() map[string]string {
	return map[string]string{
		"application_name":                    "firjob-api",
		"statement_timeout":                   "15s",
		"lock_timeout":                        "3s",
		"idle_in_transaction_session_timeout": "15s",
		"plan_cache_mode":                     "force_custom_plan",
		"jit":                                 "off",
	}
}

// inTx runs fn in a transaction of the pool, and runs it again where another
// try is right: the server ended one of two transactions that stood in each
// other's way (then after a pause), the random part of an id was taken, or rows were for a day that has
// no partition yet, which is made first. fn must therefore build its results anew
// in each call.
func (db *DB) inTx(ctx context.Context, p *pool, verb string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	const tries = 4
	for i := 1; ; i++ {
		err := p.inTx(ctx, fn)
		var missing *missingDays
		switch {
		case err == nil:
			return nil
		case i == tries:
			return classify(verb, err)
		case errors.As(err, &missing):
			if err := db.addPartitions(ctx, missing.days); err != nil {
				return classify(verb, err)
			}
		case isCollision(err):
			if !rest(ctx, collisionPause(i)) {
				return classify(verb, err)
			}
		case !isTaken(err):
			return classify(verb, err)
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
	return errors.Is(err, errFamilyBusy) || errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001")
}

// isTaken reports that a new execution has the id of another: two triggers of a
// job in one millisecond drew the same nonce.
func isTaken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" &&
		(strings.HasPrefix(pg.TableName, "executions_") || pg.TableName == "later_triggers")
}

// Package storage keeps jobs, executions and apps in Postgres, which decides
// everything: what must happen, who may do it, and what did happen. Each
// statement stands beside the code that reads its rows.
//
// DB joins the rooms, each of which may use those before it:
//
//	pg       connections, transactions, errors, partitions, the spelling of values
//	scan     what a row of a job or an execution says
//	flow     what moves an execution: plan, claim, hold, finish, sweep
//	records  what people ask for: jobs, triggers, apps, calendars, lists, logs
//	inspect  what tells a story of records: explain, trees, statistics, health
package storage

import (
	"context"
	"log/slog"

	"github.com/firjob/firjob/storage/flow"
	"github.com/firjob/firjob/storage/inspect"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/records"
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
	*pg.DB
	*flow.Flow
	*records.Records
	*inspect.Inspector
}

// Open makes the pools. It does not wait for a connection: a database that is down
// now may be up when it is first needed.
func Open(ctx context.Context, o Options) (*DB, error) {
	kernel, err := pg.Open(ctx, pg.Options{URL: o.URL, MaxConns: o.MaxConns, Replica: o.Replica, Log: o.Log})
	if err != nil {
		return nil, err
	}
	return &DB{
		DB:        kernel,
		Flow:      flow.New(kernel),
		Records:   records.New(kernel, 0),
		Inspector: inspect.New(kernel),
	}, nil
}

// Close waits for what is under way and closes every connection.
func (db *DB) Close() {
	db.Records.Close()
	db.DB.Close()
}

// Package labdb does to a database what benchmarks and chaos runs need and no server
// does: it empties one, fills it with jobs and history, drops a day, and reads back
// everything that is recorded.
package labdb

import (
	"context"

	"github.com/firjob/firjob/storage"
)

// DB is a store with the laboratory's methods. It is safe for concurrent use.
type DB struct{ *storage.DB }

// Open opens a database as storage.Open does.
func Open(ctx context.Context, o storage.Options) (*DB, error) {
	db, err := storage.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &DB{db}, nil
}

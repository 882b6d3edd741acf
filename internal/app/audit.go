package app

import (
	"context"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage"
)

// Audit reads what the database of a cluster says of the executions of a span.
func Audit(ctx context.Context, databaseURL string, from, until time.Time) (firjob.Audit, error) {
	db, err := storage.Open(ctx, storage.Options{URL: databaseURL, MaxConns: 4})
	if err != nil {
		return firjob.Audit{}, err
	}
	defer db.Close()
	return db.Audit(ctx, from, until)
}

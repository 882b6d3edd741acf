package records

import (
	"context"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
	"github.com/firjob/firjob/storage/scan"
)

// Execution returns an execution, one that is still to be planned included.
// Its inputs and, of a broadcast, its shards, without params and results, are
// given, too. CodeNotFound if there is none.
func (db *Records) Execution(ctx context.Context, id firjob.ExecutionID) (firjob.Execution, error) {
	e, recorded, err := scan.FindExecution(ctx, db.API, id)
	if err == nil && recorded {
		err = scan.AddDetails(ctx, db.API, &e)
	}
	return e, pg.Classify("read the execution", err)
}

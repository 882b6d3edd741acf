package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// LastEnds returns how the latest execution of each job ended, of those that have
// ended and were scheduled for now or earlier. Superseded ones do not count, and
// neither do shards: their broadcast does. Jobs without one are absent.
func (db *Records) LastEnds(ctx context.Context, jobs []firjob.JobID) (map[firjob.JobID]ports.LastEnd, error) {
	numbers := make([]int64, len(jobs))
	for i, id := range jobs {
		numbers[i] = int64(id)
	}
	ends := make(map[firjob.JobID]ports.LastEnd, len(jobs))
	rows, _ := db.API.Query(ctx, lastEndsSQL, numbers)
	var end ports.LastEnd
	into := []any{(*[16]byte)(&end.ID), &end.State, &end.Reason, &end.FinishedAt}
	_, err := pgx.ForEachRow(rows, into, func() error {
		ends[end.ID.Job()] = end
		return nil
	})
	return ends, pg.Classify("read the last ends of jobs", err)
}

// For each job the index executions_job is read backwards from the first id of the
// next millisecond until the first row that has ended. The bound also keeps the
// partitions of coming days out.
const lastEndsSQL = `SELECT e.* FROM unnest($1::bigint[]) AS of(job)
	CROSS JOIN LATERAL (SELECT id, state::text, coalesce(reason, ''), finished_at FROM executions
		WHERE job_id = of.job AND job_id > 0
		AND id < (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + 1), 12, '0') || repeat('0', 20))::uuid
			AND finished_at IS NOT NULL AND state <> 'superseded'
			AND (get_byte(uuid_send(id), 6) & 15) = 0 AND get_byte(uuid_send(id), 7) = 0
		ORDER BY id DESC LIMIT 1) AS e`

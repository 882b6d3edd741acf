package records

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/storage/pg"
)

// SaveExecutors writes beats, which came just now, to the snapshot of the
// registry. Of two for one address the later in the list stays. Rows are written
// in the order of addresses: servers save the same executors at once.
func (db *Records) SaveExecutors(ctx context.Context, executors []firjob.Executor) error {
	if len(executors) == 0 {
		return nil
	}
	sorted := slices.Clone(executors)
	slices.SortStableFunc(sorted, func(a, b firjob.Executor) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Address, b.Address))
	})
	var batch pgx.Batch
	for _, e := range sorted {
		labels, err := labelsJSON(e.Labels)
		if err != nil {
			return pg.Classify("save executors", err)
		}
		batch.Queue(saveExecutorSQL, e.App, e.Address, e.Incarnation, e.Version, labels, e.Capacity, e.Queue, e.Running,
			string(e.State), e.StartedAt)
	}
	return pg.Classify("save executors", db.Hot.ExecBatch(ctx, &batch))
}

const saveExecutorSQL = `INSERT INTO executors
		(app, address, incarnation, version, labels, capacity, queue, running, state, started_at, last_beat)
	VALUES ($1, $2, $3, $4, $5::text::json, $6, $7, $8, $9, $10, now())
	ON CONFLICT (app, address) DO UPDATE SET incarnation = EXCLUDED.incarnation, version = EXCLUDED.version,
		labels = EXCLUDED.labels, capacity = EXCLUDED.capacity, queue = EXCLUDED.queue, running = EXCLUDED.running,
		state = EXCLUDED.state, started_at = EXCLUDED.started_at, last_beat = EXCLUDED.last_beat`

// labelsJSON returns labels as they are stored, nil for none.
func labelsJSON(labels map[string]string) (*string, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	body, err := json.Marshal(labels)
	text := string(body)
	return &text, err
}

// Executors returns the executors of the snapshot that beat within maxAge,
// with LastBeat by the store's clock.
func (db *Records) Executors(ctx context.Context, maxAge time.Duration) ([]firjob.Executor, error) {
	rows, _ := db.Hot.Query(ctx, executorsSQL, maxAge)
	list, err := pgx.CollectRows(rows, scanExecutor)
	return list, pg.Classify("read executors", err)
}

const executorsSQL = `SELECT app, address, incarnation, version, labels, capacity, queue, running, state, started_at,
	last_beat
	FROM executors WHERE last_beat >= now() - $1::interval ORDER BY app, address`

func scanExecutor(row pgx.CollectableRow) (firjob.Executor, error) {
	var e firjob.Executor
	err := row.Scan(&e.App, &e.Address, &e.Incarnation, &e.Version, &e.Labels, &e.Capacity, &e.Queue, &e.Running,
		&e.State, &e.StartedAt, &e.LastBeat)
	return e, err
}

// RemoveExecutor takes an executor out of the snapshot, unless another
// incarnation has its place.
func (db *Records) RemoveExecutor(ctx context.Context, executor firjob.ExecutorKey) error {
	_, err := db.Hot.Exec(ctx, removeExecutorSQL, executor.App, executor.Address, executor.Incarnation)
	return pg.Classify("remove an executor", err)
}

const removeExecutorSQL = `DELETE FROM executors WHERE app = $1 AND address = $2 AND incarnation = $3`

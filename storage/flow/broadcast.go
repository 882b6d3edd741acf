package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
	"github.com/firjob/firjob/storage/pg"
)

// A broadcast is an execution, the parent, and one shard for each executor that
// was there when it was spread. Shards are executions like any other: claimed,
// sent, lost, retried. The parent runs from then on without a lease, a deadline
// or a server, under a token that nobody was given, so that nothing but the end
// of its last shard ends it. The row of broadcasts counts the open ones; it is
// locked after the shards and before the parent.

// Broadcast spreads the broadcast whose attempt is given over the targets,
// addresses in the order of the shards, and returns what follows. Nothing is done
// if the attempt is not current any more, which is also so after a first call.
// More than firjob.MaxShards targets fail the execution; there must be one.
func (db *Flow) Broadcast(ctx context.Context, attempt firjob.AttemptRef,
	targets []string) (followed ports.Followed, err error) {
	err = db.InTx(ctx, db.Hot, "spread a broadcast", func(ctx context.Context, tx pgx.Tx) error {
		followed = ports.Followed{}
		rows, _ := tx.Query(ctx, lockBroadcastSQL, [16]byte(attempt.ID), attempt.Token)
		parent, err := pgx.CollectExactlyOneRow(rows, scanBroadcast)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		shards, end, err := parent.shards(ctx, tx, targets)
		if err != nil {
			return err
		}
		if end != nil {
			followed, err = endUnspread(ctx, tx, *end)
			return err
		}
		return parent.spread(ctx, tx, shards, &followed)
	})
	return followed, err
}

const lockBroadcastSQL = `SELECT id, cancel, params, inputs, root, origin, coalesce(shard_total, 0) FROM executions
	WHERE id = $1 AND token = $2 AND state = 'running' FOR UPDATE`

// broadcast is an execution, locked, that is to be spread.
type broadcast struct {
	id, root       firjob.ExecutionID
	cancel         bool
	params, inputs []byte
	origin         *[16]byte
	repeated       int // how many shards its origin had, if it repeats those that failed
}

func scanBroadcast(row pgx.CollectableRow) (broadcast, error) {
	var b broadcast
	var root *[16]byte
	err := row.Scan((*[16]byte)(&b.id), &b.cancel, &b.params, &b.inputs, &root, &b.origin, &b.repeated)
	b.root = b.id
	if root != nil {
		b.root = *root
	}
	return b, err
}

// shards returns the parts of b, or how it ends without any.
func (b broadcast) shards(ctx context.Context, tx pgx.Tx, targets []string) ([]ports.Shard, *Ending, error) {
	switch {
	case b.cancel:
		return nil, &Ending{b.id, firjob.StateCancelled, "cancelled on request"}, nil
	case b.repeated > 0:
		list, err := failedShards(ctx, tx, *b.origin)
		if err == nil && len(list) == 0 {
			return nil, &Ending{b.id, firjob.StateFailed, "the shards that it repeats are not recorded any more"}, nil
		}
		return list, nil, err
	case len(targets) > firjob.MaxShards:
		return nil, &Ending{b.id, firjob.StateFailed,
			fmt.Sprintf("%d executors fit; a broadcast has at most %d shards", len(targets), firjob.MaxShards)}, nil
	}
	list := make([]ports.Shard, len(targets))
	for i, address := range targets {
		list[i] = ports.Shard{Index: i, Address: address}
	}
	return list, nil, nil
}

// spread records the shards and makes b wait for them.
func (b broadcast) spread(ctx context.Context, tx pgx.Tx, shards []ports.Shard, followed *ports.Followed) error {
	total := b.repeated
	if total == 0 {
		total = len(shards)
	}
	ids, targets := make([]firjob.ExecutionID, len(shards)), make([]string, len(shards))
	for i, s := range shards {
		ids[i], targets[i] = b.id.Shard(s.Index), pg.Clean(s.Address)
	}
	inputs, err := b.shardInputs(len(shards))
	if err != nil {
		return err
	}
	rows, _ := tx.Query(ctx, insertShardsSQL, pg.UUIDs(ids), targets, int32(b.id.Job()), pg.Text(b.params), inputs,
		[16]byte(b.id), [16]byte(b.root), total)
	if followed.Announce, err = pgx.CollectRows(rows, ScanDue); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertBroadcastSQL, [16]byte(b.id), len(shards)); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, awaitShardsSQL, [16]byte(b.id))
	return err
}

const (
	insertShardsSQL = `INSERT INTO executions (id, job_id, job_version, due_at, params, inputs, parent, root,
		shard_total, target, follow)
		SELECT v.id, $3, 0, now(), $4::text::json, $5::text::json, $6::uuid, $7::uuid, $8, v.target, true
		FROM unnest($1::uuid[], $2::text[]) AS v(id, target)
		RETURNING id, due_at`
	insertBroadcastSQL = `INSERT INTO broadcasts (execution_id, total, open) VALUES ($1, $2, $2)`
	awaitShardsSQL     = `UPDATE executions SET token = greatest(nextval('fence'), token + 1), started_at = now(),
		reason = NULL,
			lease_until = NULL, deadline_at = NULL, claimed_by = NULL, claim_call = NULL, executor = NULL,
			incarnation = NULL
		WHERE id = $1`
)

// maxShardInputs bounds the inputs of all shards of a broadcast together, each
// of which has its own copy.
const maxShardInputs = 16 * firjob.MaxInputs

// shardInputs returns the inputs of each of n shards; nil for none.
func (b broadcast) shardInputs(n int) (*string, error) {
	var ends []firjob.ParentEnd
	if b.inputs == nil {
		return nil, nil
	}
	if err := json.Unmarshal(b.inputs, &ends); err != nil {
		return nil, fmt.Errorf("read the inputs of %s: %w", b.id, err)
	}
	inputs := endsJSON(ends, min(firjob.MaxInputs, maxShardInputs/n))
	return &inputs, nil
}

// endUnspread ends a broadcast without shards.
func endUnspread(ctx context.Context, tx pgx.Tx, e Ending) (ports.Followed, error) {
	var done ended
	err := tx.QueryRow(ctx, endUnspreadSQL, [16]byte(e.ID), string(e.State), e.Reason).Scan((*[16]byte)(&done.id),
		&done.at, &done.state)
	if err != nil {
		return ports.Followed{}, err
	}
	return followEnds(ctx, tx, []finished{{ended: done, follow: true}}, nil)
}

const endUnspreadSQL = `UPDATE executions SET state = $2::text::execution_state, reason = $3, finished_at = now(),
		lease_until = NULL, deadline_at = NULL
	WHERE id = $1 RETURNING id, finished_at, state::text`

// broadcastOf returns the broadcast that a shard is of.
func broadcastOf(shard firjob.ExecutionID) firjob.ExecutionID {
	shard[6], shard[7] = 0x80, 0
	return shard
}

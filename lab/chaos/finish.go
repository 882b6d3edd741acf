package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/lab/checker"
	"github.com/firjob/firjob/lab/labdb"
)

// drainPatience bounds the wait for the executions that are open when the load
// has ended. What is still open then is found stuck.
const drainPatience = 45 * time.Second

// drain waits until every execution is final.
func (s *stage) drain(ctx context.Context, db *labdb.DB) error {
	for deadline := time.Now().Add(s.options.timers().drain); ; {
		open, err := db.CountOpen(ctx)
		if err == nil && open == 0 || time.Now().After(deadline) {
			return err
		}
		if !passed(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// dump reads what the stores hold. before is what was used before the load; nil
// if that is not to be compared.
func (s *stage) dump(ctx context.Context, db *labdb.DB, before map[string]float64) (d checker.Dump, err error) {
	if before != nil {
		if d.After, err = s.settle(ctx, before); err != nil {
			return d, err
		}
		d.Before = before
	}
	if err := s.plantSentries(ctx); err != nil {
		return d, err
	}
	if d.Queued, err = s.queued(ctx); err != nil {
		return d, err
	}
	if d.Leftovers, err = db.Leftovers(ctx); err != nil {
		return d, err
	}
	d.At, d.Effects = time.Now(), s.ledger.Effects()
	err = db.Dump(ctx, func(e firjob.Execution) error {
		d.Executions = append(d.Executions, rowOf(e))
		if e.State == firjob.StatePlanned && !e.Waiting && e.DueAt.Before(d.At.Add(s.options.timers().horizon)) {
			d.Planned = append(d.Planned, e.ID)
		}
		return nil
	})
	return d, err
}

// sentries are executions that are due soon after the dump, so that there is
// something that the delay queue must hold.
const sentries = 20

func (s *stage) plantSentries(ctx context.Context) error {
	at := time.Now().Add(s.options.timers().horizon - time.Second).Truncate(time.Millisecond)
	path := fmt.Sprintf("/api/v1/jobs/%d/trigger", s.load.herdJob)
	for i := range sentries {
		if err := s.load.api.insist(ctx, http.MethodPost, path, fmt.Sprintf("sentry-%d", i), map[string]any{"at": at},
			nil); err != nil {
			return err
		}
	}
	return nil
}

func rowOf(e firjob.Execution) checker.Row {
	r := checker.Row{ID: e.ID, State: e.State, Reason: e.Reason, Attempt: e.Attempt, Token: e.Token,
		Attempts: e.Attempts, Missed: e.Missed}
	if e.FinishedAt != nil {
		r.FinishedAt = *e.FinishedAt
	}
	if e.Parent != nil {
		r.Parent = *e.Parent
	}
	return r
}

// queued reads both sets of every shard, as redis-cli would.
func (s *stage) queued(ctx context.Context) (ids []firjob.ExecutionID, err error) {
	primaries, err := s.stores.primaries(ctx)
	if err != nil {
		return nil, err
	}
	for shard := range shards {
		for _, set := range []string{"due", "lease"} {
			members, err := askOwner(ctx, primaries, "ZRANGE", fmt.Sprintf("fj:{s%d}:%s", shard, set), "0", "-1")
			if err != nil {
				return nil, err
			}
			for _, member := range members {
				id, err := firjob.ParseExecutionID(member)
				if err != nil {
					return nil, fmt.Errorf("the delay queue holds %q: %w", member, err)
				}
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// askOwner asks the servers in turn until one owns the key.
func askOwner(ctx context.Context, servers []*localstack.Redis, command ...string) (reply []string, err error) {
	for _, r := range servers {
		if reply, err = localstack.Ask(ctx, r.Addr(), command...); err == nil ||
			!strings.Contains(err.Error(), "MOVED") {
			return reply, err
		}
	}
	return nil, err
}

// settle waits until what is used is back where it was, or that has taken too
// long, and returns it.
func (s *stage) settle(ctx context.Context, before map[string]float64) (map[string]float64, error) {
	growth := checker.Defaults().Growth
	for deadline := time.Now().Add(s.options.Settle); ; {
		used, err := s.usage(ctx)
		if err != nil || within(before, used, growth) || time.Now().After(deadline) {
			return used, err
		}
		if !passed(ctx, 2*time.Second) {
			return nil, context.Cause(ctx)
		}
	}
}

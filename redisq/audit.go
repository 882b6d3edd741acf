package redisq

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// auditedShards bounds how many shards one look at the index samples.
const auditedShards = 16

// Entries returns a sample of the delay queue: of some shards, drawn anew in
// each call where there are many, the n earliest of what is due and of what is
// leased, and n others in a row. Members that are no execution ids are left out.
// It changes nothing.
func (c *Client) Entries(ctx context.Context, n int) ([]ports.IndexEntry, error) {
	shards := rand.Perm(c.shards)[:min(c.shards, auditedShards)]
	sets := make([]indexSet, 0, 2*len(shards))
	for _, shard := range shards {
		sets = append(sets, indexSet{key: c.keys.due(shard)}, indexSet{key: c.keys.lease(shard), leased: true})
	}
	err := c.look(ctx, func(p redis.Pipeliner) {
		for i := range sets {
			sets[i].size = p.ZCard(ctx, sets[i].key)
		}
	})
	if err != nil {
		return nil, c.failed(err, "sample the queue in redis")
	}
	err = c.look(ctx, func(p redis.Pipeliner) {
		for i := range sets {
			sets[i].sample(ctx, p, int64(n))
		}
	})
	if err != nil {
		return nil, c.failed(err, "sample the queue in redis")
	}
	now, err := c.Now(ctx)
	var entries []ports.IndexEntry
	for _, s := range sets {
		entries = s.append(entries, now)
	}
	return entries, err
}

// look runs a pipeline that reads. Unlike exec it leaves keys alone that hold
// another type than ours.
func (c *Client) look(ctx context.Context, fill func(redis.Pipeliner)) error {
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { fill(p); return nil })
	return err
}

// indexSet is one sorted set of the queue, and what was read of it.
type indexSet struct {
	key    string
	leased bool
	size   *redis.IntCmd
	reads  []*redis.ZSliceCmd
}

func (s *indexSet) sample(ctx context.Context, p redis.Pipeliner, n int64) {
	s.reads = []*redis.ZSliceCmd{p.ZRangeWithScores(ctx, s.key, 0, n-1)}
	if rest := s.size.Val() - n; rest > 0 {
		from := n + rand.Int64N(rest)
		s.reads = append(s.reads, p.ZRangeWithScores(ctx, s.key, from, from+n-1))
	}
}

func (s *indexSet) append(entries []ports.IndexEntry, now time.Time) []ports.IndexEntry {
	for _, read := range s.reads {
		for _, z := range read.Val() {
			text, _ := z.Member.(string)
			if id, err := firjob.ParseExecutionID(text); err == nil {
				entries = append(entries, ports.IndexEntry{ID: id, Leased: s.leased, Past: pastMillis(now, z.Score)})
			}
		}
	}
	return entries
}

// pastMillis returns the time from an instant that Redis wrote as a score to now.
func pastMillis(now time.Time, score float64) time.Duration {
	const century = 100 * 365 * 24 * 3600 * 1000.
	return time.Duration(min(max(float64(now.UnixMilli())-score, -century), century)) * time.Millisecond
}

// Find returns those of the executions that the delay queue holds. It changes nothing.
func (c *Client) Find(ctx context.Context, ids []firjob.ExecutionID) ([]ports.IndexEntry, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	byShard := make(map[int][]firjob.ExecutionID)
	for _, id := range ids {
		shard := id.Job().Shard(c.shards)
		byShard[shard] = append(byShard[shard], id)
	}
	var looks []lookup
	for shard, own := range byShard {
		for chunk := range slices.Chunk(own, batchCap) {
			looks = append(looks, lookup{key: c.keys.due(shard), ids: chunk},
				lookup{key: c.keys.lease(shard), ids: chunk, leased: true})
		}
	}
	err := c.look(ctx, func(p redis.Pipeliner) {
		for i := range looks {
			looks[i].scores = p.Do(ctx, looks[i].command()...)
		}
	})
	if err != nil {
		return nil, c.failed(err, "find %d executions in redis", len(ids))
	}
	now, err := c.Now(ctx)
	var entries []ports.IndexEntry
	for _, l := range looks {
		entries = l.append(entries, now)
	}
	return entries, err
}

// lookup asks one sorted set for the scores of executions.
type lookup struct {
	key    string
	leased bool
	ids    []firjob.ExecutionID
	scores *redis.Cmd
}

// command is written out, for the driver's own reads an absent score as 0.
func (l lookup) command() []any {
	command := []any{"ZMSCORE", l.key}
	for _, id := range l.ids {
		command = append(command, id.String())
	}
	return command
}

func (l lookup) append(entries []ports.IndexEntry, now time.Time) []ports.IndexEntry {
	scores, _ := l.scores.Val().([]any)
	for i, s := range scores[:min(len(scores), len(l.ids))] {
		if score, ok := asScore(s); ok {
			entries = append(entries, ports.IndexEntry{ID: l.ids[i], Leased: l.leased, Past: pastMillis(now, score)})
		}
	}
	return entries
}

// asScore reads a score as either protocol gives it.
func asScore(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case string:
		score, err := strconv.ParseFloat(v, 64)
		return score, err == nil
	}
	return 0, false
}

// Removed returns how many members that do not belong in its keys this client
// has taken out since it was opened.
func (c *Client) Removed() int64 { return c.removed.Load() }

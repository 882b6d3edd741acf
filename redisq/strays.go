package redisq

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stray is a group of keys under our prefix that nothing reads.
type Stray struct {
	Why   string // "no such shard", "no such app", "no key of ours"
	Count int
	First string // one of them, as an example
}

// scanPage is how many keys one SCAN looks at, some 0.1 ms of Redis's time.
const scanPage = 500

// Strays looks through the keys, of a cluster those of every master, until limit
// of ours were seen, for those that no server with these shards and apps reads. It
// returns them by the reason, how many keys it has seen, and whether those were
// all. It changes nothing. The user must be allowed to SCAN.
func (c *Client) Strays(ctx context.Context, shards int, apps []string,
	limit int) (found []Stray, seen int, all bool, err error) {
	s := &straySearch{keys: c.keys, shards: shards, apps: apps, found: make(map[string]*Stray)}
	if cluster, ok := c.rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx,
			func(ctx context.Context, node *redis.Client) error { return s.scan(ctx, node, limit) })
	} else {
		err = s.scan(ctx, c.rdb, limit)
	}
	for _, stray := range s.found {
		found = append(found, *stray)
	}
	slices.SortFunc(found, func(a, b Stray) int { return strings.Compare(a.Why, b.Why) })
	return found, s.seen, s.seen < limit, c.failed(err, "look through the keys of redis")
}

// straySearch collects; several masters are scanned at once.
type straySearch struct {
	keys   keys
	shards int
	apps   []string

	mu    sync.Mutex
	found map[string]*Stray
	seen  int
}

func (s *straySearch) scan(ctx context.Context, node redis.Cmdable, limit int) error {
	var cursor uint64
	for {
		page, next, err := node.Scan(ctx, cursor, s.keys.prefix+":*", scanPage).Result()
		if err != nil {
			return err
		}
		if more := s.decide(page, limit); !more || next == 0 {
			return nil
		}
		cursor = next
	}
}

func (s *straySearch) decide(page []string, limit int) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range page {
		s.seen++
		why := s.keys.stray(key, s.shards, s.apps)
		if why == "" {
			continue
		}
		if s.found[why] == nil {
			s.found[why] = &Stray{Why: why, First: clip(key)}
		}
		s.found[why].Count++
	}
	return s.seen < limit
}

// stray says why nothing reads a key with our prefix; "" if it is one of those
// that [keys] names.
func (k keys) stray(key string, shards int, apps []string) string {
	if key == k.replicas() || key == k.meta() {
		return ""
	}
	before, rest, _ := strings.Cut(strings.TrimPrefix(key, k.prefix+":"), "{")
	tag, after, ok := strings.Cut(rest, "}")
	switch what := strings.TrimSuffix(before, ":"); {
	case ok && before == "" && (after == ":due" || after == ":lease"):
		shard, err := strconv.Atoi(strings.TrimPrefix(tag, "s"))
		if err != nil || shard < 0 || key != k.due(shard) && key != k.lease(shard) {
			break
		}
		if shard >= shards {
			return "no such shard"
		}
		return ""
	case ok && slices.Contains([]string{"beats", "executor", "turn", "lru", "lfu", "sticky"}, what):
		if !slices.Contains(apps, tag) {
			return "no such app"
		}
		return ""
	}
	return "no key of ours"
}

// Replicas returns how many servers have beaten within maxAge. It changes nothing.
func (c *Client) Replicas(ctx context.Context, maxAge time.Duration) (int, error) {
	now, err := c.Now(ctx)
	if err != nil {
		return 0, err
	}
	since := strconv.FormatInt(now.Add(-maxAge).UnixMilli(), 10)
	live, err := c.rdb.ZRangeByScore(ctx, c.keys.replicas(), &redis.ZRangeBy{Min: since, Max: "+inf"}).Result()
	return len(live), c.failed(err, "count the servers in redis")
}

package redisq

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// standIn is what miniredis calls itself.
const standIn = "miniredis"

// Server is what one server says of itself. Fields that it does not tell, or
// not to this user, are empty.
type Server struct {
	Address  string // host:port, or the sentinels that were asked for it
	Software string // "redis", "valkey", "miniredis"
	Version  string
	Mode     string // "standalone", "cluster"
	Eviction string // maxmemory-policy; any but "noeviction" may cost punctuality

	UsedMemory, MaxMemory int64  // bytes; MaxMemory 0 = no bound
	AppendOnly            bool   // it logs each write to disk
	SaveFault             string // which of its ways of saving to disk failed last; "" for none
}

// Check asks every server, of a cluster every master, for what it is. It is an
// error if one cannot be reached.
func (c *Client) Check(ctx context.Context) ([]Server, error) {
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		s, err := describe(ctx, c.rdb)
		s.Address = c.address
		return []Server{s}, c.failed(err, "check redis")
	}
	var mu sync.Mutex
	var servers []Server
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		s, err := describe(ctx, node)
		s.Address = node.Options().Addr
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, s)
		return err
	})
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.Address, b.Address) })
	return servers, c.failed(err, "check redis")
}

// Now returns Redis's clock; of a cluster, that of one of its nodes.
func (c *Client) Now(ctx context.Context) (time.Time, error) {
	now, err := c.rdb.Time(ctx).Result()
	return now, c.failed(err, "read the clock of redis")
}

// IsStandIn reports whether a server says that it is miniredis, which keeps
// nothing, evicts nothing and is slow: for trials, never for a server. It is
// false while Redis cannot be asked.
func (c *Client) IsStandIn(ctx context.Context) bool {
	servers, _ := c.Check(ctx)
	return slices.ContainsFunc(servers, func(s Server) bool { return s.Software == standIn })
}

func describe(ctx context.Context, node redis.Cmdable) (Server, error) {
	var s Server
	// HELLO names the software; INFO would not do, for miniredis and users with
	// few rights are refused it; then Eviction stays empty. 3 is the protocol that is spoken anyway.
	p := node.Pipeline()
	hello := p.Do(ctx, "HELLO", "3")
	memory, persistence := p.Info(ctx, "memory"), p.Info(ctx, "persistence")
	_, err := p.Exec(ctx)
	about, ok := hello.Val().(map[any]any)
	if !ok {
		return s, cmp.Or(hello.Err(), err)
	}
	s.Software, _ = about["server"].(string)
	s.Version, _ = about["version"].(string)
	s.Mode, _ = about["mode"].(string)
	facts := infoFacts(memory.Val())
	s.Eviction = facts["maxmemory_policy"]
	s.UsedMemory, _ = strconv.ParseInt(facts["used_memory"], 10, 64)
	s.MaxMemory, _ = strconv.ParseInt(facts["maxmemory"], 10, 64)
	facts = infoFacts(persistence.Val())
	s.AppendOnly = facts["aof_enabled"] == "1"
	for _, way := range []string{"rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"} {
		if status, told := facts[way]; told && status != "ok" {
			s.SaveFault = way + " is " + status
		}
	}
	return s, nil
}

// infoFacts reads a section of INFO.
func infoFacts(section string) map[string]string {
	facts := make(map[string]string)
	for line := range strings.Lines(section) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

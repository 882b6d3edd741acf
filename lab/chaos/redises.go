package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firjob/firjob/internal/localstack"
)

func redisClasses() []class {
	redis, single := just("redis"), []Topology{Single}
	return []class{
		{"redis-flushall", redis, instant, tellRedis("FLUSHALL"), nil},
		{"redis-lose-queue", redis, instant, loseQueue, nil},
		{"redis-script-flush", redis, instant, tellRedis("SCRIPT", "FLUSH"), nil},
		{"redis-restart-empty", redis, spell, restartRedis, []Topology{Single, Cluster}},
		{"redis-pause", redis, aroundLease, pauseRedis, nil},
		{"redis-out-of-memory", redis, spell, starveRedis, nil},
		{"redis-cut", toStore("redis"), spell, fault(Fault{Cut: true}), single},
		{"redis-mute", toStore("redis"), spell, fault(Fault{Swallow: FromTarget}), single},
		{"redis-deaf", toStore("redis"), spell, fault(Fault{Swallow: ToTarget}), single},
		{"redis-half-open", toStore("redis"), spell, fault(Fault{HalfOpen: true}), single},
		{"redis-lossy", toStore("redis"), spell, fault(Fault{Loss: 0.02}), single},
		{"redis-slow", toStore("redis"), spell, fault(Fault{Delay: 150 * time.Millisecond}), single},
		{"redis-failover", redis, spell, failOver, []Topology{Sentinel}},
		{"redis-move-slot", redis, instant, moveSlot, []Topology{Cluster}},
	}
}

// tellRedis sends a command to every primary.
func tellRedis(command ...string) injection {
	return func(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
		primaries, err := s.stores.primaries(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range primaries {
			_, asked := localstack.Ask(ctx, r.Addr(), command...)
			err = errors.Join(err, asked)
		}
		return nil, err
	}
}

// loseQueue removes what waits in the delay queue and nothing else, as Redis does
// where it is allowed to evict, or a hand that slipped.
func loseQueue(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	primaries, err := s.stores.primaries(ctx)
	if err != nil {
		return nil, err
	}
	for shard := range shards {
		_, asked := askOwner(ctx, primaries, "DEL", fmt.Sprintf("fj:{s%d}:due", shard))
		err = errors.Join(err, asked)
	}
	return nil, err
}

// onePrimary returns the primary that the step's draw names.
func (s *stage) onePrimary(ctx context.Context, f Step) (*localstack.Redis, error) {
	primaries, err := s.stores.primaries(ctx)
	if err != nil {
		return nil, err
	}
	return primaries[f.Draw%uint64(len(primaries))], nil
}

func restartRedis(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	r, err := s.onePrimary(ctx, f)
	if err != nil {
		return nil, err
	}
	return r.Restart, r.Kill()
}

func pauseRedis(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	r, err := s.onePrimary(ctx, f)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return r.Resume() }, r.Pause()
}

// starveRedis leaves a primary so little memory that it refuses every write.
func starveRedis(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	r, err := s.onePrimary(ctx, f)
	if err != nil {
		return nil, err
	}
	limit := func(ctx context.Context, bytes string) error {
		_, err := localstack.Ask(ctx, r.Addr(), "CONFIG", "SET", "maxmemory", bytes)
		return err
	}
	return func(ctx context.Context) error { return limit(ctx, "0") }, limit(ctx, "100kb")
}

// failOver kills the primary; when it is back it follows the one that was
// promoted meanwhile.
func failOver(ctx context.Context, s *stage, _ Step) (func(context.Context) error, error) {
	r, err := s.stores.sentinel.Current(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := r.Restart(ctx); err != nil {
			return err
		}
		return s.until(ctx, "the old primary follows the new one", func() (bool, error) {
			now, err := s.stores.sentinel.Current(ctx)
			return err == nil && now != r && follows(ctx, r), err
		})
	}, r.Kill()
}

func follows(ctx context.Context, r *localstack.Redis) bool {
	role, err := localstack.Ask(ctx, r.Addr(), "ROLE")
	return err == nil && len(role) > 0 && role[0] == "slave"
}

// moveSlot moves the slot of a shard to another node, with a while in which
// clients are sent from the one to the other.
func moveSlot(ctx context.Context, s *stage, f Step) (func(context.Context) error, error) {
	key := fmt.Sprintf("fj:{s%d}:due", f.Draw%shards)
	return nil, s.stores.redisCluster.MoveSlot(ctx, key, func() { passed(ctx, 2*time.Second) })
}

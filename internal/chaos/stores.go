package chaos

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/firjob/firjob/internal/localstack"
)

// stores are the private Postgres and Redis of a run.
type stores struct {
	postgres     *localstack.Postgres
	redis        *localstack.Redis        // of Single
	sentinel     *localstack.Sentinel     // of Sentinel
	redisCluster *localstack.RedisCluster // of Cluster
	disk         *disk                    // of Postgres; nil where none can be mounted

	databaseURL, redisURL string
	stops                 []func(context.Context) error
}

// openStores starts them. On an error nothing stays up.
func openStores(ctx context.Context, topology Topology, log *slog.Logger) (_ *stores, err error) {
	s := &stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.openPostgres(ctx, log); err != nil {
		return nil, err
	}
	return s, s.openRedis(ctx, topology, log)
}

// openPostgres starts Postgres with all that makes a commit durable, on a disk of
// its own if there can be one, else where nothing is kept.
func (s *stores) openPostgres(ctx context.Context, log *slog.Logger) (err error) {
	o := localstack.PostgresOptions{Ephemeral: true, Log: log, Settings: map[string]string{
		"max_wal_size": "256MB", "min_wal_size": "64MB", "shared_buffers": "128MB", "checkpoint_timeout": "2min",
	}}
	if s.disk, err = mountDisk(); err == nil {
		s.stops = append(s.stops, func(context.Context) error { return s.disk.unmount() })
		o.Ephemeral, o.Dir = false, filepath.Join(s.disk.path, "postgres")
	}
	if s.postgres, err = localstack.StartPostgres(ctx, o); err != nil {
		return err
	}
	s.stops = append(s.stops, s.postgres.Stop)
	s.databaseURL = s.postgres.URL("postgres")
	return nil
}

func (s *stores) openRedis(ctx context.Context, topology Topology, log *slog.Logger) (err error) {
	switch topology {
	case Sentinel:
		if s.sentinel, err = localstack.StartSentinel(ctx, log); err != nil {
			return err
		}
		s.redisURL, s.stops = s.sentinel.URL(), append(s.stops, s.sentinel.Stop)
	case Cluster:
		if s.redisCluster, err = localstack.StartRedisCluster(ctx, log); err != nil {
			return err
		}
		s.redisURL, s.stops = s.redisCluster.URL(), append(s.stops, s.redisCluster.Stop)
	default:
		if s.redis, err = localstack.StartRedis(ctx, localstack.RedisOptions{Ephemeral: true, Log: log}); err != nil {
			return err
		}
		s.redisURL, s.stops = s.redis.URL(), append(s.stops, s.redis.Stop)
	}
	return nil
}

// primaries are the Redis servers that hold keys of their own.
func (s *stores) primaries(ctx context.Context) ([]*localstack.Redis, error) {
	switch {
	case s.sentinel != nil:
		r, err := s.sentinel.Current(ctx)
		return []*localstack.Redis{r}, err
	case s.redisCluster != nil:
		return s.redisCluster.Nodes, nil
	}
	return []*localstack.Redis{s.redis}, nil
}

func (s *stores) stop(ctx context.Context) error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i](ctx))
	}
	return errors.Join(errs...)
}

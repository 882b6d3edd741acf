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
	postgres     *localstack.Postgres     // the primary
	standby      *localstack.Postgres     // nil where there can be none
	redis        *localstack.Redis        // of Single
	sentinel     *localstack.Sentinel     // of Sentinel
	redisCluster *localstack.RedisCluster // of Cluster
	disk         *disk                    // of the primary; nil where none can be mounted
	standbyDisk  *disk
	disks        []*disk  // both, in no order
	address      *address // where the primary is reached, whichever it is

	databaseURL, redisURL string
	log                   *slog.Logger
	stops                 []func(context.Context) error
}

// openStores starts them, with a standby of Postgres if there is to be one. On an
// error nothing stays up.
func openStores(ctx context.Context, topology Topology, standby bool, log *slog.Logger) (_ *stores, err error) {
	s := &stores{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.openPostgres(ctx, standby); err != nil {
		return nil, err
	}
	return s, s.openRedis(ctx, topology, log)
}

// openPostgres starts Postgres, its standby, and the address of the two.
func (s *stores) openPostgres(ctx context.Context, standby bool) (err error) {
	s.disk, s.standbyDisk = s.newDisk(), s.newDisk()
	if s.postgres, err = localstack.StartPostgres(ctx, s.postgresOptions(s.disk, nil)); err != nil {
		return err
	}
	s.stops = append(s.stops, s.stopPostgres)
	if s.address, err = newAddress(s.postgres); err != nil {
		return err
	}
	s.stops = append(s.stops, func(context.Context) error { return s.address.remove() })
	s.databaseURL = s.address.url()
	if standby && s.postgres.Binaries().CanFollow() {
		return s.follow(ctx)
	}
	return nil
}

// newDisk mounts a disk, if that can be done here.
func (s *stores) newDisk() *disk {
	d, err := mountDisk()
	if err != nil {
		s.log.Info("no disk of its own for postgres", "error", err)
		return nil
	}
	s.stops, s.disks = append(s.stops, func(context.Context) error { return d.unmount() }), append(s.disks, d)
	return d
}

// postgresOptions are those of a server with all that makes a commit durable on a
// disk of its own, or else of one that keeps nothing.
func (s *stores) postgresOptions(d *disk, follow *localstack.Postgres) localstack.PostgresOptions {
	o := localstack.PostgresOptions{Ephemeral: true, Follow: follow, Log: s.log, Settings: map[string]string{
		"max_wal_size": "256MB", "min_wal_size": "64MB", "shared_buffers": "128MB", "checkpoint_timeout": "2min",
		"wal_keep_size": "64MB", "wal_retrieve_retry_interval": "100ms",
	}}
	if d != nil {
		o.Ephemeral, o.Dir = false, filepath.Join(d.path, "postgres")
	}
	return o
}

// stopPostgres stops the standby first: without it, nothing waits for the primary.
func (s *stores) stopPostgres(ctx context.Context) (err error) {
	if s.standby != nil {
		err = s.standby.Stop(ctx)
	}
	return errors.Join(err, s.postgres.Stop(ctx))
}

// lacking are the classes of faults that cannot be done with these stores, with
// the reasons.
func (s *stores) lacking() map[string]string {
	lacks := map[string]string{}
	if s.disk == nil {
		lacks["postgres-disk-full"] = "no file system can be mounted here"
	}
	if s.standby == nil {
		for _, name := range []string{"postgres-promote", "postgres-standby-pause"} {
			lacks[name] = "these binaries of Postgres make no standby: they lack pg_basebackup"
		}
	}
	return lacks
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

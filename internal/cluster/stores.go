package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/firjob/firjob/internal/localstack"
)

// Stores says which Postgres and Redis to use, or how to start private ones.
type Stores struct {
	DatabaseURL string            // "": a private Postgres
	RedisURL    string            // "": a private Redis, or miniredis where there is none
	Dir         string            // data of the private ones; "": ephemeral
	Fetch       bool              // Postgres may be fetched if there is none here
	Settings    map[string]string // of a private Postgres
	Progress    io.Writer
	Log         *slog.Logger
}

// opened is what Stores became.
type opened struct {
	databaseURL, redisURL string
	postgres              *localstack.Postgres // nil if it is not ours
	redis                 *localstack.Redis    // nil if it is not ours
	standIn               bool                 // miniredis
	notes                 []string             // what was chosen and why, for people
	stops                 []func(context.Context) error
}

// open starts what is to be private. On an error nothing stays up.
func (s Stores) open(ctx context.Context) (_ *opened, err error) {
	o := &opened{databaseURL: s.DatabaseURL, redisURL: s.RedisURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.openPostgres(ctx, o); err != nil {
		return nil, err
	}
	return o, s.openRedis(ctx, o)
}

func (o *opened) stop(ctx context.Context) error {
	var errs []error
	for i := len(o.stops) - 1; i >= 0; i-- {
		errs = append(errs, o.stops[i](ctx))
	}
	o.stops = nil
	return errors.Join(errs...)
}

func (o *opened) note(format string, args ...any) {
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

func (s Stores) openPostgres(ctx context.Context, o *opened) error {
	if s.DatabaseURL != "" {
		o.note("postgres  the one of FIRJOB_DATABASE_URL")
		return nil
	}
	binaries, err := localstack.FindPostgres(ctx)
	if err != nil && s.Fetch {
		binaries, err = localstack.FetchPostgres(ctx, s.Progress)
	}
	if err != nil {
		return err
	}
	options := localstack.PostgresOptions{Binaries: binaries, Ephemeral: s.Dir == "", Settings: s.Settings, Log: s.Log}
	if s.Dir != "" {
		options.Dir = filepath.Join(s.Dir, "postgres")
	}
	if o.postgres, err = localstack.StartPostgres(ctx, options); err != nil {
		return err
	}
	o.stops = append(o.stops, o.postgres.Stop)
	o.databaseURL = o.postgres.URL("postgres")
	o.note("postgres  pid %d, %s of %s, on a Unix socket; %s",
		o.postgres.PID(), binaries.Version, binaries.Dir, kept(s.Dir))
	return nil
}

func (s Stores) openRedis(ctx context.Context, o *opened) error {
	if s.RedisURL != "" {
		o.note("redis     the one of FIRJOB_REDIS_URL")
		return nil
	}
	binary, err := localstack.FindRedis()
	if err != nil {
		return s.openStandIn(ctx, o)
	}
	options := localstack.RedisOptions{Binary: binary, Ephemeral: s.Dir == "", Log: s.Log}
	if s.Dir != "" {
		options.Dir = filepath.Join(s.Dir, "redis")
	}
	if o.redis, err = localstack.StartRedis(ctx, options); err != nil {
		return err
	}
	o.stops = append(o.stops, o.redis.Stop)
	o.redisURL = o.redis.URL()
	o.note("redis     pid %d at %s, %s", o.redis.PID(), o.redis.Addr(), binary)
	return nil
}

func (s Stores) openStandIn(ctx context.Context, o *opened) error {
	mini, err := localstack.StartMiniredis(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	o.stops = append(o.stops, mini.Stop)
	o.redisURL, o.standIn = mini.URL(), true
	o.note("redis     a stand-in inside this program at %s, because the PATH has no valkey-server and no redis-server",
		mini.Addr())
	return nil
}

func kept(dir string) string {
	if dir == "" {
		return "nothing is kept"
	}
	return "data in " + dir
}

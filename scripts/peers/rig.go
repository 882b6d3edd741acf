package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/firjob/firjob/internal/localstack"
	"github.com/firjob/firjob/scripts/peers/judge"
)

// rig is what a system stands on: private stores, durable as they come (fsync and
// synchronous commit in Postgres, the append-only file in Redis), and a folder.
type rig struct {
	dir      string
	firjob   string    // the program
	out      io.Writer // what processes say
	postgres *localstack.Postgres
	redis    *localstack.Redis
}

// newRig starts the stores that a contender needs. On an error nothing stays up.
func newRig(ctx context.Context, c contender, firjob, appendfsync string, out io.Writer) (_ *rig, err error) {
	r := &rig{firjob: firjob, out: out}
	if r.dir, err = os.MkdirTemp("", "firjob-peers-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.Chmod(r.dir, 0o755); err != nil { // Postgres drops to another user
		return nil, err
	}
	if c.Postgres {
		r.postgres, err = localstack.StartPostgres(ctx,
			localstack.PostgresOptions{Dir: filepath.Join(r.dir, "postgres")})
		if err != nil {
			return nil, err
		}
	}
	if c.Redis {
		r.redis, err = localstack.StartRedis(ctx, localstack.RedisOptions{
			Dir: filepath.Join(r.dir, "redis"), Args: []string{"--appendfsync", appendfsync}})
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) close(ctx context.Context) error {
	var errs []error
	if r.postgres != nil {
		errs = append(errs, r.postgres.Stop(ctx))
	}
	if r.redis != nil {
		errs = append(errs, r.redis.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

func (r *rig) databaseURL() string {
	if r.postgres == nil {
		return ""
	}
	return r.postgres.URL("postgres")
}

func (r *rig) redisURL() string {
	if r.redis == nil {
		return ""
	}
	return r.redis.URL()
}

func (r *rig) linesFile() string { return filepath.Join(r.dir, "lines") }

func (r *rig) lines() ([]judge.Line, error) { return judge.Read(r.linesFile()) }

// processes are n processes of one command, with names that begin with kind.
func (r *rig) processes(kind, command string, n int, part role) ([]*proc, error) {
	var list []*proc
	for i := range n {
		part.Name = fmt.Sprintf("%s-%d", kind, i+1)
		part.Database, part.Redis = r.databaseURL(), r.redisURL()
		env, err := part.save(r.dir)
		if err != nil {
			return nil, err
		}
		p := &proc{name: part.Name, args: []string{command}, env: []string{env, linesEnv + "=" + r.linesFile()},
			out: r.out}
		if err := p.Start(); err != nil {
			return list, err
		}
		list = append(list, p)
	}
	return list, nil
}

// await polls until ok says so, an error comes, or patience is over; then the
// last is what was waited for.
func await(ctx context.Context, patience time.Duration, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: not within %v", what, patience))
	defer cancel()
	for {
		if yes, err := ok(); yes || err != nil {
			return err
		}
		if !passed(ctx, 20*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// started waits until handlers have started n different keys that fit.
func (r *rig) started(ctx context.Context, patience time.Duration, n int, fits func(judge.Line) bool) error {
	return await(ctx, patience, fmt.Sprintf("%d handlers start", n), func() (bool, error) {
		lines, err := r.lines()
		keys := map[string]bool{}
		for _, l := range lines {
			if l.Event == judge.Start && fits(l) {
				keys[l.Key] = true
			}
		}
		return len(keys) >= n, err
	})
}

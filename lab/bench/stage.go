package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cluster"
	"github.com/firjob/firjob/lab/labdb"
	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/storage"
)

// stage is a cluster that is measured.
type stage struct {
	*cluster.Cluster
	o     Options
	db    *labdb.DB
	api   *client
	dir   string
	words lastWords
}

// onStage runs do on a new cluster whose stores hold nothing.
func (o Options) onStage(ctx context.Context, do func(*stage) error) (err error) {
	s := &stage{o: o}
	if s.dir, err = os.MkdirTemp("", "firjob-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	if err := os.Chmod(s.dir, 0o755); err != nil { // Postgres drops to another user
		return err
	}
	if err := s.reserve(ctx); err != nil {
		return err
	}
	o.say("starting Postgres, Redis, %d server(s) and %d executor(s)", o.Servers, o.Workers)
	if s.Cluster, err = cluster.Start(ctx, s.clusterOptions()); err != nil {
		return s.words.explain(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, s.Stop(ctx))
	}()
	if s.db, err = labdb.Open(ctx, storage.Options{URL: s.DatabaseURL, MaxConns: 4}); err != nil {
		return err
	}
	defer s.db.Close()
	if _, err = s.db.Durability(ctx); err != nil {
		return err
	}
	if s.StandIn {
		o.say("no Redis is here: miniredis inside this program stands in, whose CPU is not counted; install Redis or " +
			"Valkey to measure")
	}
	if err := s.noteEpoch(ctx); err != nil {
		return err
	}
	s.api = newClient(s.URL(), s.AdminToken)
	defer s.api.close()
	if err := s.awaitExecutors(ctx); err != nil {
		return err
	}
	return do(s)
}

func (s *stage) clusterOptions() cluster.Options {
	o := s.o
	return cluster.Options{
		Stores: cluster.Stores{DatabaseURL: o.DatabaseURL, RedisURL: o.RedisURL, Dir: s.dir, Fetch: o.Fetch,
			Settings: o.Postgres, Progress: lineWriter(o.say)},
		Binary:  o.Binary,
		Servers: o.Servers, Workers: o.Workers,
		ServerEnv: append([]string{"FIRJOB_LOG_LEVEL=warn", "FIRJOB_HORIZON=" + o.Horizon.String(),
			"FIRJOB_SCAN_INTERVAL=" + o.ScanInterval.String()}, o.ServerEnv...),
		WorkerEnv: append([]string{"FIRJOB_LOG_LEVEL=warn", "FIRJOB_CONCURRENCY=" + strconv.Itoa(o.Concurrency),
			"FIRJOB_QUEUE=" + strconv.Itoa(o.Queue)}, o.WorkerEnv...),
		Output: s.hear,
	}
}

// hear takes what the processes print.
func (s *stage) hear(process, line string) {
	s.words.add(process, line)
	if s.o.Output != nil {
		s.o.Output(process, line)
	}
}

// lineWriter hands over what is written as lines.
type lineWriter func(format string, args ...any)

// Write never fails.
func (w lineWriter) Write(text []byte) (int, error) {
	w("%s", text)
	return len(text), nil
}

// reserve makes sure that stores which are not ours hold nothing of anybody else.
func (s *stage) reserve(ctx context.Context) error {
	var noted string
	if s.o.DatabaseURL != "" {
		var err error
		if noted, err = labdb.Reserve(ctx, s.o.DatabaseURL, cluster.App); err != nil {
			return err
		}
	}
	if s.o.RedisURL == "" {
		return nil
	}
	epoch, err := redisEpoch(ctx, s.o.RedisURL)
	if err == nil && epoch != "" && epoch != noted {
		return firjob.Errorf(firjob.CodeConflict,
			"Redis holds the keys (fj:…) of another installation: benchmarks need one without")
	}
	return err
}

// noteEpoch notes which Redis belongs to a database that is used again.
func (s *stage) noteEpoch(ctx context.Context) error {
	if s.o.DatabaseURL == "" || s.o.RedisURL == "" {
		return nil
	}
	epoch, err := redisEpoch(ctx, s.o.RedisURL)
	if err != nil {
		return err
	}
	return labdb.NoteEpoch(ctx, s.o.DatabaseURL, epoch)
}

func redisEpoch(ctx context.Context, url string) (epoch string, err error) {
	redis, err := redisq.Open(ctx, redisq.Options{URL: url, Shards: 1})
	if err != nil {
		return "", err
	}
	defer func() { err = cmp.Or(err, redis.Close()) }()
	return redis.Present(ctx)
}

// registration is how long executors may take to be known to the servers.
const registration = 30 * time.Second

// awaitExecutors waits until every executor is registered.
func (s *stage) awaitExecutors(ctx context.Context) error {
	deadline := time.Now().Add(registration)
	for {
		var known struct{ Items []struct{ Live bool } } // of those that have gone a mark may remain
		err := s.api.call(ctx, "GET", "/api/v1/apps/"+cluster.App+"/executors", nil, &known)
		live := 0
		for _, e := range known.Items {
			if e.Live {
				live++
			}
		}
		if err == nil && live >= s.o.Workers {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(
				fmt.Errorf("%d of %d executors have registered within %v", live, s.o.Workers, registration), err)
		}
		if !passed(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

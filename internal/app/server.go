// Package app wires the rooms into a running server: it opens the stores,
// builds the scheduler and the API, listens, and takes everything down in
// order.
package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/httpapi"
	"github.com/firjob/firjob/redisq"
	"github.com/firjob/firjob/scheduler"
	"github.com/firjob/firjob/scheduler/dispatch"
	"github.com/firjob/firjob/scheduler/outbound"
	"github.com/firjob/firjob/storage"
)

// Server is one replica: its scheduler and its API.
type Server struct {
	options   Options
	replica   string
	listener  net.Listener
	http      *http.Server
	scheduler *scheduler.Scheduler
	stopping  chan struct{} // closed when Run begins to stop
	closers   closers
}

// NewServer migrates the database, opens the stores and listens. On an error
// nothing stays open. The server serves nobody before Run.
func NewServer(ctx context.Context, o Options) (_ *Server, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, replica: replicaName(), stopping: make(chan struct{}), closers: closers{log: o.Log}}
	defer func() {
		if err != nil {
			s.closers.close(context.WithoutCancel(ctx))
		}
	}()
	db, err := s.openStorage(ctx)
	if err != nil {
		return nil, err
	}
	if o.Shards, err = agreeOnShards(ctx, db, o); err != nil {
		return nil, err
	}
	queue, err := s.openRedis(ctx, o.Shards)
	if err != nil {
		return nil, err
	}
	if err := bootstrapApp(ctx, db, o); err != nil {
		return nil, err
	}
	return s, s.build(ctx, db, queue, o)
}

// build makes the scheduler and the API on the opened stores, and listens.
func (s *Server) build(ctx context.Context, db *storage.DB, queue *redisq.Client, o Options) error {
	sender := dispatch.New(dispatch.Options{Log: o.Log})
	s.closers.add("dispatch", func(context.Context) error { sender.Close(); return nil })

	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	allow, err := outbound.ParseAllow(o.EgressAllow)
	if err != nil {
		return faulty(err)
	}
	s.scheduler, err = scheduler.New(scheduler.Options{
		Store: db, Queue: queue, Registry: queue, Sender: sender, Caller: outbound.New(outbound.Options{Allow: allow}),
		Replica: s.replica, Shards: o.Shards,
		ScanInterval: o.ScanInterval, Horizon: o.Horizon, LeaseTTL: o.LeaseTTL, Retention: o.Retention,
		LogLimit:    o.LogLimit,
		Local:       o.localClock(),
		HealthStore: db, HealthQueue: queue,
		Metrics: metrics, Log: o.Log,
	})
	if err != nil {
		return faulty(err)
	}
	api := httpapi.New(httpapi.Options{
		Store: db, Scheduler: s.scheduler, AdminToken: o.AdminToken, PublicURL: o.PublicURL,
		Metrics: metrics, Version: httpapi.VersionInfo{Version: o.Version}, Log: o.Log, Stopping: s.stopping,
	})
	s.http = &http.Server{Handler: api, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.HTTPAddr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return faulty(fmt.Errorf(
			"another program listens at %s; choose another address with FIRJOB_HTTP_ADDR or --http-addr", o.HTTPAddr))
	}
	if err != nil {
		return fmt.Errorf("listen at %s: %w", o.HTTPAddr, err)
	}
	s.closers.add("listener", func(context.Context) error {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// Addr returns the address that the server listens at.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Replica returns the name of this process in the cluster.
func (s *Server) Replica() string { return s.replica }

// shutdownTimeout bounds the end of requests under way.
const shutdownTimeout = 10 * time.Second

// Run serves until ctx ends. Then it goes in order: not ready any more, claims
// nothing, gives back what was not sent, waits for what is under way (results
// of executors are taken to the end), stops listening, closes the stores.
func (s *Server) Run(ctx context.Context) error {
	defer s.closers.close(context.WithoutCancel(ctx))
	s.options.Log.InfoContext(ctx, "server listens", "url", "http://"+s.Addr(), "replica", s.replica)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-groupCtx.Done() // streams end at once, so that their clients connect elsewhere
		close(s.stopping)
		return nil
	})
	group.Go(func() error {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		err := s.scheduler.Run(groupCtx)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if shutdownErr := s.http.Shutdown(ctx); shutdownErr != nil {
			err = errors.Join(err, shutdownErr, s.http.Close())
		}
		s.scheduler.Close()
		return err
	})
	err := group.Wait()
	s.options.Log.InfoContext(ctx, "server stopped", "replica", s.replica)
	return err
}

func (s *Server) openStorage(ctx context.Context) (*storage.DB, error) {
	err := retryStart(ctx, s.options.Log, "postgres", func(ctx context.Context) error {
		return storage.Migrate(ctx, s.options.DatabaseURL)
	})
	if err != nil {
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	db, err := storage.Open(ctx,
		storage.Options{URL: s.options.DatabaseURL, MaxConns: s.options.MaxConns, Replica: s.replica,
			Log: s.options.Log})
	if err != nil {
		return nil, err
	}
	s.closers.add("storage", func(context.Context) error { db.Close(); return nil })
	return db, nil
}

func (s *Server) openRedis(ctx context.Context, shards int) (*redisq.Client, error) {
	queue, err := redisq.Open(ctx, redisq.Options{URL: s.options.RedisURL, Shards: shards, Log: s.options.Log})
	if err != nil {
		return nil, err
	}
	s.closers.add("redis", func(context.Context) error { return queue.Close() })
	if !s.options.AllowStandIn && queue.IsStandIn(ctx) {
		return nil, errors.New(
			"FIRJOB_REDIS_URL leads to miniredis, which only firjob dev may use: it keeps nothing and is slow; start " +
				"a Redis or Valkey")
	}
	return queue, nil
}

// agreeOnShards returns the number of shards that the cluster uses: the first
// server's setting, since all must cut the queue alike.
func agreeOnShards(ctx context.Context, db *storage.DB, o Options) (int, error) {
	value, err := db.EnsureSetting(ctx, "shards", strconv.Itoa(o.Shards))
	if err != nil {
		return 0, fmt.Errorf("read the number of shards: %w", err)
	}
	shards, err := strconv.Atoi(value)
	if err != nil || shards < 1 {
		return 0, fmt.Errorf("the setting \"shards\" in the database is %q: want a number above 0", value)
	}
	if shards != o.Shards {
		o.Log.InfoContext(ctx, "the number of shards is the database's", "shards", shards, "ignored", o.Shards)
	}
	return shards, nil
}

func bootstrapApp(ctx context.Context, db *storage.DB, o Options) error {
	if o.BootstrapApp == "" {
		return nil
	}
	_, err := db.CreateApp(ctx, o.BootstrapApp, firjob.AuthHash(o.BootstrapSecret),
		firjob.SigningKey(o.BootstrapSecret))
	if err != nil && firjob.CodeOf(err) != firjob.CodeConflict {
		return fmt.Errorf("make app %s: %w", o.BootstrapApp, err)
	}
	return nil
}

// replicaName returns a name that people recognise and that no other process
// has had.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "replica"
	}
	return host + "-" + uuid.NewString()[:8]
}

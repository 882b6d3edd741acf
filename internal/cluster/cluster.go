package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/firjob/firjob/internal/localstack"
)

// App is the app that the workers belong to.
const App = "demo"

// Options says what to run.
type Options struct {
	Stores     Stores
	Binary     string              // the firjob program; this very one by default
	Servers    int                 // 2 by default
	Workers    int                 // 1 by default
	HTTPAddr   string              // of the balancer; any free port of 127.0.0.1 by default
	AdminToken string              // made when empty
	ServerEnv  []string            // added to every server's environment
	WorkerEnv  []string            // added to every worker's environment
	Env        map[string][]string // added to the environment of the process of that name
	SpoolDir   string              // results that workers could not deliver; a temporary folder by default
	Secret     string              // of the workers' app; made when empty
	// Between is told who connects to what, and returns the address to use in its
	// stead, so that something may sit between the two. service is "postgres" or
	// "redis", with the store's URL; "server", with the balancer's URL; or "executor",
	// with the address at which servers reach the worker. nil leaves all as it is.
	Between func(process, service, address string) (string, error)
	// Output takes each line that a process prints. It may be called by several
	// goroutines at once. By default lines go to Log at debug level.
	Output func(process, line string)
	Log    *slog.Logger
}

// Cluster is a running cluster.
type Cluster struct {
	AdminToken  string
	Secret      string // of App
	DatabaseURL string
	RedisURL    string
	StandIn     bool     // Redis is miniredis
	Notes       []string // what stores were chosen and why, for people

	Postgres *localstack.Postgres // nil if it is not ours
	Redis    *localstack.Redis    // nil if it is not ours or a stand-in
	Servers  []*Process
	Workers  []*Process

	stores   *opened
	balancer *balancer
	serving  sync.WaitGroup
	cleanup  []func() error
}

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stores.Log == nil {
		o.Stores.Log = o.Log
	}
	if o.Output == nil {
		o.Output = func(process, line string) { o.Log.Debug(line, "process", process) }
	}
	if o.AdminToken == "" {
		o.AdminToken = Secret()
	}
	if o.Secret == "" {
		o.Secret = Secret()
	}
	if o.Between == nil {
		o.Between = func(_, _, address string) (string, error) { return address, nil }
	}
	if o.HTTPAddr == "" {
		o.HTTPAddr = "127.0.0.1:0"
	}
	if o.Servers == 0 {
		o.Servers = 2
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.Binary != "" {
		return o, nil
	}
	var err error
	if o.Binary, err = os.Executable(); err != nil {
		err = fmt.Errorf("find this program: %w", err)
	}
	return o, err
}

// Start starts the stores, the servers, the balancer and the workers, and
// returns when a server is ready. On an error nothing stays up.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	c := &Cluster{AdminToken: o.AdminToken, Secret: o.Secret}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
		}
	}()
	// The address comes first: that it is taken is known before a store starts.
	listener, err := net.Listen("tcp", o.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", o.HTTPAddr, err)
	}
	c.cleanup = append(c.cleanup, func() error { _ = listener.Close(); return nil }) // the balancer may have done it
	if c.stores, err = o.Stores.open(ctx); err != nil {
		return nil, err
	}
	c.DatabaseURL, c.RedisURL, c.StandIn, c.Notes = c.stores.databaseURL, c.stores.redisURL, c.stores.standIn,
		c.stores.notes
	c.Postgres, c.Redis = c.stores.postgres, c.stores.redis
	if o.SpoolDir == "" {
		if o.SpoolDir, err = os.MkdirTemp("", "firjob-spool-"); err != nil {
			return nil, err
		}
		c.cleanup = append(c.cleanup, func() error { return os.RemoveAll(o.SpoolDir) })
	}
	if err := c.startServers(ctx, o, listener); err != nil {
		return nil, err
	}
	return c, c.startWorkers(o)
}

// URL is where the cluster is reached, through the balancer.
func (c *Cluster) URL() string { return "http://" + c.balancer.addr() }

func (c *Cluster) startServers(ctx context.Context, o Options, listener net.Listener) error {
	addrs, err := localstack.FreeAddrs(o.Servers)
	if err != nil {
		return err
	}
	c.balancer = newBalancer(listener, addrs)
	c.serving.Go(func() { _ = c.balancer.serve() }) // always "closed", by Stop
	for i, addr := range addrs {
		name := fmt.Sprintf("server-%d", i+1)
		databaseURL, err := o.Between(name, "postgres", c.DatabaseURL)
		if err != nil {
			return err
		}
		redisURL, err := o.Between(name, "redis", c.RedisURL)
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, c.process(o, name, addr, []string{"server"}, append([]string{
			"FIRJOB_DATABASE_URL=" + databaseURL,
			"FIRJOB_REDIS_URL=" + redisURL,
			"FIRJOB_HTTP_ADDR=" + addr,
			"FIRJOB_PUBLIC_URL=" + c.URL(),
			"FIRJOB_ADMIN_TOKEN=" + c.AdminToken,
			"FIRJOB_BOOTSTRAP_APP=" + App,
			"FIRJOB_BOOTSTRAP_APP_SECRET=" + c.Secret,
			"FIRJOB_ALLOW_STAND_IN=1",
			"FIRJOB_LOG_FORMAT=text",
		}, o.ServerEnv...)))
	}
	// The first one migrates the database; the others would wait for it anyway.
	if err := startAll(ctx, c.Servers[:1]); err != nil {
		return err
	}
	return startAll(ctx, c.Servers[1:])
}

// startAll starts servers side by side and returns when all are ready.
func startAll(ctx context.Context, servers []*Process) error {
	for _, p := range servers {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for _, p := range servers {
		if err := awaitReady(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startWorkers(o Options) error {
	addrs, err := localstack.FreeAddrs(o.Workers)
	if err != nil {
		return err
	}
	for i, addr := range addrs {
		name := fmt.Sprintf("worker-%d", i+1)
		serverURL, err := o.Between(name, "server", c.URL())
		if err != nil {
			return err
		}
		reached, err := o.Between(name, "executor", addr)
		if err != nil {
			return err
		}
		p := c.process(o, name, addr, []string{"worker"}, append([]string{
			"FIRJOB_SERVER_URL=" + serverURL,
			"FIRJOB_APP=" + App,
			"FIRJOB_APP_SECRET=" + c.Secret,
			"FIRJOB_LISTEN_ADDR=" + addr,
			"FIRJOB_ADVERTISE_ADDR=" + reached,
			"FIRJOB_SPOOL_DIR=" + o.SpoolDir + "/" + name,
			"FIRJOB_LOG_FORMAT=text",
		}, o.WorkerEnv...))
		c.Workers = append(c.Workers, p)
		if err := p.Start(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) process(o Options, name, addr string, args, env []string) *Process {
	return &Process{Name: name, Addr: addr, binary: o.Binary, args: args, env: append(env, o.Env[name]...),
		output: o.Output}
}

// Stop stops the workers, the servers, then the stores.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, group := range [][]*Process{c.Workers, c.Servers} {
		errs = append(errs, stopAll(ctx, group))
	}
	if c.balancer != nil {
		errs = append(errs, c.balancer.close())
		c.serving.Wait()
	}
	if c.stores != nil {
		errs = append(errs, c.stores.stop(ctx))
	}
	for _, f := range c.cleanup {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// stopAll stops processes side by side.
func stopAll(ctx context.Context, group []*Process) error {
	errs := make([]error, len(group))
	var wait sync.WaitGroup
	for i, p := range group {
		if p.current() == nil {
			continue
		}
		wait.Go(func() { errs[i] = p.Stop(ctx) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// readyPatience bounds the wait for a server that starts.
const readyPatience = 30 * time.Second

// awaitReady polls the server until it says that it is ready, or has ended.
func awaitReady(ctx context.Context, p *Process) error {
	patience := fmt.Errorf("%s was not ready within %v", p.Name, readyPatience)
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return fmt.Errorf("%s ended before it was ready; its last output:\n%s", p.Name, &p.said)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// AwaitReady waits until a server that was started again is ready.
func (c *Cluster) AwaitReady(ctx context.Context, p *Process) error { return awaitReady(ctx, p) }

// Secret returns a new secret of 256 random bits.
func Secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

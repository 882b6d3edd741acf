package localstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
)

// sentinelMaster is the name under which the sentinel knows the primary.
const sentinelMaster = "firjob"

// Sentinel is a primary with one replica, watched by one sentinel that needs no
// other's vote and holds a silent primary for dead after 500 ms.
type Sentinel struct {
	Primary, Replica *Redis // as they were at the start
	sentinel         *Redis
	dir              string // of the sentinel's file
}

// StartSentinel starts the three and returns when the sentinel knows them all.
// Nothing is kept. log may be nil.
func StartSentinel(ctx context.Context, log *slog.Logger) (_ *Sentinel, err error) {
	s := &Sentinel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if s.Primary, err = StartRedis(ctx,
		RedisOptions{Ephemeral: true, Log: log, Args: []string{"--repl-diskless-sync-delay", "0"}}); err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.Primary.Addr())
	if s.Replica, err = StartRedis(ctx,
		RedisOptions{Ephemeral: true, Log: log, Args: []string{"--replicaof", host + " " + port}}); err != nil {
		return nil, err
	}
	if err := awaitReply(ctx, s.Replica.Addr(), []string{"INFO", "replication"}, "master_link_status:up"); err != nil {
		return nil, err
	}
	// The sentinel comes last: it asks a primary for its replicas at the start
	// and then only every ten seconds.
	if s.dir, err = os.MkdirTemp("", scratchPrefix+"sentinel-"); err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\n"+
		"sentinel down-after-milliseconds %[1]s 500\n"+
		"sentinel failover-timeout %[1]s 2000\n", sentinelMaster, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.sentinel, err = StartRedis(ctx,
		RedisOptions{Ephemeral: true, Log: log, Config: config, Args: []string{"--sentinel"}}); err != nil {
		return nil, err
	}
	return s, awaitReply(ctx, s.sentinel.Addr(), []string{"INFO", "sentinel"},
		fmt.Sprintf("status=ok,address=%s,slaves=1", s.Primary.Addr()))
}

// URL is redis+sentinel://127.0.0.1:PORT/0?master=firjob, with the sentinel's port.
func (s *Sentinel) URL() string {
	return "redis+sentinel://" + s.sentinel.Addr() + "/0?master=" + sentinelMaster
}

// Current returns the server that the sentinel holds for the primary now.
func (s *Sentinel) Current(ctx context.Context) (*Redis, error) {
	reply, err := Ask(ctx, s.sentinel.Addr(), "SENTINEL", "get-master-addr-by-name", sentinelMaster)
	if err != nil || len(reply) != 2 {
		return nil, fmt.Errorf("ask the sentinel for the primary: got %q, %w", reply, err)
	}
	for _, r := range []*Redis{s.Primary, s.Replica} {
		if r.Addr() == net.JoinHostPort(reply[0], reply[1]) {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the sentinel names an unknown server as the primary: %q", reply)
}

// Stop stops all three.
func (s *Sentinel) Stop(ctx context.Context) error {
	var errs []error
	for _, r := range []*Redis{s.sentinel, s.Replica, s.Primary} {
		if r != nil {
			errs = append(errs, r.Stop(ctx))
		}
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

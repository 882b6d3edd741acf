package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firjob/firjob/internal/cluster"
)

// shards is how the delay queue is cut; a prime number of them lies well over the
// nodes of a Redis cluster.
const shards = 7

// stage is a cluster of processes with links and taps between them.
type stage struct {
	*cluster.Cluster
	options  Options
	stores   *stores
	recorder *Recorder
	ledger   *Ledger
	load     *load
	links    map[string]*Link // by their names in a schedule, as in "server-1→redis"
	taps     map[string]*Tap  // as in "worker-1→servers" and "servers→worker-1"
	random   *rand.Rand
	cleanup  []func() error
}

// newStage starts everything. On an error nothing stays up.
func newStage(ctx context.Context, o Options, s *stores, f *folder, recorder *Recorder) (_ *stage, err error) {
	st := &stage{options: o, stores: s, recorder: recorder, links: map[string]*Link{}, taps: map[string]*Tap{},
		random: rand.New(rand.NewPCG(o.Seed, 2))}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.stop(context.WithoutCancel(ctx)))
		}
	}()
	if st.ledger, err = NewLedger(); err != nil {
		return nil, err
	}
	st.cleanup = append(st.cleanup, st.ledger.Close)
	zone := restless(time.Now(), o.Duration)
	if err := writeZone(f.path("zoneinfo"), zoneName, zone); err != nil {
		return nil, err
	}
	binary := o.Binary
	if o.OldBinary != "" {
		binary = o.OldBinary
	}
	env, err := o.environment()
	if err != nil {
		return nil, err
	}
	times := o.timers()
	st.Cluster, err = cluster.Start(ctx, cluster.Options{
		Stores:  cluster.Stores{DatabaseURL: s.databaseURL, RedisURL: s.redisURL},
		Binary:  binary,
		Servers: o.Servers, Workers: o.Workers,
		ServerEnv: []string{
			"FIRJOB_LEASE_TTL=" + times.lease.String(), "FIRJOB_SCAN_INTERVAL=" + times.scan.String(),
			"FIRJOB_HORIZON=" + times.horizon.String(),
			"FIRJOB_DATABASE_CONNS=8", fmt.Sprintf("FIRJOB_SHARDS=%d", shards), "FIRJOB_LOG_LEVEL=info",
			"ZONEINFO=" + f.path("zoneinfo"),
		},
		WorkerEnv: []string{
			"FIRJOB_HISTORY=" + f.path("history.jsonl"), "FIRJOB_LEDGER=" + st.ledger.URL(), "FIRJOB_DRAIN_TIMEOUT=5s",
			"FIRJOB_LOG_LEVEL=info",
		},
		Env:     env,
		Output:  f.log,
		Between: st.between,
	})
	if err != nil {
		return nil, err
	}
	api := newAPI(st.URL(), st.AdminToken)
	st.cleanup = append(st.cleanup, api.close)
	st.load = newLoad(o, api, recorder, zone)
	return st, nil
}

// between puts a link before each store, and taps between servers and executors.
func (s *stage) between(process, service, address string) (string, error) {
	switch service {
	case "postgres":
		return s.linkToPostgres(process, address)
	case "redis":
		return s.linkToRedis(process, address)
	case "server":
		return s.tap(process+"→servers", address)
	}
	if name := "servers→" + process; tapped(name) {
		addr, err := s.tap(name, "http://"+address)
		return strings.TrimPrefix(addr, "http://"), err
	}
	return address, nil
}

// tapped reports whether servers call an executor through a tap. Those of even
// numbers they call themselves: behind a tap nobody sees a connection refused.
func tapped(name string) bool { return (name[len(name)-1]-'0')%2 == 1 }

func (s *stage) linkToPostgres(process, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	link, err := s.link(process+"→postgres", "unix", filepath.Join(q.Get("host"), ".s.PGSQL."+q.Get("port")))
	if err != nil {
		return "", err
	}
	u.Host, u.RawQuery = link.Addr(), "sslmode=disable"
	return u.String(), nil
}

// linkToRedis leaves the other topologies alone: there the servers themselves tell
// clients their addresses.
func (s *stage) linkToRedis(process, address string) (string, error) {
	if s.stores.redis == nil {
		return address, nil
	}
	link, err := s.link(process+"→redis", "tcp", s.stores.redis.Addr())
	if err != nil {
		return "", err
	}
	return "redis://" + link.Addr(), nil
}

func (s *stage) link(name, network, target string) (*Link, error) {
	link, err := NewLink(network, target, s.newRandom())
	if err != nil {
		return nil, err
	}
	s.links[name] = link
	s.cleanup = append(s.cleanup, link.Close)
	return link, nil
}

// newRandom returns a source that follows from the seed.
func (s *stage) newRandom() *rand.Rand {
	return rand.New(rand.NewPCG(s.random.Uint64(), s.random.Uint64()))
}

// tap returns the URL of a new tap.
func (s *stage) tap(name, target string) (string, error) {
	tap, err := NewTap(target, s.recorder, s.newRandom())
	if err != nil {
		return "", err
	}
	s.taps[name] = tap
	s.cleanup = append(s.cleanup, tap.Close)
	return "http://" + tap.Addr(), nil
}

// process returns a server or a worker by its name.
func (s *stage) process(name string) *cluster.Process {
	all := slices.Concat(s.Servers, s.Workers)
	return all[slices.IndexFunc(all, func(p *cluster.Process) bool { return p.Name == name })]
}

// stop stops the processes, then what is between them.
func (s *stage) stop(ctx context.Context) error {
	var errs []error
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Stop(ctx))
	}
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i]())
	}
	return errors.Join(errs...)
}

// warmUp waits until every executor has registered, and has some executions run at
// once, so that pools hold what they hold under a load.
func (s *stage) warmUp(ctx context.Context) (err error) {
	err = s.until(ctx, "every executor is registered", func() (bool, error) {
		var known struct{ Items []json.RawMessage }
		err := s.load.api.call(ctx, http.MethodGet, "/api/v1/apps/"+cluster.App+"/executors", "", nil, &known)
		return len(known.Items) == s.options.Workers, err
	})
	if err != nil {
		return err
	}
	if s.load.herdJob, err = s.load.create(ctx, "herd", manual("noop")); err != nil {
		return err
	}
	if s.options.narrow != nil {
		return nil
	}
	return s.load.herd(ctx)
}

// patience bounds whatever must come by itself once the faults are undone.
const patience = time.Minute

// until polls for something that other processes bring about.
func (s *stage) until(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %v in vain until %s", patience, what))
	defer cancel()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		if !passed(ctx, 200*time.Millisecond) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// passed lets d pass and reports whether ctx still goes on.
func passed(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package redisq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/lua"
)

// maxShards bounds a typing error, not a design.
const maxShards = 4096

// Options says which Redis and how the index is laid out in it.
type Options struct {
	URL    string       // redis://, rediss://, redis+sentinel:// or redis+cluster://; see docs/redis-keys.md
	Prefix string       // of every key; default "fj"
	Shards int          // slices of the delay queue, 1 to 4096; all servers must agree
	Log    *slog.Logger // default: none
}

func (o *Options) validate() error {
	if o.Prefix == "" {
		o.Prefix = "fj"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if !prefixForm.MatchString(o.Prefix) {
		errs = append(errs, fmt.Errorf("option Prefix %q: want letters, digits, dot, colon, dash, underscore",
			o.Prefix))
	}
	if o.Shards < 1 || o.Shards > maxShards {
		errs = append(errs, fmt.Errorf("option Shards %d: want 1 to %d", o.Shards, maxShards))
	}
	return errors.Join(errs...)
}

// Client is the delay queue and the registry. It is safe for concurrent use.
//
// Every error names the address and wraps its cause, so that
// [context.Canceled] and [context.DeadlineExceeded] can be told from Redis
// being away. Without a deadline of its caller's, a call takes about two seconds
// at most: one to connect, one to be answered; in a cluster, as much again when
// it is sent on to another node. Once Redis is back after it refused
// connections, up to a second passes until it is tried again.
type Client struct {
	rdb     redis.UniversalClient
	address string // for messages: hosts without user and password
	keys    keys
	shards  int
	lua     lua.Scripts
	log     *slog.Logger
	told    told         // what was logged of strangers
	removed atomic.Int64 // strangers, ever

	closed chan struct{}
	loops  sync.WaitGroup
}

// Open returns a client. Faulty options are an error, CodeInvalid, and so is a
// Redis that refuses the user or password. Redis may be down, which is logged, and
// is connected to when it is back. Open waits for it a
// second at most, so that the first claim need not.
func Open(ctx context.Context, o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, &firjob.Error{Code: firjob.CodeInvalid, Message: "redis options", Cause: err}
	}
	parsed, err := parseURL(o.URL)
	if err != nil {
		return nil, &firjob.Error{Code: firjob.CodeInvalid, Message: "redis options", Cause: err}
	}
	// The driver has one log for the process, unstructured, on stderr. What it
	// says there, it also returns.
	logging.Disable()
	c := &Client{
		rdb:     redis.NewUniversalClient(parsed),
		address: strings.Join(parsed.Addrs, ","),
		keys:    keys{o.Prefix},
		shards:  o.Shards,
		lua:     lua.All(),
		log:     o.Log.With("component", "redis"),
		closed:  make(chan struct{}),
	}
	first, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = c.rdb.Ping(first).Err()
	if refused(err) {
		return nil, errors.Join(&firjob.Error{Code: firjob.CodeInvalid, Message: refusedText(c.address), Cause: err},
			c.rdb.Close())
	}
	if err != nil {
		c.log.WarnContext(ctx, "Redis cannot be reached; going on without", "address", c.address, "error", err)
	}
	return c, nil
}

// refused reports whether Redis answered that it does not know the password, or
// that the user may not do this. Waiting does not help.
func refused(err error) bool {
	return err != nil && slices.ContainsFunc([]string{"WRONGPASS ", "NOAUTH ", "NOPERM "}, func(word string) bool {
		return strings.Contains(err.Error(), word)
	})
}

func refusedText(address string) string {
	return "Redis at " + address + " refuses the user or password of FIRJOB_REDIS_URL; correct them there, " +
		"as in redis://user:password@host:6379 (a special character is percent-encoded), or see ACL LIST for what " +
		"the user may do"
}

// Close ends every channel of Wakes and Nudges and closes the connections. It is called
// once; no call may follow it.
func (c *Client) Close() error {
	close(c.closed)
	c.loops.Wait()
	return c.failed(c.rdb.Close(), "close redis")
}

// failed adds to err what was tried and where; nil stays nil.
func (c *Client) failed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at %s: %w", fmt.Sprintf(format, args...), c.address, err)
}

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/firjob/firjob"
)

// Bounds of what the server may ask for, and of a beat's own time.
const (
	shortestBeat    = 100 * time.Millisecond
	longestBeat     = time.Minute
	shortestTimeout = time.Second
	longestTimeout  = 10 * time.Second
)

// beater tells the server, over and over, that this worker lives and what it
// holds, and does what the answers say.
type beater struct {
	client   *client
	table    *table
	clock    *serverClock
	log      *slog.Logger
	identify func(context.Context) (firjob.Executor, error) // what never changes about the executor
	handlers []string
	hurry    chan struct{} // asks for a beat at once
	ready    chan struct{} // closed after the first answer

	interval  time.Duration
	nameAfter time.Duration // attempts younger than this need no name
	failures  int           // in a row
}

// run beats until ctx ends. The first beat that is answered is the
// registration.
func (b *beater) run(ctx context.Context) {
	path := firjob.PathRegister
	b.interval = firjob.BeatInterval
	for {
		start := time.Now()
		wait := time.Duration(0)
		if err := b.beat(ctx, path); err == nil {
			if path == firjob.PathRegister {
				close(b.ready)
				path = firjob.PathHeartbeat
			}
			b.recovered()
			wait = spread(b.interval/5) + b.interval*4/5 - time.Since(start)
		} else if ctx.Err() == nil {
			wait = b.failed(path, err)
		}
		if !b.pause(ctx, wait) {
			return
		}
	}
}

func (b *beater) beat(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, min(max(2*b.interval, shortestTimeout), longestTimeout))
	defer cancel()
	start := time.Now()
	c := b.table.census(start, b.nameAfter)
	body, err := b.body(ctx, c)
	if err != nil {
		return err
	}
	sent := time.Now()
	var reply firjob.BeatReply
	if err := b.client.post(ctx, path, body, &reply, http.StatusOK); err != nil {
		return err
	}
	if !reply.Now.IsZero() {
		b.clock.observe(sent, time.Now(), reply.Now)
	}
	if reply.Unconfirmed {
		b.table.renewShared(c.holding, start, reply.Lease.Std())
	} else {
		b.table.renew(c.holding, start, reply.Lease.Std())
	}
	b.table.cancel(reply.Stale, ErrLeaseLost)
	b.table.cancel(reply.Cancel, ErrCancelled)
	b.nameAfter = min(max(reply.NameAfter.Std(), 0), firjob.MaxNameAfter)
	if interval := reply.Interval.Std(); interval > 0 {
		b.interval = min(max(interval, shortestBeat), longestBeat)
	}
	return nil
}

func (b *beater) body(ctx context.Context, c census) ([]byte, error) {
	executor, err := b.identify(ctx)
	if err != nil {
		return nil, err
	}
	executor.Running = c.pending
	executor.State = c.state
	body, err := json.Marshal(
		firjob.Beat{Executor: executor, Holding: c.holding, Waiting: c.waiting, Handlers: b.handlers})
	if err != nil {
		return nil, fmt.Errorf("write a beat: %w", err)
	}
	return body, nil
}

// failed logs what went wrong and returns how long to wait. A registered
// executor keeps to its interval, since its leases depend on it; one that the
// server turns away goes about it slowly.
func (b *beater) failed(path string, err error) time.Duration {
	b.failures++
	b.nameAfter = 0 // the server may have died; the others want to know what it has sent here
	longest := b.interval
	switch {
	case hopeless(err):
		longest = slowWait
	case path == firjob.PathRegister:
		longest = longestWait
	}
	switch status := statusOf(err); {
	case !worthLogging(b.failures):
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		b.log.Error("the server does not accept this worker's credentials: compare App and Secret with the server's",
			"error", err)
	default:
		b.log.Warn("no answer to a beat", "failures", b.failures, "error", err)
	}
	return backoff(b.failures, longest)
}

func (b *beater) recovered() {
	if b.failures > 0 {
		b.log.Info("the server answers again", "failures", b.failures)
	}
	b.failures = 0
}

// beatNow asks for a beat without waiting for it.
func (b *beater) beatNow() {
	select {
	case b.hurry <- struct{}{}:
	default:
	}
}

// pause waits, unless a beat is asked for before. It reports whether to go on.
func (b *beater) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-b.hurry:
	}
	return true
}

// leave takes the executor off the server's list.
func (b *beater) leave(ctx context.Context) error {
	body, err := b.body(ctx, b.table.census(time.Now(), 0))
	if err != nil {
		return err
	}
	return b.client.post(ctx, firjob.PathLeave, body, nil, http.StatusNoContent, http.StatusOK)
}

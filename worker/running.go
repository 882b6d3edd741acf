package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// errServe means that the worker's own server failed.
var errServe = errors.New("worker: serve")

// running is a worker between the start of Run and its end.
type running struct {
	table    *table
	pool     *pool
	outbox   *outbox
	starter  *starter
	reporter *reporter
	beater   *beater
	http     *http.Server
	log      *slog.Logger

	life       context.Context // of the loops: until the last result is sent
	end        context.CancelFunc
	loops      sync.WaitGroup
	serving    sync.WaitGroup
	disconnect func() // nil if the client is somebody else's
}

func (r *running) start(concurrency int, l net.Listener, fail context.CancelCauseFunc) {
	r.pool.start(concurrency)
	r.loops.Go(func() { r.table.watch(r.life) })
	r.loops.Go(func() { r.beater.run(r.life) })
	r.loops.Go(func() { r.registered(); r.outbox.run(r.life) })
	r.loops.Go(func() { r.registered(); r.starter.run(r.life) })
	r.loops.Go(func() { r.registered(); r.reporter.run(r.life) })
	r.serving.Go(func() {
		if err := r.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("%w: %w", errServe, err))
		}
	})
}

// registered waits until the server knows who sends it something.
func (r *running) registered() {
	select {
	case <-r.beater.ready:
	case <-r.life.Done():
	}
}

// known reports whether the server does.
func (r *running) known() bool {
	select {
	case <-r.beater.ready:
		return true
	default:
		return false
	}
}

// stop ends everything, what others depend on last: handlers, then results and
// logs, then beats, which keep the leases of both, then the listener, which answers
// "draining" until the server has taken the executor off its list.
func (r *running) stop(drain time.Duration) error {
	err := r.drain(drain)

	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if n := r.outbox.flush(ctx); n > 0 {
		err = errors.Join(err, fmt.Errorf("worker: %d results are not acknowledged and stay in the spool", n))
	}
	if r.known() {
		r.reporter.flush(ctx) // has begun with the end of the handlers
	}
	r.end()
	r.loops.Wait()
	r.leave()

	ctx, cancel = context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	if r.http.Shutdown(ctx) != nil {
		err = errors.Join(err, r.http.Close())
	}
	r.serving.Wait()
	if r.disconnect != nil {
		r.disconnect()
	}
	return err
}

// leave takes the executor off the server's list, if it ever was on it.
func (r *running) leave() {
	if !r.known() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	if err := r.beater.leave(ctx); err != nil {
		r.log.Warn("the server was not told that the worker leaves; it will notice", "error", err)
	}
}

// drain waits for the handlers, at first kindly.
func (r *running) drain(timeout time.Duration) error {
	idle := r.table.drain()
	close(r.table.queue) // a draining table sends no more
	r.beater.beatNow()
	if !within(timeout, idle) {
		r.log.Warn("the drain has taken its time; handlers are cut off", "timeout", timeout)
		r.table.abort(ErrDraining)
		if !within(cutOffTime, idle) {
			return fmt.Errorf("worker: %d executions did not end within %v of being cancelled",
				r.table.census(time.Now(), 0).pending, cutOffTime)
		}
	}
	r.pool.goroutines.Wait()
	return nil
}

func within(timeout time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

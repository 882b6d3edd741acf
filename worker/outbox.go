package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/codec"
	"github.com/firjob/firjob/internal/failpoint"
)

const (
	maxInFlight = 4
	// callbackMargin is what a callback's body holds beside its results.
	callbackMargin = 64 << 10
	// Results that wait to be acknowledged, beyond which the worker takes no
	// new triggers.
	maxWaiting      = 1 << 16
	maxWaitingBytes = 64 << 20
)

// enoughFor[n] is how many results must wait before a callback is sent while n
// others are on their way. Nothing waits for a timer: a lone result leaves at
// once, and under load the batches grow while the ones before are answered.
var enoughFor = [maxInFlight]int{1, 64, 256, firjob.MaxBatch}

// outbox brings results to the server: into the spool, then into callbacks,
// again and again until each has its receipt.
//
// A failed callback puts its results back at the end of the queue and pauses
// them all; after the pause one callback tries the way, half as large unless
// the server only said that it is busy. A result that breaks the server thus
// ends up alone and stops no other.
type outbox struct {
	post        func(context.Context, []*item) ([]firjob.Receipt, error)
	acknowledge func([]firjob.AttemptRef)
	spool       *spool
	log         *slog.Logger
	wake        chan struct{}
	answers     chan answer

	mu     sync.Mutex
	fresh  []*item       // handed over by handlers, not in the spool yet
	count  int           // results without a receipt
	bytes  int           // of those
	empty  chan struct{} // closed when count gets to 0; nil if nobody waits
	closed bool

	// Only the goroutine in run uses these.
	queue      []*item // in the spool, to be sent
	inFlight   int
	limit      int // results in the next callback
	failures   int // callbacks in a row that found no answer
	pausing    bool
	pause      *time.Timer
	spoolFault int // such writes in a row
}

// item is a result on its way.
type item struct {
	ref     firjob.AttemptRef
	line    []byte        // the result as JSON without a line's end
	result  firjob.Result // the same; its own JSON lies in line
	segment *segment      // nil: not in the spool
}

// size is about what it takes of memory, in bytes.
func (it *item) size() int { return len(it.line) + len(it.result.Error) }

// answer is what became of a callback.
type answer struct {
	batch    []*item
	receipts []firjob.Receipt
	err      error
}

func newOutbox(s *spool, left []*item, log *slog.Logger) *outbox {
	o := &outbox{
		spool:   s,
		log:     log,
		wake:    make(chan struct{}, 1),
		answers: make(chan answer, maxInFlight),
		queue:   left,
		count:   len(left),
		limit:   firjob.MaxBatch,
	}
	for _, it := range left {
		o.bytes += it.size()
	}
	return o
}

// add hands over a result. After run has ended it is not taken any more.
func (o *outbox) add(r firjob.Result) {
	it := &item{ref: firjob.AttemptRef{ID: r.ID, Token: r.Token}, result: r}
	var err error
	if it.line, it.result.Result, err = encodeResult(r); err != nil {
		o.log.Error("a result cannot be written", "execution", r.ID.String(), "error", err)
		o.acknowledge([]firjob.AttemptRef{it.ref})
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.fresh = append(o.fresh, it)
	o.count++
	o.bytes += it.size()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// full reports whether so many results wait that nothing new should start.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count >= maxWaiting || o.bytes >= maxWaitingBytes
}

// flush waits until every result has its receipt or ctx ends, and returns how
// many have none.
func (o *outbox) flush(ctx context.Context) int {
	o.mu.Lock()
	empty := make(chan struct{})
	o.empty = empty
	if o.count == 0 {
		close(empty)
		o.empty = nil
	}
	o.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// run works until ctx ends; it returns when its callbacks have and what was
// handed over is in the spool.
func (o *outbox) run(ctx context.Context) {
	o.pause = time.NewTimer(time.Hour)
	defer o.pause.Stop()
	o.pause.Stop()
	for ctx.Err() == nil {
		o.save()
		o.launch(ctx)
		select {
		case <-ctx.Done():
		case <-o.wake:
		case a := <-o.answers:
			o.settle(ctx, a)
		case <-o.pause.C:
			o.pausing = false
		}
	}
	o.close()
}

func (o *outbox) close() {
	for o.inFlight > 0 {
		a := <-o.answers
		o.inFlight--
		if a.err == nil {
			o.release(a)
		}
	}
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.save()
}

// save moves fresh results into the spool and the queue. Without the spool they
// are kept in memory only.
func (o *outbox) save() {
	o.mu.Lock()
	fresh := o.fresh
	o.fresh = nil
	o.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	if err := o.spool.append(fresh); err != nil {
		o.spoolFault++
		if worthLogging(o.spoolFault) {
			o.log.Error("the spool takes no results: they are lost if this process dies before the server has them",
				"error", err)
		}
	} else if o.spoolFault > 0 {
		o.log.Info("the spool takes results again")
		o.spoolFault = 0
	}
	failpoint.Crash(failpoint.AfterSpool, len(fresh))
	o.queue = append(o.queue, fresh...)
}

// launch sends as many callbacks as there is reason to.
func (o *outbox) launch(ctx context.Context) {
	for !o.pausing && o.inFlight < maxInFlight && len(o.queue) >= enoughFor[o.inFlight] {
		if o.failures > 0 && o.inFlight > 0 {
			return // one goes ahead to see
		}
		batch := o.cut()
		o.inFlight++
		go func() {
			receipts, err := o.deliver(ctx, batch)
			o.answers <- answer{batch, receipts, err} // there is room for all in flight
		}()
	}
}

// cut takes the next batch off the queue.
func (o *outbox) cut() []*item {
	n, size := 0, callbackMargin
	for n < len(o.queue) && n < o.limit {
		size += len(o.queue[n].line) + 1
		if n > 0 && size > firjob.MaxCallbackBody {
			break
		}
		n++
	}
	batch := slices.Clone(o.queue[:n])
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	return batch
}

// deliver posts a batch. One that the server refuses for what it holds is
// posted in halves, down to the single result, in whose place a failure is
// reported.
func (o *outbox) deliver(ctx context.Context, batch []*item) ([]firjob.Receipt, error) {
	receipts, err := o.post(ctx, batch)
	switch {
	case err == nil || !indigestible(err):
		return receipts, err
	case len(batch) == 1:
		return o.deliverRefused(ctx, batch[0], err)
	}
	first, err := o.deliver(ctx, batch[:len(batch)/2])
	if err != nil {
		return nil, err
	}
	second, err := o.deliver(ctx, batch[len(batch)/2:])
	return append(first, second...), err
}

// deliverRefused reports the attempt of a result that the server refuses as
// failed for good: without any result the handler would run again. If the server
// refuses that as well, the result is given up and the lease decides.
func (o *outbox) deliverRefused(ctx context.Context, it *item, refusal error) ([]firjob.Receipt, error) {
	failure := &item{ref: it.ref, result: firjob.Result{
		ID: it.ref.ID, Token: it.ref.Token, Outcome: firjob.OutcomeFailed, Permanent: true,
		Error:     "the server refused the result: " + refusal.Error(),
		StartedAt: it.result.StartedAt, FinishedAt: it.result.FinishedAt,
	}}
	var err error
	if failure.line, failure.result.Result, err = encodeResult(failure.result); err != nil {
		return nil, err
	}
	receipts, err := o.post(ctx, []*item{failure})
	if err != nil && !indigestible(err) {
		return nil, err
	}
	log := o.log.With("execution", it.ref.ID.String(), "error", refusal)
	if err != nil {
		log.Error("the server refuses a result and the report of its failure; the result is given up")
		return []firjob.Receipt{firjob.ReceiptUnknown}, nil
	}
	log.Error("the server refuses a result; its attempt was reported as failed")
	return receipts, nil
}

func indigestible(err error) bool {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (o *outbox) settle(ctx context.Context, a answer) {
	o.inFlight--
	switch {
	case a.err == nil:
		if o.failures > 0 {
			o.log.Info("the server takes results again", "failures", o.failures)
		}
		o.failures = 0
		o.limit = min(2*o.limit, firjob.MaxBatch)
		o.release(a)
	case ctx.Err() == nil:
		o.queue = append(o.queue, a.batch...)
		if !busy(a.err) {
			o.limit = max(len(a.batch)/2, 1)
		}
		o.hold(a.err)
	}
}

// busy reports whether the server takes nothing at all for now, whatever it is.
func busy(err error) bool {
	status := statusOf(err)
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

// hold pauses the callbacks after a failure.
func (o *outbox) hold(err error) {
	o.failures++
	longest := longestWait
	if hopeless(err) {
		longest = slowWait
	}
	wait := max(backoff(o.failures, longest), askedWait(err))
	if worthLogging(o.failures) {
		o.log.Warn("the server took no results; they are kept and sent again", "failures", o.failures, "wait", wait,
			"error", err)
	}
	o.pausing = true
	o.pause.Reset(wait)
}

// release forgets results that have their receipts.
func (o *outbox) release(a answer) {
	refs := make([]firjob.AttemptRef, len(a.batch))
	size := 0
	for i, it := range a.batch {
		refs[i] = it.ref
		size += it.size()
		if r := a.receipts[i]; r == firjob.ReceiptStale || r == firjob.ReceiptUnknown {
			o.log.Warn("the server has no use for a result", "execution", it.ref.ID.String(), "token", it.ref.Token,
				"receipt", r)
		}
	}
	o.acknowledge(refs)
	if err := o.spool.done(a.batch); err != nil {
		o.log.Warn("the spool was not tidied; results may be sent twice, which does no harm", "error", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count -= len(a.batch)
	o.bytes -= size
	if o.count == 0 && o.empty != nil {
		close(o.empty)
		o.empty = nil
	}
}

// compactBody writes a callback in CBOR.
func compactBody(app, address, incarnation string, batch []*item) ([]byte, error) {
	callback := firjob.Callback{App: app, Address: address, Incarnation: incarnation,
		Results: make([]firjob.Result, len(batch))}
	for i, it := range batch {
		callback.Results[i] = it.result
	}
	return codec.Encode(codec.CBOR, &callback)
}

// callbackBody writes a callback in JSON: it joins what is spooled already.
func callbackBody(app, address, incarnation string, batch []*item) ([]byte, error) {
	head, err := json.Marshal(
		firjob.Callback{App: app, Address: address, Incarnation: incarnation, Results: []firjob.Result{}})
	if err != nil {
		return nil, fmt.Errorf("write a callback: %w", err)
	}
	size := len(head)
	for _, it := range batch {
		size += len(it.line) + 1
	}
	body := append(make([]byte, 0, size), bytes.TrimSuffix(head, []byte("]}"))...)
	for i, it := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, it.line...)
	}
	return append(body, "]}"...), nil
}

package worker

import "errors"

// The causes for which a handler's context ends early, as [context.Cause]
// returns them.
var (
	// ErrCancelled: somebody asked for it. An error that the handler returns
	// after that ends the execution as cancelled.
	ErrCancelled = errors.New("worker: the execution was cancelled")

	// ErrTimeout: the job's timeout has passed since the handler started. An
	// error that the handler returns after that ends the attempt as timed out.
	ErrTimeout = errors.New("worker: the job's timeout has passed")

	// ErrLeaseLost: the server has given the attempt up, or may have, because
	// it was not reached for too long; the execution may start elsewhere at any
	// moment. An error that the handler returns after that is logged and not
	// reported: it is ours, not the handler's, and the server sends the
	// execution again if its job allows that. Success is reported and counts
	// unless a newer attempt exists.
	ErrLeaseLost = errors.New("worker: the lease of the attempt is lost")

	// ErrDraining: the worker stops and DrainTimeout has passed. As with
	// ErrLeaseLost, an error that the handler returns after that is not
	// reported, so that the execution goes to another executor.
	ErrDraining = errors.New("worker: the worker is stopping")
)

// errExited stands for the error of a handler that ended its goroutine.
var errExited = errors.New("the handler ended its goroutine (runtime.Goexit)")

// Package worker is the executor's side of fir-job: it lets a program run the
// executions that a server sends to its app.
//
//	w, err := worker.New(worker.Options{Server: url, App: "billing", Secret: secret})
//	w.Handle("report", func(ctx context.Context, t *worker.Task) error { … })
//	err = w.Run(ctx)
//
// A worker listens on a port of its own, tells the server about it, and takes
// batches of triggers there:
//
//	         trigger               table                  pool
//	server ──────────▶ receiver ──▶ dedupes, bounds ──▶ runs handlers
//	   ▲                              │    ▲               │
//	   │  beat: what is held          │    │ acknowledged  │ result
//	   ├──────────────────────────────┘    │               ▼
//	   └────────────────────────────── outbox ◀──▶ spool (a folder)
//	             callback
//
// # What a handler can rely on
//
// An accepted attempt runs once in this process, however often the server
// repeats it. Over several processes an execution may run more than once: a
// machine that stops answering gets no more time than its lease, and then
// another one is asked. Handlers with effects outside therefore use
// [Task.IdempotencyKey], which all attempts of an execution share, or
// [Task.Token], which only grows, so that whatever they write to can refuse an
// older one.
//
// The handler's context ends early in four cases, told apart by
// [context.Cause]: [ErrTimeout], [ErrCancelled], [ErrLeaseLost], [ErrDraining].
// A handler that returns nil has succeeded, even after that. What an error then
// means is said with each of them. An error that comes before is a failure, about
// which [Permanent] and [RetryAfter] may say more.
//
// Before the handler of an exclusive job begins, the worker asks the server
// whether its attempt still is the current one. It waits for the answer as long
// as its lease holds, and without one the handler does not begin.
//
// # Leases
//
// Beats tell the server what is held here, and its answer renews the leases of
// what the beat named. If no beat was answered for four fifths of a lease, the
// worker must expect that the server gives the work to somebody else soon: it
// ends the handlers itself and starts none that still wait. The time is counted
// on the monotonic clock from the moment at which the last answered beat was
// begun, so neither a slow answer nor a wrong wall clock adds to it. (On Linux the monotonic clock stands still while
// the machine sleeps; the first beat after that tells what is stale.)
//
// # Logs and progress
//
// What a handler says by [Task.Log] and [Task.Progress] goes to the server in
// reports of their own, every half a second while there is something to say, and
// at once when a handler ends. This is for people to read: it never holds up a
// handler or a result, and what there is no room for is dropped. At most 8 MiB
// are kept in all, and 1 MiB of one attempt besides the report that is on its way.
//
// # Results
//
// A result is written to the spool before it is sent, and stays there until the
// server has acknowledged it. What is left over when a process dies is sent by
// the next one that uses the same folder. Writes are not fsynced: the spool
// survives the death of the process, not that of the machine, for which the
// server has its leases.
package worker

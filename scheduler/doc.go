// Package scheduler decides WHEN: it plans fires, claims them when they are
// due, sends them to executors, records how they ended, and finds whatever got
// stuck on the way. Every server runs all of it; there is no leader.
//
//	jobs ──plan──▶ executions ──announce──▶ delay queue (Redis, advice)
//	                   ▲                         │ claim, ~250 ms ahead
//	                   │                         ▼
//	 finish ◀──┐   commit the claim (Postgres decides, gives the token)
//	           │       │
//	           │       ▼ hold to the exact instant
//	 executor ◀── send ◀── pick an executor
//
// What if it crashes here?
//
//	after planning, before announcing   the sweep claims what is overdue
//	after the queue's claim             who gets its shards claims it (inherit), else
//	                                    the queue's lease ends, Reap returns it
//	after the commit, before the send   LoseReplica, then the lease
//	after the send                      the executor's beats keep the lease
//	after finishing, before the answer  the executor repeats; a duplicate
//
// One clock for each fact: what is due is decided by the store's clock, of
// which each server keeps an estimate that is never ahead (storeClock); what
// lasts is measured on the local monotonic clock. The wall clock of a server
// decides nothing.
package scheduler

// Package redisq is all of Redis: the delay queue, the registry of executors
// and servers, the epoch of the index, the wake-ups. Redis is advice. It says
// when to look and whom to ask; Postgres decides. So every key may vanish at
// any time, every reply may be lost, and nothing here is retried: the next
// pass of the caller is the retry.
//
//	            announce                claim
//	(planned) ───────────▶ due ─────────────────────▶ lease ── ack ──▶ (gone)
//	                        ▲  ▲                      │   │
//	                        │  └─────── return ───────┘   │
//	                        └────── reap, lease over ─────┘
//
// An execution is in at most one of a shard's two sorted sets: each arrow is
// one script. Times are epoch milliseconds by the clock of Redis; what a caller
// gets are durations from its now. Members are read as hostile input: what is
// no execution id of the shard is removed, logged and skipped.
package redisq

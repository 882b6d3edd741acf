// Package bench measures clusters that it starts on this machine: servers and
// executors as processes of their own, beside a Postgres and a Redis that keep
// what they are told. Each benchmark counts, in Postgres and by arithmetic that is
// none of the scheduler's, what had to happen and what did; a figure counts only
// with that count beside it.
package bench

// Package localstack finds and starts private Postgres and Redis servers on
// this machine. Development, tests and benchmarks share it, so that what a test
// proves is what `firjob dev` runs.
//
// A server is private to the program that started it: Postgres listens on a
// Unix socket in a folder of mode 0700 and on nothing else, Redis on a free
// loopback port. It ends when its owner calls Stop; on Linux it also ends when
// its owner dies. Started by root, Postgres runs as user postgres, else nobody,
// because it refuses to run as root.
//
// The package speaks no SQL and links no driver: callers connect with theirs.
package localstack

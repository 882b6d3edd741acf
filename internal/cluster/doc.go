// Package cluster runs a whole fir-job on this machine: private Postgres and
// Redis, servers behind a round robin, and workers, each of them a process of
// its own that can be killed for real. firjob dev, the benchmarks and the tests
// of what must be survived all stand on it.
package cluster

package capacity

// This file holds every measured number of the model, each with its source. It
// is the one to change after a new measurement.

// Recorded is what the plan is made from when no measurement is given.
func Recorded() Costs {
	return Costs{
		Source: "recorded: firjob bench throughput --rate 30000 --runs 2 --duration 8s --postgres " +
			"shared_buffers=2GB; " +
			"2 cores of an AMD EPYC at 2.6 GHz, PostgreSQL 15, Redis 7.0.15; 2026-11-22",
		CPU:          PerComponent{Postgres: 35.9, Redis: 6.2, Servers: 13.4, Executors: 9.5},
		RSS:          PerComponent{Servers: 210, Executors: 237},
		Rate:         29_332,
		ExecutorRate: 29_332, // there was one of each
	}
}

// Bytes of one execution in Postgres:
//
//	go test ./storage -run '^$' -bench 'Costs$' -benchtime 200x
//
// PostgreSQL 15.18, 102,400 executions a case, batches of 512; 2026-11-22.
const (
	walInsert  = 386.0 // insert-WAL-B
	walClaim   = 138.0 // claim-WAL-B
	walFinish  = 378.0 // finish-WAL-B
	walHold    = 263.0 // hold-WAL-B: a beat names it, or renews its lease
	walAdvance = 494.0 // advance-WAL-B: a plan moves a job on, whatever the number of its fires
	// seldom-WAL-B, of -bench CostsOfSeldomJobs -benchtime 3x: the pages of a job that are written whole.
	walSeldom = 15723.0 - walAdvance
	walResult = 1.04 // (finish-WAL-B with a result of 1000 bytes - without) / 1000

	tableBytes  = 340.0 // table-B
	indexBytes  = 168.0 // index-B
	tableResult = 1.36  // (table-B with a result of 1000 bytes - without) / 1000
	jobBytes    = 650.0 // job-B: a job with its indexes, its params of 43 bytes included

	wireInsert  = 87.0  // insert-wire-B
	wireClaim   = 193.0 // claim-wire-B without the params
	wireFinish  = 169.0 // finish-wire-B
	wireHold    = 172.0 // hold-wire-B
	wireAdvance = 463.0 // advance-wire-B without the params
)

// Bytes of one execution in Redis:
//
//	go test ./redisq -run '^$' -bench 'Costs$' -benchtime 200x
//
// Redis 7.0.15, 102,400 executions, batches of 512 over four shards; 2026-11-22.
const (
	redisMemory = 145.0 // memory-B, while the id is in the index
	redisWire   = 152.0 // wire-B
)

// Bytes of JSON between a server and an executor for one execution; TestWireSizes
// makes them from the types of wire.go.
const (
	triggerJSON = 250.0 // Trigger and its Acceptance, without the params
	resultJSON  = 180.0 // Result and its Receipt, without the result
	attemptJSON = 66.0  // AttemptRef, in each beat
)

// What the code says.
const (
	rowWrites    = 3      // storage: insert, claim, finish
	redisMembers = 5      // lua: ZADD, ZREM to announce; ZREM, ZADD to claim; ZREM to acknowledge
	serverConns  = 16     // FIRJOB_DATABASE_CONNS
	leastShards  = 8      // FIRJOB_SHARDS
	mostShards   = 1024   // FIRJOB_SHARDS
	perUnit      = 8      // shards for each server and each Redis primary, so that chance evens out
	flights      = 8192   // maxFlights in scheduler/fire.go: what a server may hold claimed
	leadSeconds  = 0.25   // lead in scheduler/fire.go: for how long it holds that
	executorPool = 32     // FIRJOB_CONCURRENCY: handlers at a time, by core
	wholeDay     = 86_400 // seconds: the retention drops whole days
)

// checkpoint is Postgres's checkpoint_timeout, in seconds. The first change of a
// page after a checkpoint writes all of it to the WAL.
const checkpoint = 300.0

// Assumptions: nobody has measured these here.
const (
	connectionBytes = 10e6 // memory of one Postgres connection
	leastMemory     = 1e9  // of a Postgres, bytes
)

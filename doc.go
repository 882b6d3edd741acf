// Package firjob holds the nouns of the scheduler and the rules that belong to
// them: jobs and their schedules, executions and their states, executors, the
// messages between a server and an executor. It does no I/O, so that every
// other package, the executor's SDK included, can speak in its terms without
// linking a driver.
//
//	job ──fires──▶ execution ──attempt (token)──▶ executor
//
// A Job is a definition. Each instant at which it is due is a fire; the record
// of a fire is an Execution, whose id is the identity of the fire itself
// ([ExecutionID]). An execution is sent to an executor once or more; each
// sending is an attempt and carries a fencing token that only grows.
package firjob

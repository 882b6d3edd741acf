// Package firjob holds the nouns of the scheduler: jobs and their schedules,
// executions and their states, executors, the messages between a server and an
// executor, errors and ids. It does no I/O and links no driver, so that an executor
// may import it. The rules that find fires and faults are in internal/timetable and
// internal/validate, the values between the server's parts in internal/ports.
//
//	job ──fires──▶ execution ──attempt (token)──▶ executor
//
// A Job is a definition. Each instant at which it is due is a fire; the record
// of a fire is an Execution, whose id is the identity of the fire itself
// ([ExecutionID]). An execution is sent to an executor once or more; each
// sending is an attempt and carries a fencing token that only grows.
package firjob

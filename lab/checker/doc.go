// Package checker judges what a cluster did under faults. It knows nothing of
// the scheduler's own code for schedules: what must have happened comes from an
// oracle of a few lines, what did happen from a history that observers wrote down
// and from the stores as they were in the end.
//
//	history ─┐
//	         ├─ Check ─▶ Report (violations, figures) ─▶ text, timeline
//	dump ────┘
//
// A history is a file of one JSON line an event, each written by one write,
// which a kill -9 cannot tear. Its stamps are of the system's monotonic clock, so
// that the events of all processes of one machine have one order.
package checker

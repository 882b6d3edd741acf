package firjob

import (
	"encoding/json"
	"time"
)

// JobFilter selects and pages jobs. Zero fields do not select.
type JobFilter struct {
	App      string
	Query    string // part of a name or handler, case ignored
	Enabled  *bool
	After    JobID
	PageSize int
}

// ExecutionFilter selects and pages executions. Zero fields do not select.
type ExecutionFilter struct {
	Job          JobID
	App          string
	States       []State
	Since, Until time.Time // of the scheduled time; until is exclusive
	Before       ExecutionID
	PageSize     int
}

// TriggerRequest asks for one execution of a job.
type TriggerRequest struct {
	Job     JobID
	Params  json.RawMessage // nil: the job's
	At      time.Time       // zero: now, by the store's clock
	Key     string          // Idempotency-Key; "" = none
	Horizon time.Duration
}

// Stats is what the store knows for GET /stats.
type Stats struct {
	ByState    map[State]int64
	LatenessMS map[string]float64 // "p50", "p99", "max"
}

// Audit is what the records say of the executions that were scheduled within a
// span, and of those that ended within it.
type Audit struct {
	Recorded  int64 // scheduled within the span
	Succeeded int64 // of these
	Open      int64 // of these: not final yet
	Repeated  int64 // attempts of these beyond the first of each
	Early     int64 // of these: started before their time
	Finished  int64 // ended within the span, whenever they were scheduled
	// LatenessMS are quantiles of the start after the scheduled time: of what
	// the handler returned, in microseconds, if it returned a number, else of
	// the recorded start. In the order of AuditQuantiles; nil if nothing started.
	LatenessMS []float64
}

// AuditQuantiles are the quantiles of Audit.LatenessMS; 1 is the maximum.
func AuditQuantiles() []float64 { return []float64{0.5, 0.99, 0.999, 1} }

package firjob

import "encoding/json"

// Join says when a job with several parents is triggered.
type Join string

// The joins.
const (
	JoinAll Join = "all" // once each parent has ended as its condition says
	JoinAny Join = "any" // once the first parent has
)

// On says which end of a parent counts.
type On string

// The conditions.
const (
	OnSuccess On = "success" // succeeded
	OnFailure On = "failure" // failed, timed_out, lost
	OnEnd     On = "end"     // these, and cancelled
)

// Meets reports whether a parent that ended in s meets the condition. What never
// ran (skipped, missed, superseded) is no end.
func (o On) Meets(s State) bool {
	switch s {
	case StateSucceeded:
		return o == OnSuccess || o == OnEnd
	case StateFailed, StateTimedOut, StateLost:
		return o == OnFailure || o == OnEnd
	case StateCancelled:
		return o == OnEnd
	}
	return false
}

// Parents are the jobs whose end triggers another one, in the transaction that
// records that end: never lost, never twice. A join is made within one run: the
// tree below one execution, or the trees of several that are scheduled for the
// same instant (see RunOf).
type Parents struct {
	Join Join     `json:"join"` // all by default
	Of   []Parent `json:"of"`
}

// Parent is one of them.
type Parent struct {
	Job JobID `json:"job"`
	On  On    `json:"on"` // success by default
}

// ParentEnd is how one parent ended, as the child's handler sees it.
type ParentEnd struct {
	Job         JobID           `json:"job_id"`
	Name        string          `json:"job"`
	ExecutionID ExecutionID     `json:"execution_id"`
	State       State           `json:"state"`
	Result      json.RawMessage `json:"result,omitempty"`
	Note        string          `json:"note,omitempty"` // why there is no result, if that is not the handler's doing
}

// MaxInputs is how many bytes the ends of a child's parents may have together.
// Beyond it the largest results are left out, and their Note says so.
const MaxInputs = 1 << 20

// RunOf returns the identity of the run that an execution belongs to: its root's
// id without job and ordinal. Scheduled roots of one instant are one run, so that
// jobs with equal schedules can be joined; a manual or backfill root, whose nonce
// is its own, is a run by itself.
func RunOf(root ExecutionID) ExecutionID {
	root[6], root[7] = 0x80, 0
	root[12], root[13], root[14], root[15] = 0, 0, 0, 0
	return root
}

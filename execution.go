package firjob

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// State is where an execution stands. See docs/guarantees.md for the drawing.
type State string

// The states. Planned and running are open; the others are final and never
// change, but for superseded, which planning the same fire again revives.
const (
	StatePlanned    State = "planned"    // recorded; waits for its instant, its retry or its turn
	StateRunning    State = "running"    // claimed by a replica: on its way to an executor or there
	StateSucceeded  State = "succeeded"  // the handler returned nil
	StateFailed     State = "failed"     // the handler failed and no attempt is left
	StateTimedOut   State = "timed_out"  // the handler ran beyond the job's timeout
	StateCancelled  State = "cancelled"  // somebody asked for it
	StateLost       State = "lost"       // attempts exhausted without an answer
	StateSkipped    State = "skipped"    // the job's overlap rule said so
	StateMissed     State = "missed"     // the job's misfire policy said so
	StateSuperseded State = "superseded" // the job changed or was deleted before the fire
)

// States lists every state, open ones first.
func States() []State {
	return []State{StatePlanned, StateRunning, StateSucceeded, StateFailed, StateTimedOut,
		StateCancelled, StateLost, StateSkipped, StateMissed, StateSuperseded}
}

// Final reports whether nothing more happens in s.
func (s State) Final() bool { return s != StatePlanned && s != StateRunning }

// ParseState reads a state's name.
func ParseState(name string) (State, error) {
	for _, s := range States() {
		if string(s) == name {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is not a state; want one of %s", name, commas(States()))
}

// commas returns words with commas between them.
func commas[W ~string](words []W) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// Outcome is how one attempt ended.
type Outcome string

// The outcomes. OutcomeLost is the server's word for an attempt without an
// answer; the others are the executor's.
const (
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeTimedOut  Outcome = "timed_out"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeLost      Outcome = "lost"
)

// State returns the final state of an execution whose last attempt ended so.
func (o Outcome) State() State { return State(o) }

// Attempt is one sending of an execution to one executor.
type Attempt struct {
	Attempt    int        `json:"attempt"`
	Token      int64      `json:"token"`
	Executor   string     `json:"executor,omitempty"`
	Process    string     `json:"process,omitempty"` // the executor's incarnation, of a lost attempt
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Outcome    Outcome    `json:"outcome,omitempty"` // empty while it runs
	Reason     string     `json:"reason,omitempty"`
}

// Execution is the record of one fire, or of one manual, backfill or child
// trigger.
type Execution struct {
	ID          ExecutionID     `json:"id"`
	JobID       JobID           `json:"job_id"`
	JobVersion  int             `json:"job_version"` // 0: follows whatever the job says when it is claimed
	App         string          `json:"app"`
	Job         string          `json:"job"` // the job's name
	Handler     string          `json:"handler"`
	Kind        Kind            `json:"kind"`
	ScheduledAt time.Time       `json:"scheduled_at"`
	DueAt       time.Time       `json:"due_at"` // when it is next to be sent: scheduled_at, or the instant of its retry
	State       State           `json:"state"`
	Reason      string          `json:"reason,omitempty"`
	Attempt     int             `json:"attempt"`
	Token       int64           `json:"token"`
	Executor    string          `json:"executor,omitempty"`
	Params      json.RawMessage `json:"params,omitempty"`
	StartedAt   *time.Time      `json:"started_at,omitempty"`
	FinishedAt  *time.Time      `json:"finished_at,omitempty"`
	LatenessMS  *float64        `json:"lateness_ms,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Attempts    []Attempt       `json:"attempts,omitempty"`
	RetryOf     *ExecutionID    `json:"retry_of,omitempty"`
	Missed      *MissedRange    `json:"missed,omitempty"`
	Waiting     bool            `json:"waiting,omitempty"` // for its turn: Reason says whose
	// whose end triggered it, whose shard it is, or that it runs again
	Parent   *ExecutionID    `json:"parent,omitempty"`
	Root     *ExecutionID    `json:"root,omitempty"`   // of the tree that it belongs to, if it has a parent
	Shard    *ShardOf        `json:"shard,omitempty"`  // of a broadcast
	Inputs   json.RawMessage `json:"inputs,omitempty"` // a list of ParentEnd; not in lists of executions
	Shards   []Execution     `json:"shards,omitempty"` // of a broadcast, by their number; not in lists of executions
	Progress *Progress       `json:"progress,omitempty"`
}

// ShardOf says which part of a broadcast an execution is.
type ShardOf struct {
	Index  int    `json:"index"` // from 0
	Total  int    `json:"total"`
	Target string `json:"-"` // the address of the executor that it is meant for
}

// Progress is what a handler last said of itself.
type Progress struct {
	Percent int       `json:"percent"` // 0 to 100
	Note    string    `json:"note,omitempty"`
	At      time.Time `json:"at"`
}

// MissedRange says that one record stands for several fires of a job that were
// not run, the first of which is the record's own.
type MissedRange struct {
	Until time.Time `json:"until"` // the last of them
	Count int       `json:"count"`
}

// Due is an entry of the delay queue: an execution and the instant at which it
// is to be sent.
type Due struct {
	ID ExecutionID
	At time.Time
}

// AttemptRef names one attempt.
type AttemptRef struct {
	ID    ExecutionID `json:"id"`
	Token int64       `json:"token"`
}

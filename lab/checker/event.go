package checker

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// Kind is what an event tells of.
type Kind string

// The kinds of events.
const (
	KindRun      Kind = "run"      // the history begins: the wall clock of its stamp
	KindWrite    Kind = "write"    // a change of a job through the API
	KindTrigger  Kind = "trigger"  // an executor received an attempt
	KindStart    Kind = "start"    // a handler began
	KindEnd      Kind = "end"      // a handler ended
	KindCallback Kind = "callback" // a result was sent, and how it was answered
	KindFault    Kind = "fault"    // something bad was done, or undone
)

// Phase is a part of something that takes time.
type Phase string

// The phases. A write whose answer never came is unknown: it may have happened,
// then or later.
const (
	PhaseBegin   Phase = "begin"
	PhaseOK      Phase = "ok"
	PhaseFailed  Phase = "failed"
	PhaseUnknown Phase = "unknown"
)

// Op is a change of a job.
type Op string

// The changes.
const (
	OpCreate Op = "create"
	OpEdit   Op = "edit"
	OpPause  Op = "pause"
	OpResume Op = "resume"
	OpDelete Op = "delete"
	// OpTrigger asks for an execution, which the answer names; the job stays as it is.
	OpTrigger Op = "trigger"
)

// Event is one line of a history. Which fields count depends on Kind.
type Event struct {
	Mono  time.Duration `json:"mono"` // of the system's monotonic clock
	Wall  time.Time     `json:"wall"` // for people, and on KindRun for the checker
	Kind  Kind          `json:"kind"` //
	Phase Phase         `json:"phase,omitempty"`

	// Of a write.
	Write int64        `json:"write,omitempty"` // joins its phases
	Op    Op           `json:"op,omitempty"`
	Job   firjob.JobID `json:"job,omitempty"`
	Spec  *Spec        `json:"spec,omitempty"` // what the job is after it

	// Of an attempt.
	Execution   firjob.ExecutionID `json:"execution,omitzero"`
	Token       int64              `json:"token,omitempty"`
	Attempt     int                `json:"attempt,omitempty"`
	Executor    string             `json:"executor,omitempty"` // address
	Incarnation string             `json:"incarnation,omitempty"`
	PID         int                `json:"pid,omitempty"`
	Outcome     firjob.Outcome     `json:"outcome,omitempty"`
	Status      int                `json:"status,omitempty"`  // of the HTTP answer; 0 = none came
	Receipt     firjob.Receipt     `json:"receipt,omitempty"` // of the result

	// Of a fault.
	Fault  string `json:"fault,omitempty"`  // its class, as in "kill-replica"
	Target string `json:"target,omitempty"` // what it hit, as in "server-2"
}

// Write appends one event as one line by one write.
func Write(w io.Writer, e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}

// maxLine bounds one event.
const maxLine = 1 << 20

// Read returns the events of a history in the order of their stamps. A last line
// without its end, of a process that was killed, is left out.
func Read(r io.Reader) ([]Event, error) {
	var events []Event
	words := words{}
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read line %d of the history: %w", n, err)
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read line %d of the history, %q: %w", n, line, err)
		}
		words.share(&e)
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.Mono - b.Mono) })
	return events, nil
}

// words holds each text of a history once: a long one has a million events, and
// some hundred different texts.
type words map[string]string

func (w words) share(e *Event) {
	share(w, &e.Kind)
	share(w, &e.Phase)
	share(w, &e.Op)
	share(w, &e.Executor)
	share(w, &e.Incarnation)
	share(w, &e.Outcome)
	share(w, &e.Receipt)
	share(w, &e.Fault)
	share(w, &e.Target)
}

func share[T ~string](w words, text *T) {
	if *text == "" {
		return
	}
	known, ok := w[string(*text)]
	if !ok {
		known = string(*text)
		w[known] = known
	}
	*text = T(known)
}

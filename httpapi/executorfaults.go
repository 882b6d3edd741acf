package httpapi

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
	"github.com/firjob/firjob/internal/naming"
	"github.com/firjob/firjob/internal/validate"
)

// Bounds of what an executor says of itself. The numbers are stored in 32 bits.
const (
	maxIncarnation = 64      // bytes
	maxCount       = 1000000 // handlers or triggers
	maxHolding     = 100000  // attempts
)

func faultsOfBeat(b firjob.Beat, now time.Time) []firjob.FieldError {
	f := &faults{list: faultsOfSender(b.Address, b.Incarnation)}
	f.within("capacity", b.Capacity, 1, maxCount)
	f.within("queue", b.Queue, 0, maxCount)
	f.within("running", b.Running, 0, maxCount)
	if len(b.Version) > firjob.MaxName || !printable(b.Version) {
		f.add("version", nil, fmt.Sprintf("must have at most %d bytes, all printable", firjob.MaxName))
	}
	f.list = append(f.list, validate.ExecutorState("state", b.State)...)
	f.list = append(f.list, naming.Labels("labels", b.Labels)...)
	if at := b.StartedAt; !at.IsZero() && (at.UTC().Year() < 2000 || at.After(now.Add(24*time.Hour))) {
		f.add("started_at", at, "must lie between the year 2000 and tomorrow; is the executor's clock right?")
	}
	f.attempts("holding", b.Holding)
	f.attempts("waiting", b.Waiting)
	return f.list
}

func (f *faults) within(field string, n, low, high int) {
	if n < low || n > high {
		f.add(field, n, fmt.Sprintf("must be %d to %d", low, high))
	}
}

func (f *faults) attempts(field string, list []firjob.AttemptRef) {
	if len(list) > maxHolding {
		f.add(field, nil, fmt.Sprintf("has %d items, more than %d", len(list), maxHolding))
		return
	}
	for i, a := range list {
		f.items(field, i, faultsOfAttempt(a))
	}
}

// faultsOfCallback finds what makes the whole callback unusable, and results that
// belong to no attempt. Every other fault of a result is that result's alone.
func faultsOfCallback(c firjob.Callback) []firjob.FieldError {
	f := &faults{list: faultsOfSender(c.Address, c.Incarnation)}
	if len(c.Results) > firjob.MaxBatch {
		f.add("results", nil, fmt.Sprintf("has %d items, more than %d", len(c.Results), firjob.MaxBatch))
		return f.list
	}
	for i, r := range c.Results {
		f.items("results", i, faultsOfAttempt(firjob.AttemptRef{ID: r.ID, Token: r.Token}))
	}
	return f.list
}

// items adds the faults of the i-th item of a list, unless there are more than
// an answer lists already.
func (f *faults) items(field string, i int, list []firjob.FieldError) {
	for _, e := range list {
		if len(f.list) <= maxFaults {
			f.add(fmt.Sprintf("%s[%d].%s", field, i, e.Field), e.Value, e.Message)
		}
	}
}

func faultsOfSender(address, incarnation string) []firjob.FieldError {
	list := naming.Address(address)
	if incarnation == "" || len(incarnation) > maxIncarnation || !printable(incarnation) {
		list = append(list, firjob.FieldError{Field: "incarnation", Value: incarnation,
			Message: fmt.Sprintf("must have 1 to %d bytes, all printable", maxIncarnation)})
	}
	return list
}

// faultsOfResult finds what is wrong with a result beside its id and token.
func faultsOfResult(r firjob.Result) (list []firjob.FieldError) {
	switch r.Outcome {
	case firjob.OutcomeSucceeded, firjob.OutcomeFailed, firjob.OutcomeTimedOut, firjob.OutcomeCancelled:
	default:
		list = append(list, firjob.FieldError{Field: "outcome", Value: string(r.Outcome),
			Message: "must be succeeded, failed, timed_out or cancelled"})
	}
	if err := jsontext.Check(r.Result, firjob.MaxResult); err != nil {
		list = append(list, firjob.FieldError{Field: "result", Message: err.Error()})
	}
	return list
}

func faultsOfAttempt(a firjob.AttemptRef) []firjob.FieldError {
	var list []firjob.FieldError
	if a.ID.IsZero() {
		list = append(list, firjob.FieldError{Field: "id", Message: "is missing"})
	}
	if a.Token <= 0 {
		list = append(list, firjob.FieldError{Field: "token", Value: a.Token, Message: "must be above 0"})
	}
	return list
}

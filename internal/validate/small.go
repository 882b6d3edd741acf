package validate

import (
	"encoding/json"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/jsontext"
)

// Params returns what is wrong with the field "params", of a job or of
// a trigger; none at all are good.
func Params(params json.RawMessage) []firjob.FieldError {
	var f faults
	if err := jsontext.Check(params, firjob.MaxParams); err != nil {
		f.add("params", nil, "%v", err)
	}
	return f
}

// AppLimits returns what is wrong with limits that somebody wrote, nil if nothing
// is.
func AppLimits(l firjob.AppLimits) []firjob.FieldError {
	var f faults
	f.count("max_running", l.MaxRunning, 0, firjob.MaxAppRunning)
	if !(l.MaxPerSecond >= 0 && l.MaxPerSecond <= firjob.MaxAppPerSecond) {
		f.add("max_per_second", l.MaxPerSecond, "must be 0 (no limit) to %d", firjob.MaxAppPerSecond)
	}
	return f
}

// ExecutorState returns what is wrong with the state of an executor;
// field is its path.
func ExecutorState(field string, state firjob.ExecutorState) []firjob.FieldError {
	var f faults
	oneOf(&f, field, state, firjob.ExecutorStates()...)
	return f
}

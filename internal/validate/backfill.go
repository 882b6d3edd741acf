package validate

import (
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// Backfill returns every fault of a request for a backfill, nil if there is
// none. now is the store's clock, retention how long executions are kept.
func Backfill(r ports.BackfillRequest, now time.Time, retention time.Duration) []firjob.FieldError {
	var f faults
	oldest := now.Add(-retention)
	switch {
	case r.From.IsZero():
		f.add("from", nil, "is missing: the first instant of the range")
	case r.From.Before(oldest):
		f.add("from", r.From, "must not be before %s: records older than the retention are dropped",
			oldest.UTC().Format(time.RFC3339))
	}
	switch {
	case r.Until.IsZero():
		f.add("until", nil, "is missing: the end of the range, which is not in it")
	case r.Until.After(now):
		f.add("until", r.Until, "must not lie in the future: what is to come, the job fires by itself")
	case !r.From.IsZero() && !r.From.Before(r.Until):
		f.add("until", r.Until, "must be later than from")
	}
	f.count("max_running", r.MaxRunning, 1, ports.MaxBackfillRunning)
	return append(f, Params(r.Params)...)
}

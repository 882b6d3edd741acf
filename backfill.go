package firjob

import (
	"fmt"
	"slices"
	"time"
)

// Validate returns every fault of a request for a backfill, nil if there is
// none. now is the store's clock, retention how long executions are kept.
func (r BackfillRequest) Validate(now time.Time, retention time.Duration) []FieldError {
	var f faults
	oldest := now.Add(-retention)
	switch {
	case r.From.IsZero():
		f.add("from", nil, "is missing: the first instant of the range")
	case r.From.Before(oldest):
		f.add("from", r.From, "must not be before %s: records older than the retention are dropped", oldest.UTC().Format(time.RFC3339))
	}
	switch {
	case r.Until.IsZero():
		f.add("until", nil, "is missing: the end of the range, which is not in it")
	case r.Until.After(now):
		f.add("until", r.Until, "must not lie in the future: what is to come, the job fires by itself")
	case !r.From.IsZero() && !r.From.Before(r.Until):
		f.add("until", r.Until, "must be later than from")
	}
	f.count("max_running", r.MaxRunning, 1, MaxBackfillRunning)
	return append(f, ValidateParams(r.Params)...)
}

// Count returns how many fires of times the range holds, with the first and the
// last. CodeInvalid if there are none, or more than MaxBackfillFires.
func (r BackfillRequest) Count(times *Timetable) (n int, first, last time.Time, err error) {
	for f := range times.Between(r.From, r.Until) {
		if n++; n == 1 {
			first = f
		}
		if last = f; n > MaxBackfillFires {
			return n, first, last, Invalid([]FieldError{{Field: "until", Value: r.Until, Message: fmt.Sprintf(
				"the range holds at least %d fires, the most is %d; the first %d end at %s: narrow the range to that",
				n, MaxBackfillFires, MaxBackfillFires, last.Format(time.RFC3339Nano))}})
		}
	}
	if n == 0 {
		err = Invalid([]FieldError{{Field: "from", Value: r.From, Message: "the job has no fire from here to until"}})
	}
	return n, first, last, err
}

// Next returns up to n fires of times that follow cursor in the order of the
// backfill; the zero cursor is its beginning.
func (r BackfillRequest) Next(times *Timetable, cursor time.Time, n int) []time.Time {
	if r.Newest {
		until := r.Until
		if !cursor.IsZero() {
			until = cursor
		}
		fires := times.Last(r.From, until, n)
		slices.Reverse(fires)
		return fires
	}
	from := r.From
	if !cursor.IsZero() {
		from = cursor.Add(time.Nanosecond)
	}
	var fires []time.Time
	for f := range times.Between(from, r.Until) {
		if len(fires) == n {
			break
		}
		fires = append(fires, f)
	}
	return fires
}

// Fire returns the id of the backfill's execution for the fire at the instant,
// so that recording it twice records it once.
func (b Backfill) Fire(at time.Time) ExecutionID {
	return NewExecutionID(b.Job, at, KindBackfill, uint32(b.ID))
}

// Backfillable says what keeps the past fires of j from being run: only those of
// cron, every and at are known without what happened then. "" if nothing does.
func (j Job) Backfillable() string {
	switch j.Schedule.Kind {
	case ScheduleCron, ScheduleEvery, ScheduleAt:
		return ""
	case ScheduleDelay:
		return "a job of kind delay counts from the end of its last execution, so it has no fires in the past but those that it had"
	}
	return fmt.Sprintf("a job of kind %s has no fires of its own; trigger it", j.Schedule.Kind)
}

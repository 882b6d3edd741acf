package timetable

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// CountFires returns how many fires of times the range holds, with the first and the
// last. CodeInvalid if there are none, or more than MaxBackfillFires.
func CountFires(r ports.BackfillRequest, times *Timetable) (n int, first, last time.Time, err error) {
	for f := range times.Between(r.From, r.Until) {
		if n++; n == 1 {
			first = f
		}
		if last = f; n > ports.MaxBackfillFires {
			return n, first, last,
				firjob.Invalid([]firjob.FieldError{{Field: "until", Value: r.Until, Message: fmt.Sprintf(
					"the range holds at least %d fires, the most is %d; the first %d end at %s: narrow the "+
						"range to that",
					n, ports.MaxBackfillFires, ports.MaxBackfillFires, last.Format(time.RFC3339Nano))}})
		}
	}
	if n == 0 {
		err = firjob.Invalid([]firjob.FieldError{
			{Field: "from", Value: r.From, Message: "the job has no fire from here to until"}})
	}
	return n, first, last, err
}

// NextFires returns up to n fires of times that follow cursor in the order of the
// backfill; the zero cursor is its beginning.
func NextFires(r ports.BackfillRequest, times *Timetable, cursor time.Time, n int) []time.Time {
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

// Backfillable says what keeps the past fires of j from being run: only those of
// cron, every and at are known without what happened then. "" if nothing does.
func Backfillable(j firjob.Job) string {
	switch j.Schedule.Kind {
	case firjob.ScheduleCron, firjob.ScheduleEvery, firjob.ScheduleAt:
		return ""
	case firjob.ScheduleDelay:
		return "a job of kind delay counts from the end of its last execution, so it has no fires in the past but " +
			"those that it had"
	}
	return fmt.Sprintf("a job of kind %s has no fires of its own; trigger it", j.Schedule.Kind)
}

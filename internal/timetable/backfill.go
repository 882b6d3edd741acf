package timetable

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
)

// Count returns how many fires of times the range holds, with the first and the
// last. CodeInvalid if there are none, or more than MaxBackfillFires.
func CountFires(r firjob.BackfillRequest, times *Timetable) (n int, first, last time.Time, err error) {
	for f := range times.Between(r.From, r.Until) {
		if n++; n == 1 {
			first = f
		}
		if last = f; n > firjob.MaxBackfillFires {
			return n, first, last, firjob.Invalid([]firjob.FieldError{{Field: "until", Value: r.Until, Message: fmt.Sprintf(
				"the range holds at least %d fires, the most is %d; the first %d end at %s: narrow the range to that",
				n, firjob.MaxBackfillFires, firjob.MaxBackfillFires, last.Format(time.RFC3339Nano))}})
		}
	}
	if n == 0 {
		err = firjob.Invalid([]firjob.FieldError{{Field: "from", Value: r.From, Message: "the job has no fire from here to until"}})
	}
	return n, first, last, err
}

// Next returns up to n fires of times that follow cursor in the order of the
// backfill; the zero cursor is its beginning.
func NextFires(r firjob.BackfillRequest, times *Timetable, cursor time.Time, n int) []time.Time {
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

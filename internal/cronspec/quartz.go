package cronspec

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// cycleYears is how far ahead a match is looked for: after 400 years, which are
// whole weeks, the calendar repeats itself, so what has not matched by then
// never will.
const cycleYears = 400

// quartz is a pattern of the quartz dialect: six fields with the seconds first,
// or seven with the year last. One of the two day fields is always "?", so a day
// is never a matter of two fields.
type quartz struct {
	times *cron.SpecSchedule // of every day; asked in UTC only
	days  daySet
	years []int // ascending; nil: every year
	notes []string
}

func parseQuartz(expr string, seed uint64) (quartz, error) {
	texts, err := quartzFields(expr)
	if err != nil {
		return quartz{}, err
	}
	var q quartz
	if err := q.readTimes(texts, seed); err != nil {
		return quartz{}, err
	}
	if err := q.readDays(texts, seed); err != nil {
		return quartz{}, err
	}
	q.notes = append(q.notes, tooOften(texts, q.times.Second)...)
	start := time.Date(1970, 1, 1, 0, 0, 0, -1, time.UTC)
	if !everFires(texts[month], func(months uint64) bool { return !q.with(months).next(start).IsZero() }) {
		return quartz{}, neverFires(expr, texts[month])
	}
	return q, nil
}

// with returns q in other months.
func (q quartz) with(months uint64) quartz {
	times := *q.times
	times.Month = months
	q.times = &times
	return q
}

// quartzFields returns the seven fields of an expression.
func quartzFields(expr string) ([]string, error) {
	fields := strings.Fields(expr)
	switch {
	case expr[0] == '@':
		return nil, fmt.Errorf("%q is of the unix dialect; this one wants 6 or 7 fields such as \"0 30 2 * * ?\"", expr)
	case len(fields) == 6:
		return append(fields, "*"), nil
	case len(fields) == 7:
		return fields, nil
	}
	return nil, fmt.Errorf("%q has %d fields; want 6 (second minute hour day-of-month month day-of-week), or 7 with "+
		"the year last", expr, len(fields))
}

// readTimes reads the fields but for the days.
func (q *quartz) readTimes(texts []string, seed uint64) error {
	var fields [len(quartzUnits)]field
	for _, i := range []int{second, minute, hour, month, year} {
		u := quartzUnits[i]
		f, err := u.read(texts[i], drawing(seed, i))
		if err != nil {
			return err
		}
		if strings.Contains(texts[i], "?") {
			return u.fault(texts[i])
		}
		fields[i] = f
		q.notes = append(q.notes, f.notes...)
	}
	q.times = &cron.SpecSchedule{Second: fields[second].set(), Minute: fields[minute].set(), Hour: fields[hour].set(),
		Dom: everyDay, Month: fields[month].set(), Dow: everyDay, Location: time.UTC}
	if !fields[year].star {
		q.years = fields[year].values
	}
	return nil
}

// everyDay is a day field that is left open.
const everyDay = starBit | 1<<32 - 1

// readDays reads the day field that is not "?".
func (q *quartz) readDays(texts []string, seed uint64) (err error) {
	i := dayOfMonth
	switch byMonth, byWeek := texts[dayOfMonth] != "?", texts[dayOfWeek] != "?"; {
	case byMonth && byWeek:
		return errors.New("day-of-month and day-of-week are both given, which this dialect cannot: put \"?\" into " +
			"the one that does not matter")
	case byWeek:
		i = dayOfWeek
	case !byMonth:
		return errors.New("day-of-month and day-of-week are both \"?\": put \"*\" into one of them")
	}
	if strings.Contains(texts[i], "?") {
		return quartzUnits[i].fault(texts[i])
	}
	q.days, err = readDays(quartzUnits[i], texts[i], drawing(seed, i))
	q.notes = append(q.notes, q.days.notes...)
	if err == nil && i == dayOfWeek && numbersWeekdays(texts[i]) && !q.days.whole() {
		q.notes = append(q.notes,
			fmt.Sprintf("day-of-week %q counts from Sunday = 1, as in Quartz: it is %s", texts[i], q.daysText()))
	}
	return err
}

func (q quartz) next(wall time.Time) time.Time {
	t := q.times.Next(wall)
	day := q.dayFrom(t)
	if day.After(t) {
		return q.times.Next(day.Add(-time.Nanosecond))
	}
	return day
}

// dayFrom returns t if its day matches, else the midnight that begins the next
// day that does, or the zero time.
func (q quartz) dayFrom(t time.Time) time.Time {
	y, m, d := t.Date()
	if q.daysOf(y, m)&(1<<d) != 0 {
		return t
	}
	for end := y + cycleYears; y <= end; {
		if left := q.daysOf(y, m) >> d << d; left != 0 {
			return time.Date(y, m, bits.TrailingZeros64(left), 0, 0, 0, 0, time.UTC)
		}
		if m, d = m+1, 1; m > time.December || !q.hasYear(y) {
			if y, m = q.yearAfter(y), time.January; y == 0 {
				break
			}
		}
	}
	return time.Time{}
}

// daysOf returns the matching days of a month, bit n for day n.
func (q quartz) daysOf(y int, m time.Month) uint64 {
	if q.times.Month&(1<<m) == 0 || !q.hasYear(y) {
		return 0
	}
	return q.days.in(pageOf(y, m))
}

func (q quartz) hasYear(y int) bool {
	_, found := slices.BinarySearch(q.years, y)
	return found || q.years == nil
}

// yearAfter returns the first matching year after y, 0 if there is none.
func (q quartz) yearAfter(y int) int {
	if q.years == nil {
		return y + 1
	}
	if i, _ := slices.BinarySearch(q.years, y+1); i < len(q.years) {
		return q.years[i]
	}
	return 0
}

func (q quartz) everyHour() bool { return quartzUnits[hour].full(q.times.Hour) }

func (q quartz) warnings() []string {
	list := slices.Clone(q.notes)
	if len(q.days.rules) == 0 && !q.days.weekly {
		list = append(list, shortMonths(q.days.plain, q.times.Month)...)
	}
	for _, rule := range q.days.rules {
		if what := rule.rare(); what != "" {
			list = append(list, fmt.Sprintf("not every month has %s: those without it are left out", what))
		}
	}
	return list
}

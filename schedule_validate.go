package firjob

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob/internal/cronspec"
)

// DialectUnix is crontab's: five fields, or six with the second first.
const DialectUnix = "unix"

// MaxInterval is the longest interval of a schedule: ten years.
const MaxInterval = 10 * 366 * 24 * time.Hour

// LatestAt returns the latest instant that anything may be scheduled for: a day
// before the year 10000, which JSON cannot say, begins in any time zone.
func LatestAt() time.Time { return time.Date(9999, time.December, 30, 23, 59, 59, 0, time.UTC) }

// scheduleField is one field of a schedule, the kinds that it belongs to, and
// its rule.
type scheduleField struct {
	name     string
	value    any
	present  bool
	kinds    []ScheduleKind
	required bool // by those kinds
	check    func(f *faults, field string)
}

// Validate returns every fault of s, each under "schedule.", and nil if there
// is none. Absent fields that have a default are good. now bounds how far in
// the past "at" may lie; LatestAt bounds it at the other end.
func (s Schedule) Validate(now time.Time) []FieldError {
	var f faults
	oneOf(&f, "schedule.kind", s.Kind, ScheduleCron, ScheduleEvery, ScheduleDelay, ScheduleAt, ScheduleManual)
	known := len(f) == 0
	for _, field := range s.fields(now) {
		name, belongs := "schedule."+field.name, slices.Contains(field.kinds, s.Kind)
		switch {
		case known && field.present && !belongs:
			f.add(name, field.value, "does not belong to a schedule of kind %q", s.Kind)
		case field.present || field.required && belongs:
			field.check(&f, name)
		}
	}
	return f
}

func (s Schedule) fields(now time.Time) []scheduleField {
	cron, interval, at := []ScheduleKind{ScheduleCron}, []ScheduleKind{ScheduleEvery, ScheduleDelay}, []ScheduleKind{ScheduleAt}
	return []scheduleField{
		{"expr", s.Expr, s.Expr != "", cron, true, s.checkExpr},
		{"timezone", s.Timezone, s.Timezone != "", cron, false, s.checkTimezone},
		{"dialect", s.Dialect, s.Dialect != "", cron, false, func(f *faults, field string) {
			oneOf(f, field, s.Dialect, DialectUnix)
		}},
		{"gap", s.Gap, s.Gap != "", cron, false, func(f *faults, field string) {
			oneOf(f, field, s.Gap, cronspec.GapRunAfter, cronspec.GapSkip)
		}},
		{"overlap_hour", s.OverlapHour, s.OverlapHour != "", cron, false, func(f *faults, field string) {
			oneOf(f, field, s.OverlapHour, cronspec.OverlapOnce, cronspec.OverlapTwice)
		}},
		{"interval", s.Interval, s.Interval != 0, interval, true, s.checkInterval},
		{"at", s.At, s.At != nil, at, true, func(f *faults, field string) { s.checkAt(f, field, now) }},
	}
}

// checkExpr judges the expression alone: the zone has a fault of its own.
func (s Schedule) checkExpr(f *faults, field string) {
	if _, err := cronspec.Parse(s.Expr, cronspec.Options{}); err != nil {
		f.add(field, s.Expr, "%v", err)
	}
}

func (s Schedule) checkTimezone(f *faults, field string) {
	if _, err := cronspec.Zone(s.Timezone); err != nil {
		f.add(field, s.Timezone, "%v", err)
	}
}

func (s Schedule) checkInterval(f *faults, field string) {
	if err := intervalError(s.Interval); err != nil {
		f.add(field, s.Interval, "%v", err)
	}
}

// intervalError refuses what the instants of a schedule, whole milliseconds,
// could not keep up with.
func intervalError(d Duration) error {
	switch {
	case d == 0:
		return errors.New("is missing")
	case d.Std() < MinInterval:
		return fmt.Errorf("is shorter than %v", MinInterval)
	case d.Std() > MaxInterval:
		return fmt.Errorf("is longer than %v, which are ten years", Duration(MaxInterval))
	case d.Std()%time.Millisecond != 0:
		return errors.New("must be whole milliseconds")
	}
	return nil
}

func (s Schedule) checkAt(f *faults, field string, now time.Time) {
	switch {
	case s.At == nil:
		f.add(field, nil, "is missing: the instant of a schedule of kind %q", s.Kind)
	case s.At.Before(now.Add(-MaxBacklog)):
		f.add(field, s.At, "lies more than %d days in the past", int(MaxBacklog.Hours()/24))
	case s.At.After(LatestAt()):
		f.add(field, s.At, "must not be later than %s", LatestAt().Format(time.RFC3339))
	}
}

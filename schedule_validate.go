package firjob

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob/internal/cronspec"
)

// The dialects of cron.
const (
	DialectUnix   = cronspec.Unix   // crontab's: five fields, or six with the second first
	DialectQuartz = cronspec.Quartz // Quartz's: six fields with the second first, or seven with the year last
)

// MaxInterval is the longest interval of a schedule: ten years.
const MaxInterval = 10 * 366 * 24 * time.Hour

// More limits of a schedule.
const (
	MaxJitter    = 24 * time.Hour
	MaxCalendars = 10
)

// LatestAt returns the latest instant that anything may be scheduled for: a day
// before the year 10000, which JSON cannot say, begins in any time zone.
func LatestAt() time.Time { return time.Date(9999, time.December, 30, 23, 59, 59, 0, time.UTC) }

// scheduleField is one field of a schedule, the kinds that it belongs to, and
// its rule.
type scheduleField struct {
	name     string
	kinds    []ScheduleKind
	required bool // by those kinds
	value    func(s *Schedule) (value any, present bool)
	check    func(s *Schedule, f *faults, field string, now time.Time)
}

// Validate returns every fault of s, each under "schedule.", and nil if there
// is none. Absent fields that have a default are good. now bounds how far in
// the past "at" may lie; LatestAt bounds it at the other end.
func (s Schedule) Validate(now time.Time) []FieldError {
	var f faults
	oneOf(&f, "schedule.kind", s.Kind, ScheduleCron, ScheduleEvery, ScheduleDelay, ScheduleAt, ScheduleManual)
	known := len(f) == 0
	for i := range scheduleFields {
		field := &scheduleFields[i]
		value, present := field.value(&s)
		belongs := slices.Contains(field.kinds, s.Kind)
		switch {
		case known && present && !belongs:
			f.add(field.name, value, "does not belong to a schedule of kind %q", s.Kind)
		case present || field.required && belongs:
			field.check(&s, &f, field.name, now)
		}
	}
	return f
}

// The kinds that fields belong to.
var (
	cronKind      = []ScheduleKind{ScheduleCron}
	atKind        = []ScheduleKind{ScheduleAt}
	intervalKinds = []ScheduleKind{ScheduleEvery, ScheduleDelay}
	gridKinds     = []ScheduleKind{ScheduleCron, ScheduleEvery}
	repeatedKinds = []ScheduleKind{ScheduleCron, ScheduleEvery, ScheduleDelay}
)

// scheduleFields are all but the kind. The table is made once: made for each
// schedule it was a quarter of what the API allocates for a new job.
var scheduleFields = []scheduleField{
	{"schedule.expr", cronKind, true,
		func(s *Schedule) (any, bool) { return s.Expr, s.Expr != "" },
		(*Schedule).checkExpr},
	{"schedule.timezone", repeatedKinds, false,
		func(s *Schedule) (any, bool) { return s.Timezone, s.Timezone != "" },
		func(s *Schedule, f *faults, field string, _ time.Time) { s.checkTimezone(f, field) }},
	{"schedule.dialect", cronKind, false,
		func(s *Schedule) (any, bool) { return s.Dialect, s.Dialect != "" },
		func(s *Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.Dialect, DialectUnix, DialectQuartz)
		}},
	{"schedule.gap", cronKind, false,
		func(s *Schedule) (any, bool) { return s.Gap, s.Gap != "" },
		func(s *Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.Gap, cronspec.GapRunAfter, cronspec.GapSkip)
		}},
	{"schedule.overlap_hour", cronKind, false,
		func(s *Schedule) (any, bool) { return s.OverlapHour, s.OverlapHour != "" },
		func(s *Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.OverlapHour, cronspec.OverlapOnce, cronspec.OverlapTwice)
		}},
	{"schedule.interval", intervalKinds, true,
		func(s *Schedule) (any, bool) { return s.Interval, s.Interval != 0 },
		func(s *Schedule, f *faults, field string, _ time.Time) { s.checkInterval(f, field) }},
	{"schedule.at", atKind, true,
		func(s *Schedule) (any, bool) { return s.At, s.At != nil },
		(*Schedule).checkAt},
	{"schedule.start_at", repeatedKinds, false,
		func(s *Schedule) (any, bool) { return s.StartAt, s.StartAt != nil },
		func(s *Schedule, f *faults, field string, _ time.Time) { notTooLate(f, field, *s.StartAt) }},
	{"schedule.end_at", repeatedKinds, false,
		func(s *Schedule) (any, bool) { return s.EndAt, s.EndAt != nil },
		func(s *Schedule, f *faults, field string, _ time.Time) { s.checkEndAt(f, field) }},
	{"schedule.jitter", gridKinds, false,
		func(s *Schedule) (any, bool) { return s.Jitter, s.Jitter != 0 },
		func(s *Schedule, f *faults, field string, _ time.Time) {
			f.span(field, s.Jitter, time.Millisecond, MaxJitter)
		}},
	{"schedule.calendars", repeatedKinds, false,
		func(s *Schedule) (any, bool) { return s.Calendars, len(s.Calendars) > 0 },
		func(s *Schedule, f *faults, field string, _ time.Time) { s.checkCalendars(f, field) }},
}

// checkExpr judges the expression alone: the zone and the dialect have faults of
// their own.
func (s *Schedule) checkExpr(f *faults, field string, now time.Time) {
	var o cronspec.Options
	if s.Dialect == DialectQuartz {
		o.Dialect = DialectQuartz
	}
	if _, err := cronspec.Zone(s.Timezone); err == nil {
		o.Timezone = s.Timezone
	}
	spec, err := cronspec.Parse(s.Expr, o)
	switch {
	case err != nil:
		f.add(field, s.Expr, "%v", err)
	case spec.Next(now).IsZero():
		f.add(field, s.Expr, "never fires again: the years that it names are over")
	}
}

func (s *Schedule) checkTimezone(f *faults, field string) {
	if (s.Kind == ScheduleEvery || s.Kind == ScheduleDelay) && len(s.Calendars) == 0 {
		f.add(field, s.Timezone, "does not belong to a schedule of kind %q without calendars", s.Kind)
	} else if _, err := cronspec.Zone(s.Timezone); err != nil {
		f.add(field, s.Timezone, "%v", err)
	}
}

func (s *Schedule) checkEndAt(f *faults, field string) {
	notTooLate(f, field, *s.EndAt)
	if s.StartAt != nil && !cut(s.StartAt).Before(cut(s.EndAt)) {
		f.add(field, s.EndAt, "must be later than start_at, which is %s", showInstant(*s.StartAt))
	}
}

func (s *Schedule) checkCalendars(f *faults, field string) {
	if len(s.Calendars) > MaxCalendars {
		f.add(field, nil, "are %d; want at most %d", len(s.Calendars), MaxCalendars)
		return
	}
	for i, name := range s.Calendars {
		path := fmt.Sprintf("%s[%d]", field, i)
		f.calendarName(path, name)
		if slices.Contains(s.Calendars[:i], name) {
			f.add(path, name, "is listed twice")
		}
	}
}

func (s *Schedule) checkInterval(f *faults, field string) {
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

func (s *Schedule) checkAt(f *faults, field string, now time.Time) {
	switch {
	case s.At == nil:
		f.add(field, nil, "is missing: the instant of a schedule of kind %q", s.Kind)
	case s.At.Before(now.Add(-MaxBacklog)):
		f.add(field, s.At, "lies more than %d days in the past", int(MaxBacklog.Hours()/24))
	default:
		notTooLate(f, field, *s.At)
	}
}

func notTooLate(f *faults, field string, at time.Time) {
	if at.After(LatestAt()) {
		f.add(field, at, "must not be later than %s", LatestAt().Format(time.RFC3339))
	}
}

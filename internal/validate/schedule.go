package validate

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
	"github.com/firjob/firjob/internal/timetable"
)

// scheduleField is one field of a schedule, the kinds that it belongs to, and
// its rule.
type scheduleField struct {
	name     string
	kinds    []firjob.ScheduleKind
	required bool // by those kinds
	value    func(s *firjob.Schedule) (value any, present bool)
	check    func(s *firjob.Schedule, f *faults, field string, now time.Time)
}

// Schedule returns every fault of s, each under "schedule.", and nil if there
// is none. Absent fields that have a default are good. now bounds how far in
// the past "at" may lie; LatestAt bounds it at the other end.
func Schedule(s firjob.Schedule, now time.Time) []firjob.FieldError {
	var f faults
	oneOf(&f, "schedule.kind", s.Kind, firjob.ScheduleCron, firjob.ScheduleEvery, firjob.ScheduleDelay,
		firjob.ScheduleAt, firjob.ScheduleManual)
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
	cronKind      = []firjob.ScheduleKind{firjob.ScheduleCron}
	atKind        = []firjob.ScheduleKind{firjob.ScheduleAt}
	intervalKinds = []firjob.ScheduleKind{firjob.ScheduleEvery, firjob.ScheduleDelay}
	gridKinds     = []firjob.ScheduleKind{firjob.ScheduleCron, firjob.ScheduleEvery}
	repeatedKinds = []firjob.ScheduleKind{firjob.ScheduleCron, firjob.ScheduleEvery, firjob.ScheduleDelay}
)

// scheduleFields are all but the kind. The table is made once: made for each
// schedule it was a quarter of what the API allocates for a new job.
var scheduleFields = []scheduleField{
	{"schedule.expr", cronKind, true,
		func(s *firjob.Schedule) (any, bool) { return s.Expr, s.Expr != "" },
		checkExpr},
	{"schedule.timezone", repeatedKinds, false,
		func(s *firjob.Schedule) (any, bool) { return s.Timezone, s.Timezone != "" },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) { checkTimezone(s, f, field) }},
	{"schedule.dialect", cronKind, false,
		func(s *firjob.Schedule) (any, bool) { return s.Dialect, s.Dialect != "" },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.Dialect, firjob.DialectUnix, firjob.DialectQuartz)
		}},
	{"schedule.gap", cronKind, false,
		func(s *firjob.Schedule) (any, bool) { return s.Gap, s.Gap != "" },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.Gap, firjob.GapRunAfter, firjob.GapSkip)
		}},
	{"schedule.overlap_hour", cronKind, false,
		func(s *firjob.Schedule) (any, bool) { return s.OverlapHour, s.OverlapHour != "" },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) {
			oneOf(f, field, s.OverlapHour, firjob.OverlapOnce, firjob.OverlapTwice)
		}},
	{"schedule.interval", intervalKinds, true,
		func(s *firjob.Schedule) (any, bool) { return s.Interval, s.Interval != 0 },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) { checkInterval(s, f, field) }},
	{"schedule.at", atKind, true,
		func(s *firjob.Schedule) (any, bool) { return s.At, s.At != nil },
		checkAt},
	{"schedule.start_at", repeatedKinds, false,
		func(s *firjob.Schedule) (any, bool) { return s.StartAt, s.StartAt != nil },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) { notTooLate(f, field, *s.StartAt) }},
	{"schedule.end_at", repeatedKinds, false,
		func(s *firjob.Schedule) (any, bool) { return s.EndAt, s.EndAt != nil },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) { checkEndAt(s, f, field) }},
	{"schedule.jitter", gridKinds, false,
		func(s *firjob.Schedule) (any, bool) { return s.Jitter, s.Jitter != 0 },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) {
			f.span(field, s.Jitter, time.Millisecond, firjob.MaxJitter)
		}},
	{"schedule.calendars", repeatedKinds, false,
		func(s *firjob.Schedule) (any, bool) { return s.Calendars, len(s.Calendars) > 0 },
		func(s *firjob.Schedule, f *faults, field string, _ time.Time) { checkCalendars(s, f, field) }},
}

// checkExpr judges the expression alone: the zone and the dialect have faults of
// their own.
func checkExpr(s *firjob.Schedule, f *faults, field string, now time.Time) {
	var o cronspec.Options
	if s.Dialect == firjob.DialectQuartz {
		o.Dialect = firjob.DialectQuartz
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

func checkTimezone(s *firjob.Schedule, f *faults, field string) {
	if (s.Kind == firjob.ScheduleEvery || s.Kind == firjob.ScheduleDelay) && len(s.Calendars) == 0 {
		f.add(field, s.Timezone, "does not belong to a schedule of kind %q without calendars", s.Kind)
	} else if _, err := cronspec.Zone(s.Timezone); err != nil {
		f.add(field, s.Timezone, "%v", err)
	}
}

func checkEndAt(s *firjob.Schedule, f *faults, field string) {
	notTooLate(f, field, *s.EndAt)
	if s.StartAt != nil && !s.StartAt.Truncate(time.Millisecond).Before(s.EndAt.Truncate(time.Millisecond)) {
		f.add(field, s.EndAt, "must be later than start_at, which is %s", s.StartAt.UTC().Format(time.RFC3339Nano))
	}
}

func checkCalendars(s *firjob.Schedule, f *faults, field string) {
	if len(s.Calendars) > firjob.MaxCalendars {
		f.add(field, nil, "are %d; want at most %d", len(s.Calendars), firjob.MaxCalendars)
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

func checkInterval(s *firjob.Schedule, f *faults, field string) {
	if err := timetable.CheckInterval(s.Interval); err != nil {
		f.add(field, s.Interval, "%v", err)
	}
}

func checkAt(s *firjob.Schedule, f *faults, field string, now time.Time) {
	switch {
	case s.At == nil:
		f.add(field, nil, "is missing: the instant of a schedule of kind %q", s.Kind)
	case s.At.Before(now.Add(-firjob.MaxBacklog)):
		f.add(field, s.At, "lies more than %d days in the past", int(firjob.MaxBacklog.Hours()/24))
	default:
		notTooLate(f, field, *s.At)
	}
}

func notTooLate(f *faults, field string, at time.Time) {
	if at.After(firjob.LatestAt()) {
		f.add(field, at, "must not be later than %s", firjob.LatestAt().Format(time.RFC3339))
	}
}

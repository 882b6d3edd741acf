package firjob

import (
	"cmp"
	"slices"
	"time"
)

// ScheduleKind says how a schedule names its fires.
type ScheduleKind string

// The kinds of schedule.
const (
	ScheduleCron   ScheduleKind = "cron"   // Expr in Timezone
	ScheduleEvery  ScheduleKind = "every"  // each Interval after the job's anchor, or from StartAt on
	ScheduleDelay  ScheduleKind = "delay"  // Interval after the last execution ended
	ScheduleAt     ScheduleKind = "at"     // once, at At
	ScheduleManual ScheduleKind = "manual" // only when triggered
)

// Schedule says when a job fires. Which fields count depends on Kind.
type Schedule struct {
	Kind     ScheduleKind `json:"kind"`
	Expr     string       `json:"expr,omitempty"`
	Timezone string       `json:"timezone,omitempty"` // IANA name; "UTC" by default
	Dialect  string       `json:"dialect,omitempty"`  // "unix" or "quartz"
	// for a local time that does not exist: "run_after" or "skip"
	Gap         Gap         `json:"gap,omitempty"`
	OverlapHour OverlapHour `json:"overlap_hour,omitempty"` // for a local time that comes twice: "once" or "twice"
	Interval    Duration    `json:"interval,omitempty"`
	At          *time.Time  `json:"at,omitempty"`
	StartAt     *time.Time  `json:"start_at,omitempty"` // no fire before it; "every" counts from it
	EndAt       *time.Time  `json:"end_at,omitempty"`   // no fire at or after it
	// each fire is put off by up to this much, the same on every server
	Jitter    Duration `json:"jitter,omitempty"`
	Calendars []string `json:"calendars,omitempty"` // names; a fire counts only if each permits it
}

// Gap says what becomes of a time of day that a change of the clocks leaves out.
type Gap string

// The rules for a gap.
const (
	GapRunAfter Gap = "run_after" // fires once at the first instant after the gap; the default
	GapSkip     Gap = "skip"      // does not fire on that day
)

// OverlapHour says what becomes of a time of day that a change of the clocks
// brings twice.
type OverlapHour string

// The rules for a repeated hour.
const (
	OverlapOnce  OverlapHour = "once"  // fires the first time only; the default
	OverlapTwice OverlapHour = "twice" // fires both times
)

// The dialects of cron.
const (
	DialectUnix   = "unix"   // crontab's: five fields, or six with the second first
	DialectQuartz = "quartz" // Quartz's: six fields with the second first, or seven with the year last
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

// Equal reports whether s and o name the same fires, given the same anchor: a
// default may be written out, and calendars may stand in any order.
func (s Schedule) Equal(o Schedule) bool {
	return s.Kind == o.Kind && s.Expr == o.Expr && sameOr("UTC", s.Timezone, o.Timezone) &&
		sameOr(DialectUnix, s.Dialect, o.Dialect) &&
		sameOr(GapRunAfter, s.Gap, o.Gap) && sameOr(OverlapOnce, s.OverlapHour, o.OverlapHour) &&
		s.Interval == o.Interval && s.Jitter == o.Jitter &&
		sameInstant(s.At, o.At) && sameInstant(s.StartAt, o.StartAt) && sameInstant(s.EndAt, o.EndAt) &&
		slices.Equal(slices.Sorted(slices.Values(s.Calendars)), slices.Sorted(slices.Values(o.Calendars)))
}

// SameGrid reports whether s and o count from the same point in the same steps, so
// that a change from o to s keeps the anchor: the rest of a schedule only leaves
// instants out or puts them off.
func (s Schedule) SameGrid(o Schedule) bool {
	return s.Kind == o.Kind && s.Interval == o.Interval && sameInstant(s.At, o.At) && sameInstant(s.StartAt, o.StartAt)
}

// sameOr compares two values of which an absent one stands for the default.
func sameOr[T ~string](byDefault, a, b T) bool { return cmp.Or(a, byDefault) == cmp.Or(b, byDefault) }

func sameInstant(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

package firjob

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/firjob/firjob/internal/cronspec"
)

// ScheduleKind says how a schedule names its fires.
type ScheduleKind string

// The kinds of schedule.
const (
	ScheduleCron   ScheduleKind = "cron"   // Expr in Timezone
	ScheduleEvery  ScheduleKind = "every"  // each Interval since the job's anchor
	ScheduleDelay  ScheduleKind = "delay"  // Interval after the last execution ended
	ScheduleAt     ScheduleKind = "at"     // once, at At
	ScheduleManual ScheduleKind = "manual" // only when triggered
)

// Schedule says when a job fires. Which fields count depends on Kind.
type Schedule struct {
	Kind        ScheduleKind         `json:"kind"`
	Expr        string               `json:"expr,omitempty"`
	Timezone    string               `json:"timezone,omitempty"`     // IANA name; "UTC" by default
	Dialect     string               `json:"dialect,omitempty"`      // "unix"
	Gap         cronspec.Gap         `json:"gap,omitempty"`          // for a local time that does not exist: "run_after" or "skip"
	OverlapHour cronspec.OverlapHour `json:"overlap_hour,omitempty"` // for a local time that comes twice: "once" or "twice"
	Interval    Duration             `json:"interval,omitempty"`
	At          *time.Time           `json:"at,omitempty"`
}

// MarshalJSON leaves out the interval when there is none.
func (s Schedule) MarshalJSON() ([]byte, error) {
	type plain Schedule
	var interval *Duration
	if s.Interval != 0 {
		interval = &s.Interval
	}
	return json.Marshal(struct {
		plain
		Interval *Duration `json:"interval,omitempty"`
	}{plain(s), interval})
}

// Timetable is a schedule made ready to be asked.
type Timetable struct {
	schedule Schedule
	anchor   time.Time
	cron     *cronspec.Spec
}

// Timetable compiles s. anchor is where "every" counts from, cut to the
// millisecond. The error says what keeps s from being asked; Validate says more.
func (s Schedule) Timetable(anchor time.Time) (*Timetable, error) {
	t := &Timetable{schedule: s, anchor: anchor.UTC().Truncate(time.Millisecond)}
	switch s.Kind {
	case ScheduleCron:
		spec, err := cronspec.Parse(s.Expr, cronspec.Options{Timezone: s.Timezone, Gap: s.Gap, OverlapHour: s.OverlapHour})
		if err != nil {
			return nil, err
		}
		t.cron = spec
	case ScheduleEvery, ScheduleDelay:
		if err := intervalError(s.Interval); err != nil {
			return nil, fmt.Errorf("interval %v %w", s.Interval, err)
		}
	case ScheduleManual:
	case ScheduleAt:
		if s.At == nil {
			return nil, fmt.Errorf("a schedule of kind %q needs \"at\"", s.Kind)
		}
	default:
		return nil, fmt.Errorf("%q is not a kind of schedule", s.Kind)
	}
	return t, nil
}

// Next returns the first fire after the instant after, cut to milliseconds and
// in UTC, or the zero time when there is none, or none that time alone decides
// (delay, manual).
func (t *Timetable) Next(after time.Time) time.Time {
	switch t.schedule.Kind {
	case ScheduleCron:
		return t.cron.Next(after)
	case ScheduleEvery:
		if after.Before(t.anchor) {
			return t.anchor
		}
		// In milliseconds: a time.Duration ends at 292 years.
		interval := t.schedule.Interval.Std().Milliseconds()
		from := t.anchor.UnixMilli()
		return time.UnixMilli(from + ((after.UnixMilli()-from)/interval+1)*interval).UTC()
	case ScheduleAt:
		if at := t.schedule.At.UTC().Truncate(time.Millisecond); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

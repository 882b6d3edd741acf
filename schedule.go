package firjob

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"

	"github.com/firjob/firjob/internal/cronspec"
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
	Kind        ScheduleKind         `json:"kind"`
	Expr        string               `json:"expr,omitempty"`
	Timezone    string               `json:"timezone,omitempty"`     // IANA name; "UTC" by default
	Dialect     string               `json:"dialect,omitempty"`      // "unix" or "quartz"
	Gap         cronspec.Gap         `json:"gap,omitempty"`          // for a local time that does not exist: "run_after" or "skip"
	OverlapHour cronspec.OverlapHour `json:"overlap_hour,omitempty"` // for a local time that comes twice: "once" or "twice"
	Interval    Duration             `json:"interval,omitempty"`
	At          *time.Time           `json:"at,omitempty"`
	StartAt     *time.Time           `json:"start_at,omitempty"`  // no fire before it; "every" counts from it
	EndAt       *time.Time           `json:"end_at,omitempty"`    // no fire at or after it
	Jitter      Duration             `json:"jitter,omitempty"`    // each fire is put off by up to this much, the same on every replica
	Calendars   []string             `json:"calendars,omitempty"` // names; a fire counts only if each permits it
}

// TimetableOptions is what a schedule takes from its job.
type TimetableOptions struct {
	Anchor    time.Time  // where "every" counts from, cut to the millisecond
	Seed      uint64     // what jitter and "H" are drawn from
	Calendars []Calendar // the definitions of those that the schedule names
}

// Timetable compiles the schedule of j. anchor is where "every" counts from.
func (j Job) Timetable(anchor time.Time) (*Timetable, error) {
	return j.Schedule.Timetable(TimetableOptions{Anchor: anchor, Seed: j.seed(), Calendars: j.Calendars})
}

// seed follows from what a person calls the job, so that it is the same on every
// replica, in a preview, and for a job that is deleted and made again.
func (j Job) seed() uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, j.App+"\x00"+j.Name) // never fails
	return h.Sum64()
}

// Timetable is a schedule made ready to be asked. It does not change and may be
// used by any number of goroutines.
type Timetable struct {
	schedule Schedule
	first    time.Time // of every: the start of the window, or one interval after the anchor
	cron     *cronspec.Spec
	from     time.Time // the window; zero: open
	until    time.Time
	gates    []*gate
	jitter   time.Duration
	seed     uint64
	plain    bool // neither window nor gates nor jitter: each base instant is a fire
}

// Timetable compiles s. The error says what keeps s from being asked, a calendar
// that is not among o.Calendars for one; Validate says more.
func (s Schedule) Timetable(o TimetableOptions) (*Timetable, error) {
	t := &Timetable{schedule: s, from: cut(s.StartAt), until: cut(s.EndAt), jitter: s.Jitter.Std(), seed: o.Seed}
	if err := t.compile(o.Anchor.UTC().Truncate(time.Millisecond)); err != nil {
		return nil, err
	}
	for _, name := range s.Calendars {
		i := slices.IndexFunc(o.Calendars, func(c Calendar) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("calendar %q is not known", name)
		}
		g, err := o.Calendars[i].gate(s.Timezone)
		if err != nil {
			return nil, err
		}
		t.gates = append(t.gates, g)
	}
	t.plain = t.from.IsZero() && t.until.IsZero() && len(t.gates) == 0 && t.jitter == 0
	return t, nil
}

// compile makes the base instants ready, those of the kind alone.
func (t *Timetable) compile(anchor time.Time) (err error) {
	s := t.schedule
	switch s.Kind {
	case ScheduleCron:
		t.cron, err = cronspec.Parse(s.Expr, s.cronOptions(t.seed))
		return err
	case ScheduleEvery, ScheduleDelay:
		if err := intervalError(s.Interval); err != nil {
			return fmt.Errorf("interval %v %w", s.Interval, err)
		}
		if t.first = t.from; t.first.IsZero() {
			t.first = anchor.Add(s.Interval.Std())
		}
	case ScheduleManual:
	case ScheduleAt:
		if s.At == nil {
			return fmt.Errorf("a schedule of kind %q needs \"at\"", s.Kind)
		}
	default:
		return fmt.Errorf("%q is not a kind of schedule", s.Kind)
	}
	return nil
}

func (s Schedule) cronOptions(seed uint64) cronspec.Options {
	return cronspec.Options{Dialect: s.Dialect, Timezone: s.Timezone, Seed: seed, Gap: s.Gap, OverlapHour: s.OverlapHour}
}

// cut returns an instant in whole milliseconds, the zero time for none.
func cut(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Millisecond)
}

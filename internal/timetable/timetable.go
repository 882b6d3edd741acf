package timetable

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// Options is what a schedule takes from its job.
type Options struct {
	Anchor    time.Time         // where "every" counts from, cut to the millisecond
	Seed      uint64            // what jitter and "H" are drawn from
	Calendars []firjob.Calendar // the definitions of those that the schedule names
}

// Of compiles the schedule of j. anchor is where "every" counts from.
func Of(j firjob.Job, anchor time.Time) (*Timetable, error) {
	return New(j.Schedule, Options{Anchor: anchor, Seed: seed(j), Calendars: j.Calendars})
}

// seed follows from what a person calls the job, so that it is the same on every
// server, in a preview, and for a job that is deleted and made again.
func seed(j firjob.Job) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, j.App+"\x00"+j.Name) // never fails
	return h.Sum64()
}

// Timetable is a schedule made ready to be asked. It does not change and may be
// used by any number of goroutines.
type Timetable struct {
	schedule firjob.Schedule
	first    time.Time // of every: the start of the window, or one interval after the anchor
	cron     *cronspec.Spec
	from     time.Time // the window; zero: open
	until    time.Time
	gates    []*gate
	jitter   time.Duration
	seed     uint64
	plain    bool // neither window nor gates nor jitter: each base instant is a fire
}

// New compiles s. The error says what keeps s from being asked, a calendar
// that is not among o.Calendars for one; Validate says more.
func New(s firjob.Schedule, o Options) (*Timetable, error) {
	t := &Timetable{schedule: s, from: cut(s.StartAt), until: cut(s.EndAt), jitter: s.Jitter.Std(), seed: o.Seed}
	if err := t.compile(o.Anchor.UTC().Truncate(time.Millisecond)); err != nil {
		return nil, err
	}
	for _, name := range s.Calendars {
		i := slices.IndexFunc(o.Calendars, func(c firjob.Calendar) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("calendar %q is not known", name)
		}
		g, err := newGate(o.Calendars[i], s.Timezone)
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
	case firjob.ScheduleCron:
		t.cron, err = cronspec.Parse(s.Expr, cronOptions(s, t.seed))
		return err
	case firjob.ScheduleEvery, firjob.ScheduleDelay:
		if err := CheckInterval(s.Interval); err != nil {
			return fmt.Errorf("interval %v %w", s.Interval, err)
		}
		if t.first = t.from; t.first.IsZero() {
			t.first = anchor.Add(s.Interval.Std())
		}
	case firjob.ScheduleManual:
	case firjob.ScheduleAt:
		if s.At == nil {
			return fmt.Errorf("a schedule of kind %q needs \"at\"", s.Kind)
		}
	default:
		return fmt.Errorf("%q is not a kind of schedule", s.Kind)
	}
	return nil
}

func cronOptions(s firjob.Schedule, seed uint64) cronspec.Options {
	return cronspec.Options{Dialect: s.Dialect, Timezone: s.Timezone, Seed: seed, Gap: s.Gap,
		OverlapHour: s.OverlapHour}
}

// cut returns an instant in whole milliseconds, the zero time for none.
func cut(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Millisecond)
}

// CheckInterval refuses what the instants of a schedule, whole milliseconds,
// could not keep up with.
func CheckInterval(d firjob.Duration) error {
	switch {
	case d == 0:
		return errors.New("is missing")
	case d.Std() < firjob.MinInterval:
		return fmt.Errorf("is shorter than %v", firjob.MinInterval)
	case d.Std() > firjob.MaxInterval:
		return fmt.Errorf("is longer than %v, which are ten years", firjob.Duration(firjob.MaxInterval))
	case d.Std()%time.Millisecond != 0:
		return errors.New("must be whole milliseconds")
	}
	return nil
}

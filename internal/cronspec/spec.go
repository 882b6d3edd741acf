package cronspec

import (
	"fmt"
	"time"
)

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

// Options completes an expression. The zero value is UTC and the defaults.
type Options struct {
	Timezone    string // see Zone
	Gap         Gap
	OverlapHour OverlapHour
}

// Spec is a compiled expression. It does not change and may be used by any
// number of goroutines.
type Spec struct {
	pattern pattern
	zone    *time.Location
	gap     Gap
	overlap OverlapHour
}

// pattern is a set of wall-clock times, whatever the dialect it was written in.
// The wall clock is a time.Time in UTC whose fields are what the clock shows.
type pattern interface {
	// next returns the first match after wall, or the zero time if there is none.
	next(wall time.Time) time.Time
	// everyHour reports whether the pattern matches in every hour of its days.
	everyHour() bool
	// text says the pattern in English.
	text() string
	// warnings says what a reader may get wrong about it.
	warnings() []string
}

// Parse compiles an expression of the unix dialect. Its errors are sentences
// for the person who wrote the expression or the options. An expression that
// never fires is an error, so that Next of a Spec always has an answer.
func Parse(expr string, o Options) (*Spec, error) {
	p, err := parseUnix(expr)
	if err != nil {
		return nil, err
	}
	zone, err := Zone(o.Timezone)
	if err != nil {
		return nil, err
	}
	s := &Spec{pattern: p, zone: zone, gap: GapRunAfter, overlap: OverlapOnce}
	switch o.Gap {
	case "", GapRunAfter:
	case GapSkip:
		s.gap = GapSkip
	default:
		return nil, fmt.Errorf("gap %q is not known; want %q or %q", o.Gap, GapRunAfter, GapSkip)
	}
	switch o.OverlapHour {
	case "", OverlapOnce:
	case OverlapTwice:
		s.overlap = OverlapTwice
	default:
		return nil, fmt.Errorf("overlap_hour %q is not known; want %q or %q", o.OverlapHour, OverlapOnce, OverlapTwice)
	}
	return s, nil
}

// Next returns the first fire after the instant after: a whole second, in UTC.
func (s *Spec) Next(after time.Time) time.Time {
	now := periodAt(after, s.zone)
	from := now.wall(after)
	wall := s.pattern.next(s.pastRepeat(now, from))
	for !wall.IsZero() {
		if fire := now.instant(wall); now.before(fire) {
			return fire
		}
		then := periodAt(now.end, s.zone)
		first := then.wall(now.end)
		if wall.Before(first) && s.runsAfterGap() {
			return now.end.UTC()
		}
		// Nothing matches between from and wall, so wall stands unless the
		// clock jumped past it or back before from.
		if wall.Before(first) || !from.Before(first) {
			from = first.Add(-time.Nanosecond)
			wall = s.pattern.next(s.pastRepeat(then, from))
		}
		now = then
	}
	return time.Time{}
}

// pastRepeat moves from to the end of the wall times that p shows for the
// second time, if the first time was enough.
func (s *Spec) pastRepeat(p period, from time.Time) time.Time {
	if p.start.IsZero() || s.overlap == OverlapTwice || s.pattern.everyHour() {
		return from
	}
	fresh := periodAt(p.start.Add(-time.Nanosecond), s.zone).wall(p.start)
	if last := fresh.Add(-time.Nanosecond); last.After(from) {
		return last
	}
	return from
}

func (s *Spec) runsAfterGap() bool { return s.gap == GapRunAfter && !s.pattern.everyHour() }

// Text says the schedule in English, zone included.
func (s *Spec) Text() string { return s.pattern.text() + ", in " + s.zone.String() }

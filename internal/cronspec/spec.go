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

// The dialects.
const (
	Unix   = "unix"   // crontab's: 5 fields, or 6 with the second first; the default
	Quartz = "quartz" // Quartz's: 6 fields with the second first, or 7 with the year last
)

// Options completes an expression. The zero value is UTC and the defaults.
type Options struct {
	Dialect     string // Unix by default
	Timezone    string // see Zone
	Seed        uint64 // what "H" is drawn from
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

// Parse compiles an expression. Its errors are sentences for the person who
// wrote the expression or the options. An expression that never fires is an
// error: one whose days no month and year that it names has, which a search
// over the 400 years after which the calendar repeats itself decides.
func Parse(expr string, o Options) (*Spec, error) {
	p, err := parsePattern(expr, o)
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

// parsePattern reads an expression in its dialect.
func parsePattern(expr string, o Options) (pattern, error) {
	expr, err := trim(expr)
	if err != nil {
		return nil, err
	}
	switch o.Dialect {
	case "", Unix:
		return parseUnix(expr, o.Seed)
	case Quartz:
		return parseQuartz(expr, o.Seed)
	}
	return nil, fmt.Errorf("dialect %q is not known; want %q or %q", o.Dialect, Unix, Quartz)
}

// Next returns the first fire after the instant after: a whole second, in UTC.
// It is the zero time after the last year of an expression that names years,
// and only then.
func (s *Spec) Next(after time.Time) time.Time {
	now := PeriodAt(after, s.zone)
	from := now.Wall(after)
	wall := s.pattern.next(s.pastRepeat(now, from))
	for {
		if fire := now.Instant(wall); !wall.IsZero() && now.before(fire) {
			return fire
		}
		if now.End.IsZero() {
			return time.Time{}
		}
		then := PeriodAt(now.End, s.zone)
		first := then.Wall(now.End)
		missed := !wall.IsZero() && wall.Before(first)
		if missed && s.runsAfterGap() {
			return now.End.UTC()
		}
		// Nothing matches between from and wall, so wall stands unless the
		// clock jumped past it or back before from.
		if missed || !from.Before(first) {
			from = first.Add(-time.Nanosecond)
			wall = s.pattern.next(s.pastRepeat(then, from))
		} else if wall.IsZero() {
			return time.Time{}
		}
		now = then
	}
}

// pastRepeat moves from to the end of the wall times that p shows for the
// second time, if the first time was enough.
func (s *Spec) pastRepeat(p Period, from time.Time) time.Time {
	if p.Start.IsZero() || s.overlap == OverlapTwice || s.pattern.everyHour() {
		return from
	}
	fresh := PeriodAt(p.Start.Add(-time.Nanosecond), s.zone).Wall(p.Start)
	if last := fresh.Add(-time.Nanosecond); last.After(from) {
		return last
	}
	return from
}

func (s *Spec) runsAfterGap() bool { return s.gap == GapRunAfter && !s.pattern.everyHour() }

// Text says the schedule in English, zone included.
func (s *Spec) Text() string { return s.pattern.text() + ", in " + s.zone.String() }

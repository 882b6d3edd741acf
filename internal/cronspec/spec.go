package cronspec

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
)

// Options completes an expression. The zero value is UTC and the defaults.
type Options struct {
	Dialect     string // firjob.DialectUnix by default
	Timezone    string // see Zone
	Seed        uint64 // what "H" is drawn from
	Gap         firjob.Gap
	OverlapHour firjob.OverlapHour
}

// Spec is a compiled expression. It does not change and may be used by any
// number of goroutines.
type Spec struct {
	pattern pattern
	zone    *time.Location
	gap     firjob.Gap
	overlap firjob.OverlapHour
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
	s := &Spec{pattern: p, zone: zone, gap: firjob.GapRunAfter, overlap: firjob.OverlapOnce}
	switch o.Gap {
	case "", firjob.GapRunAfter:
	case firjob.GapSkip:
		s.gap = firjob.GapSkip
	default:
		return nil, fmt.Errorf("gap %q is not known; want %q or %q", o.Gap, firjob.GapRunAfter, firjob.GapSkip)
	}
	switch o.OverlapHour {
	case "", firjob.OverlapOnce:
	case firjob.OverlapTwice:
		s.overlap = firjob.OverlapTwice
	default:
		return nil, fmt.Errorf("overlap_hour %q is not known; want %q or %q", o.OverlapHour, firjob.OverlapOnce,
			firjob.OverlapTwice)
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
	case "", firjob.DialectUnix:
		return parseUnix(expr, o.Seed)
	case firjob.DialectQuartz:
		return parseQuartz(expr, o.Seed)
	}
	return nil, fmt.Errorf("dialect %q is not known; want %q or %q", o.Dialect, firjob.DialectUnix,
		firjob.DialectQuartz)
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
	if p.Start.IsZero() || s.overlap == firjob.OverlapTwice || s.pattern.everyHour() {
		return from
	}
	fresh := PeriodAt(p.Start.Add(-time.Nanosecond), s.zone).Wall(p.Start)
	if last := fresh.Add(-time.Nanosecond); last.After(from) {
		return last
	}
	return from
}

func (s *Spec) runsAfterGap() bool { return s.gap == firjob.GapRunAfter && !s.pattern.everyHour() }

// Text says the schedule in English, zone included.
func (s *Spec) Text() string { return s.pattern.text() + ", in " + s.zone.String() }

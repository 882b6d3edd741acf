package cronspec

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// outlook is how far ahead Warnings looks for changes of the clocks: each rule
// of daylight saving comes round once.
const outlook = 400 * 24 * time.Hour

// Warnings says what a reader of the expression may get wrong: days that either
// of two fields selects, days that some months lack, and the fires that the
// next changes of the clocks after now move, leave out or double.
func (s *Spec) Warnings(now time.Time) []string {
	list := s.pattern.warnings()
	if s.pattern.everyHour() {
		return list
	}
	var gap, repeat string
	for p := periodAt(now, s.zone); !p.end.IsZero() && p.end.Before(now.Add(outlook)); {
		next := periodAt(p.end, s.zone)
		if gap == "" {
			gap = s.gapWarning(p, next)
		}
		if repeat == "" {
			repeat = s.repeatWarning(p, next)
		}
		p = next
	}
	for _, text := range []string{gap, repeat} {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// gapWarning says what the change from p to next leaves out, "" if nothing.
func (s *Spec) gapWarning(p, next period) string {
	from, to := p.wall(p.end), next.wall(p.end)
	fire, hit := s.firstMatch(from, to)
	if !hit {
		return ""
	}
	fate := "does not happen"
	if s.gap == GapRunAfter {
		fate = "happens at " + showTime(to)
	}
	return fmt.Sprintf("on %s the clocks of %s skip from %s to %s: the fire of %s %s (\"gap\": %q)",
		from.Format(time.DateOnly), s.zone, showTime(from), showTime(to), showTime(fire), fate, s.gap)
}

// repeatWarning says what the change from p to next brings again, "" if nothing.
func (s *Spec) repeatWarning(p, next period) string {
	from, to := next.wall(p.end), p.wall(p.end)
	fire, hit := s.firstMatch(from, to)
	if !hit {
		return ""
	}
	fate := "happens the first time only"
	if s.overlap == OverlapTwice {
		fate = "happens both times"
	}
	return fmt.Sprintf("on %s the clocks of %s go back from %s to %s: the fire of %s %s (\"overlap_hour\": %q)",
		to.Format(time.DateOnly), s.zone, showTime(to), showTime(from), showTime(fire), fate, s.overlap)
}

// firstMatch returns the first match on the wall clock in [from, to).
func (s *Spec) firstMatch(from, to time.Time) (time.Time, bool) {
	if !from.Before(to) {
		return time.Time{}, false
	}
	match := s.pattern.next(from.Add(-time.Nanosecond))
	return match, !match.IsZero() && match.Before(to)
}

func showTime(wall time.Time) string { return clock(wall.Clock()) }

func (p unix) warnings() []string {
	list := slices.Clone(p.idle)
	switch dom, dow := starred(p.spec.Dom), starred(p.spec.Dow); {
	case !dom && !dow:
		list = append(list, "day-of-month and day-of-week are both given: a day that fits either one is enough (OR)")
	case !dom && bits.TrailingZeros64(p.spec.Dom) > shortestMonth(p.spec.Month):
		list = append(list, fmt.Sprintf("not every month has a day %d: those without it are left out", bits.TrailingZeros64(p.spec.Dom)))
	}
	return list
}

// shortestMonth returns the days of the shortest of the months in a set,
// in a year without 29 February.
func shortestMonth(months uint64) int {
	shortest := 31
	for months &= 1<<13 - 1; months != 0; months &= months - 1 {
		m := time.Month(bits.TrailingZeros64(months))
		shortest = min(shortest, time.Date(2001, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	return shortest
}

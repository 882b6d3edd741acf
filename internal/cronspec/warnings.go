package cronspec

import (
	"fmt"
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
	for p := PeriodAt(now, s.zone); !p.End.IsZero() && p.End.Before(now.Add(outlook)); {
		next := PeriodAt(p.End, s.zone)
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
func (s *Spec) gapWarning(p, next Period) string {
	from, to := p.Wall(p.End), next.Wall(p.End)
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
func (s *Spec) repeatWarning(p, next Period) string {
	from, to := next.Wall(p.End), p.Wall(p.End)
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

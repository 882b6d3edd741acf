package cronspec

import (
	"fmt"
	"time"

	"github.com/firjob/firjob"
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
	if s.gap == firjob.GapRunAfter {
		fate = "happens at " + showAfter(to, from)
	}
	return fmt.Sprintf("on %s the clocks of %s skip %s: the fire of %s %s (\"gap\": %q)",
		from.Format(time.DateOnly), s.zone, skipped(from, to), showTime(fire), fate, s.gap)
}

// repeatWarning says what the change from p to next brings again, "" if nothing.
func (s *Spec) repeatWarning(p, next Period) string {
	from, to := next.Wall(p.End), p.Wall(p.End)
	fire, hit := s.firstMatch(from, to)
	if !hit {
		return ""
	}
	fate := "happens the first time only"
	if s.overlap == firjob.OverlapTwice {
		fate = "happens both times"
	}
	return fmt.Sprintf("on %s the clocks of %s go back from %s to %s: the fire of %s %s (\"overlap_hour\": %q)",
		to.Format(time.DateOnly), s.zone, showAfter(to, from), showTime(from), showTime(fire), fate, s.overlap)
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

// showAfter shows a wall-clock time after another, with its date if that is a day
// or more away.
func showAfter(wall, other time.Time) string {
	if wall.Sub(other) < 24*time.Hour {
		return showTime(wall)
	}
	return showTime(wall) + " on " + wall.Format(time.DateOnly)
}

// skipped says what a gap leaves out. Pacific/Apia left out a day, 2011-12-30.
func skipped(from, to time.Time) string {
	if showTime(from) == "00:00" && to.Sub(from) == 24*time.Hour {
		return "the whole day"
	}
	return "from " + showTime(from) + " to " + showAfter(to, from)
}

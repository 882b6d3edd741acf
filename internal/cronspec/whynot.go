package cronspec

import (
	"fmt"
	"time"
)

// WhyNot says what keeps at from being a fire, "" if it is one. An instant
// inside of a gap, which no clock shows, is what the clocks would have shown had
// they not been changed.
func (s *Spec) WhyNot(at time.Time) string {
	if s.Next(at.Add(-time.Nanosecond)).Equal(at) {
		return ""
	}
	p := PeriodAt(at, s.zone)
	if wall := p.Wall(at); s.matches(wall) {
		return fmt.Sprintf("on %s the clocks of %s show %s for the second time (\"overlap_hour\": %q)",
			wall.Format(time.DateOnly), s.zone, showTime(wall), s.overlap)
	}
	if p.Start.IsZero() {
		return NotNamed
	}
	before, after := PeriodAt(p.Start.Add(-time.Nanosecond), s.zone).Wall(at), p.Wall(p.Start)
	if !before.Before(after) || !s.matches(before) {
		return NotNamed
	}
	fate, first := "does not happen", PeriodAt(p.Start.Add(-time.Nanosecond), s.zone).Wall(p.Start)
	if s.runsAfterGap() {
		fate = "happens at " + showAfter(after, first)
	}
	return fmt.Sprintf("on %s the clocks of %s skip %s: its fire %s (\"gap\": %q)",
		before.Format(time.DateOnly), s.zone, showTime(before), fate, s.gap)
}

// NotNamed is WhyNot's answer when no rule is at work.
const NotNamed = "it is not an instant of the schedule"

func (s *Spec) matches(wall time.Time) bool {
	return s.pattern.next(wall.Add(-time.Nanosecond)).Equal(wall)
}

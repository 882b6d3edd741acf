package checker

import (
	"slices"
	"time"
)

// Zone says how the clocks of a place are set: as UTC until the first shift, and
// from each shift on as that says. Shifts are in their order, at whole seconds,
// and further apart than the clocks go back.
type Zone []Shift

// Shift is a change of the clocks.
type Shift struct {
	At     time.Time     `json:"at"`
	Offset time.Duration `json:"offset"` // from UTC, from now on
}

// period returns the number of the last shift before or at an instant, -1 if
// there is none, and the offsets that it changed.
func (z Zone) period(at time.Time) (number int, before, after time.Duration) {
	number = -1
	for i, s := range z {
		if s.At.After(at) {
			break
		}
		number, before, after = i, after, s.Offset
	}
	return number, before, after
}

// zoned returns the instants in [from, until) at which a spec with a zone fires. It
// asks of every second what the clocks show.
func (s Spec) zoned(from, until time.Time) (list []time.Time) {
	for at := from.Add(time.Second - 1).Truncate(time.Second); at.Before(until); at = at.Add(time.Second) {
		shift, before, offset := s.Zone.period(at)
		wall := at.Add(offset)
		again := shift >= 0 && wall.Before(s.Zone[shift].At.Add(before)) // the clocks have shown it before
		due := slices.Contains(s.Seconds, wall.Second()) && (s.Twice || !again)
		jumped := shift >= 0 && s.Zone[shift].At.Equal(at) && s.names(at.Add(before), wall)
		if due || jumped && !s.SkipGap {
			list = append(list, at)
		}
	}
	return list
}

// names reports whether any wall-clock time in [from, until) is one of the spec's.
func (s Spec) names(from, until time.Time) bool {
	for ; from.Before(until); from = from.Add(time.Second) {
		if slices.Contains(s.Seconds, from.Second()) {
			return true
		}
	}
	return false
}

// shifts counts the changes of the clocks that fires were asked for around.
func (c *check) shifts() {
	seen := map[time.Time]bool{}
	for _, p := range c.plans {
		for _, v := range p {
			offset := time.Duration(0)
			for _, s := range v.spec.Zone {
				judged := !v.sure.IsZero() && s.At.After(v.sure.Add(c.Lead+c.OnTime)) && s.At.Before(c.cutoff())
				switch {
				case !judged || seen[s.At]:
				case s.Offset > offset:
					c.report.Gaps++
				default:
					c.report.Repeats++
				}
				seen[s.At] = seen[s.At] || judged
				offset = s.Offset
			}
		}
	}
}

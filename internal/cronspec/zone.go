package cronspec

import (
	"fmt"
	"time"
	_ "time/tzdata" // a container without zone files must not know fewer zones
)

// Zone returns the IANA zone of that name, UTC for "". "Local" is refused: it
// would mean another zone on each machine.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || zone == time.Local {
		return nil, fmt.Errorf("%q is not a known time zone; want an IANA name such as \"Asia/Shanghai\" or \"UTC\"", name)
	}
	return zone, nil
}

// period is a span of real time in which a zone keeps one offset. Two that
// follow each other may have the same.
type period struct {
	start, end time.Time // end is exclusive; zero: since ever, for ever
	offset     time.Duration
}

// periodAt returns the period of zone that holds t.
func periodAt(t time.Time, zone *time.Location) period {
	local := t.In(zone)
	_, seconds := local.Zone()
	start, end := local.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the last change that a zone file lists, package time ends a
		// period 365 days into the year at the latest: too early on the last
		// day of a leap year.
		end = time.Date(t.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return period{start: start, end: end, offset: time.Duration(seconds) * time.Second}
}

// wall returns what the clock shows at t, if it is set as in this period.
func (p period) wall(t time.Time) time.Time { return t.UTC().Add(p.offset) }

// instant is the inverse of wall.
func (p period) instant(wall time.Time) time.Time { return wall.Add(-p.offset) }

// before reports whether t lies before the end of the period.
func (p period) before(t time.Time) bool { return p.end.IsZero() || t.Before(p.end) }

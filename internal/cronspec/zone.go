package cronspec

import (
	"sync"
	"time"

	"github.com/firjob/firjob/internal/tzdata"
)

// zones keeps the zones that were asked for, of which there are as many as the
// zone database has at most: reading them anew was 29 % of the time that a batch
// of jobs took.
var zones sync.Map // string → *time.Location

// Zone returns the IANA zone of exactly that name, UTC for "". The machine's own
// zone files do not count: they mean another zone on each machine ("localtime",
// "Local") or count seconds in another way ("right/UTC").
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, ok := tzdata.Load(name)
	if !ok {
		return nil, unknownZone(name)
	}
	zones.Store(name, zone)
	return zone, nil
}

// Period is a span of real time in which a zone keeps one offset. Two that
// follow each other may have the same.
type Period struct {
	Start, End time.Time // End is exclusive; zero: since ever, for ever
	offset     time.Duration
}

// PeriodAt returns the period of zone that holds t.
func PeriodAt(t time.Time, zone *time.Location) Period {
	local := t.In(zone)
	_, seconds := local.Zone()
	start, end := local.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the last change that a zone file lists, package time ends a
		// period 365 days into the year at the latest: too early on the last
		// day of a leap year.
		end = time.Date(t.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return Period{Start: start, End: end, offset: time.Duration(seconds) * time.Second}
}

// Wall returns what the clock shows at t, if it is set as in this period: a
// time in UTC whose fields are those of the clock.
func (p Period) Wall(t time.Time) time.Time { return t.UTC().Add(p.offset) }

// Instant is the inverse of Wall.
func (p Period) Instant(wall time.Time) time.Time { return wall.Add(-p.offset) }

// before reports whether t lies before the end of the period.
func (p Period) before(t time.Time) bool { return p.End.IsZero() || t.Before(p.End) }

package timetable

import (
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// What bounds a search that calendars turn away: what they permit nowhere in
// twenty years, they permit never. In that time the hours of ten calendars can
// shut each other out millions of times, so the looks are counted, too: they
// last for two a day of each of ten calendars, and some tens of milliseconds.
const (
	reach    = 20 * 366 * 24 * time.Hour
	maxLooks = 200_000
)

// search is one way through time from calendar to calendar.
type search struct {
	end   time.Time
	looks int // that are left
}

func searchFrom(at time.Time) *search { return &search{at.Add(reach), maxLooks} }

// goesOn reports whether to look at an instant.
func (s *search) goesOn(at time.Time) bool {
	s.looks--
	return s.looks >= 0 && at.Before(s.end)
}

// Next returns the first fire after the instant after, in whole milliseconds and
// in UTC, or the zero time when there is none, or none that time alone decides
// (delay, manual).
//
// The base instants are those of the kind alone. Of them, those within the
// window that each calendar permits are fires, each put off by its jitter.
func (t *Timetable) Next(after time.Time) time.Time {
	if t.plain {
		return t.base(after)
	}
	if last := t.lastBase(after); !last.IsZero() && t.permits(last) {
		if fire := t.putOff(last); fire.After(after) {
			return fire
		}
	}
	base := t.permitted(after)
	if base.IsZero() {
		return time.Time{}
	}
	return t.putOff(base)
}

// base returns the first base instant after the instant after.
func (t *Timetable) base(after time.Time) time.Time {
	switch t.schedule.Kind {
	case firjob.ScheduleCron:
		return t.cron.Next(after)
	case firjob.ScheduleEvery:
		if after.Before(t.first) {
			return t.first
		}
		// In milliseconds: a time.Duration ends at 292 years.
		interval := t.schedule.Interval.Std().Milliseconds()
		from := t.first.UnixMilli()
		return time.UnixMilli(from + ((after.UnixMilli()-from)/interval+1)*interval).UTC()
	case firjob.ScheduleAt:
		if at := t.schedule.At.UTC().Truncate(time.Millisecond); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// permitted returns the first base instant after the instant after that window
// and calendars permit, zero if a search finds none.
func (t *Timetable) permitted(after time.Time) time.Time {
	if after.Before(t.from) {
		after = t.from.Add(-time.Nanosecond)
	}
	base := t.base(after)
	for s := searchFrom(base); !base.IsZero() && s.goesOn(base); {
		open := t.openIn(s, base)
		if open.IsZero() || open.Equal(base) {
			return open
		}
		base = t.base(open.Add(-time.Nanosecond))
	}
	return time.Time{}
}

// open returns at, or the first instant after it, that window and calendars
// permit, zero if a search finds none.
func (t *Timetable) open(at time.Time) time.Time {
	if at.Before(t.from) {
		at = t.from
	}
	return t.openIn(searchFrom(at), at)
}

func (t *Timetable) openIn(s *search, at time.Time) time.Time {
	for !t.ends(at) && s.goesOn(at) {
		before := at
		for _, g := range t.gates {
			if at = g.next(s, at); at.IsZero() {
				return at
			}
		}
		if at.Equal(before) {
			return at
		}
	}
	return time.Time{}
}

// permits reports whether window and calendars permit at.
func (t *Timetable) permits(at time.Time) bool {
	return !at.Before(t.from) && !t.ends(at) &&
		!slices.ContainsFunc(t.gates, func(g *gate) bool { return !g.permits(g.wall(at)) })
}

// ends reports whether at lies past the window, or where no instant may.
func (t *Timetable) ends(at time.Time) bool {
	return !t.until.IsZero() && !at.Before(t.until) || at.After(firjob.LatestAt())
}

// putOff returns the fire of a base instant. It lies before the next base
// instant and the end of the window, so that fires stay in order.
func (t *Timetable) putOff(base time.Time) time.Time {
	if t.jitter == 0 {
		return base
	}
	room := t.jitter
	if next := t.base(base); !next.IsZero() {
		room = min(room, next.Sub(base)-time.Millisecond)
	}
	if !t.until.IsZero() {
		room = min(room, t.until.Sub(base)-time.Millisecond)
	}
	ms := cronspec.Draw(t.seed, uint64(base.UnixMilli()), uint64(room.Milliseconds())+1)
	return base.Add(time.Duration(ms) * time.Millisecond)
}

// lastBase returns the last base instant not after the instant after, zero if
// the jitter cannot put it off beyond that. Base instants are found forward only,
// so it halves the span that holds the last one until there is room for no other.
func (t *Timetable) lastBase(after time.Time) time.Time {
	if t.jitter == 0 {
		return time.Time{}
	}
	last := t.base(after.Add(-t.jitter - time.Millisecond))
	if last.IsZero() || last.After(after) {
		return time.Time{}
	}
	for end := after; end.Sub(last) >= firjob.MinInterval; {
		middle := last.Add(end.Sub(last) / 2)
		if base := t.base(middle); base.IsZero() || base.After(after) {
			end = middle
		} else {
			last = base
		}
	}
	return last
}

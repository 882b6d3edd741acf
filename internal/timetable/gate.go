package timetable

import (
	"fmt"
	"slices"
	"time"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/cronspec"
)

// gate is a calendar made ready to be asked. It looks at the wall clock of its
// zone, written as a time in UTC.
type gate struct {
	calendar firjob.Calendar
	zone     *time.Location
	weekdays [7]bool
	yearly   [13][32]bool // by month and day
	dates    []dayRange   // ascending, none touches another
	hours    []minutes
}

// dayRange is a range of days since 1970, both ends included.
type dayRange struct{ from, until int }

// minutes is a part of a day, until excluded.
type minutes struct {
	from, until int
	of          firjob.HourRange
}

// wholeDay is the number of minutes of a day as the clock counts them.
const wholeDay = 24 * 60

// gate compiles c; zone is for a calendar without its own. The error names the
// first fault.
func newGate(c firjob.Calendar, zone string) (*gate, error) {
	if c.Timezone != "" {
		zone = c.Timezone
	}
	g := &gate{calendar: c}
	var err error
	if g.zone, err = cronspec.Zone(zone); err != nil {
		return nil, fmt.Errorf("calendar %q: %w", c.Name, err)
	}
	for _, name := range c.Weekdays {
		day := slices.Index(Weekdays[:], name)
		if day < 0 {
			return nil, fmt.Errorf("calendar %q: %q is not a weekday", c.Name, name)
		}
		g.weekdays[day] = true
	}
	for _, r := range c.Dates {
		if err := g.addDates(r); err != nil {
			return nil, fmt.Errorf("calendar %q: %w", c.Name, err)
		}
	}
	g.mergeDates()
	for _, r := range c.Hours {
		if err := g.addHours(r); err != nil {
			return nil, fmt.Errorf("calendar %q: %w", c.Name, err)
		}
	}
	return g, nil
}

// Weekdays are in time.Weekday's order.
var Weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (g *gate) addDates(r firjob.DateRange) error {
	from, until, err := daysOf(r)
	if err != nil {
		return err
	}
	if !r.Yearly {
		g.dates = append(g.dates, dayRange{dayNumber(from), dayNumber(until)})
		return nil
	}
	// Marked on a leap year, where each day of every year has its place.
	const leap = 2000
	for day := time.Date(leap, from.Month(), from.Day(), 0, 0, 0, 0, time.UTC); ; day = day.AddDate(0, 0, 1) {
		g.yearly[day.Month()][day.Day()] = true
		if day.Month() == until.Month() && day.Day() == until.Day() {
			return nil
		}
		if day.YearDay() == 366 {
			day = day.AddDate(-1, 0, 0)
		}
	}
}

// days returns the first and the last day of r.
func daysOf(r firjob.DateRange) (from, until time.Time, err error) {
	if from, err = time.Parse(time.DateOnly, r.From); err != nil {
		return from, until, fmt.Errorf("%q is not a date such as \"2027-01-01\"", r.From)
	}
	if r.Until == "" {
		return from, from, nil
	}
	if until, err = time.Parse(time.DateOnly, r.Until); err != nil {
		return from, until, fmt.Errorf("%q is not a date such as \"2027-01-01\"", r.Until)
	}
	return from, until, nil
}

// mergeDates sorts the ranges and joins those that meet.
func (g *gate) mergeDates() {
	slices.SortFunc(g.dates, func(a, b dayRange) int { return a.from - b.from })
	merged := g.dates[:0]
	for _, r := range g.dates {
		if last := len(merged) - 1; last >= 0 && r.from <= merged[last].until+1 {
			merged[last].until = max(merged[last].until, r.until)
		} else {
			merged = append(merged, r)
		}
	}
	g.dates = merged
}

func (g *gate) addHours(r firjob.HourRange) error {
	from, err := MinuteOf(r.From)
	if err != nil {
		return err
	}
	until, err := MinuteOf(r.Until)
	if err != nil {
		return err
	}
	if until <= from {
		g.hours = append(g.hours, minutes{0, until, r})
		until = wholeDay
	}
	g.hours = append(g.hours, minutes{from, until, r})
	return nil
}

// MinuteOf reads a time of day such as "09:30".
func MinuteOf(text string) (int, error) {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day, \"00:00\" to \"23:59\"", text)
	}
	return at.Hour()*60 + at.Minute(), nil
}

// dayNumber counts the days from 1970 to that of a wall-clock time.
func dayNumber(wall time.Time) int {
	seconds := wall.Unix()
	days := seconds / (24 * 60 * 60)
	if seconds%(24*60*60) < 0 {
		days--
	}
	return int(days)
}

// next returns t, or the first instant after it, that the calendar permits, zero
// if s ends before. It goes from edge to edge, not from second to second.
func (g *gate) next(s *search, t time.Time) time.Time {
	p := cronspec.PeriodAt(t, g.zone)
	for s.goesOn(t) {
		wall := p.Wall(t)
		if g.permits(wall) {
			return t.UTC()
		}
		t = p.Instant(g.edge(wall))
		if !p.End.IsZero() && !t.Before(p.End) {
			t = p.End
			p = cronspec.PeriodAt(t, g.zone)
		}
	}
	return time.Time{}
}

// wall returns what the clock shows at an instant.
func (g *gate) wall(at time.Time) time.Time { return cronspec.PeriodAt(at, g.zone).Wall(at) }

func (g *gate) permits(wall time.Time) bool {
	return g.names(wall) == (g.calendar.Mode == firjob.CalendarInclude)
}

// names reports whether a line of the calendar names a wall-clock time.
func (g *gate) names(wall time.Time) bool {
	return g.weekdays[wall.Weekday()] || g.onDate(wall) || g.hour(wall) >= 0
}

func (g *gate) onDate(wall time.Time) bool {
	if g.yearly[wall.Month()][wall.Day()] {
		return true
	}
	_, dated := g.dated(dayNumber(wall))
	return dated
}

// hour returns the index of the hours that hold a wall-clock time, −1 if none do.
func (g *gate) hour(wall time.Time) int {
	minute := wall.Hour()*60 + wall.Minute()
	return slices.IndexFunc(g.hours, func(m minutes) bool { return m.from <= minute && minute < m.until })
}

// dated returns the range of dates that holds a day.
func (g *gate) dated(day int) (dayRange, bool) {
	i, _ := slices.BinarySearchFunc(g.dates, day, func(r dayRange, day int) int { return r.until - day })
	if i == len(g.dates) || day < g.dates[i].from {
		return dayRange{}, false
	}
	return g.dates[i], true
}

// edge returns the first wall-clock time after wall at which another line of the
// calendar may begin to count.
func (g *gate) edge(wall time.Time) time.Time {
	y, m, d := wall.Date()
	if r, dated := g.dated(dayNumber(wall)); dated {
		return time.Unix(int64(r.until+1)*24*60*60, 0).UTC()
	}
	next, minute := wholeDay, wall.Hour()*60+wall.Minute()
	for _, h := range g.hours {
		for _, edge := range []int{h.from, h.until} {
			if edge > minute {
				next = min(next, edge)
			}
		}
	}
	return time.Date(y, m, d, 0, next, 0, 0, time.UTC)
}

// closed says how the calendar leaves at out, "" if it does not.
func (g *gate) closed(at time.Time) string {
	wall := g.wall(at)
	if g.permits(wall) {
		return ""
	}
	calendar := fmt.Sprintf("calendar %q version %d", g.calendar.Name, g.calendar.Version)
	switch {
	case g.calendar.Mode == firjob.CalendarInclude:
		return fmt.Sprintf("%s does not include %s in %s", calendar, wall.Format("Monday 2006-01-02 15:04:05"), g.zone)
	case g.onDate(wall):
		return calendar + " leaves out " + wall.Format(time.DateOnly)
	case g.weekdays[wall.Weekday()]:
		return calendar + " leaves out " + wall.Weekday().String() + "s"
	}
	hours := g.hours[g.hour(wall)].of
	return calendar + " leaves out " + hours.From + " to " + hours.Until
}

// PermitsAny reports whether a calendar without other faults permits any
// instant: on one of its dates, or after the last of them.
func PermitsAny(c firjob.Calendar) bool {
	g, err := newGate(c, "")
	if err != nil {
		return false
	}
	after := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if n := len(g.dates); n > 0 {
		if c.Mode == firjob.CalendarInclude {
			return true
		}
		if last := time.Unix(int64(g.dates[n-1].until+2)*24*60*60, 0); last.After(after) {
			after = last
		}
	}
	return !g.next(searchFrom(after), after).IsZero()
}
